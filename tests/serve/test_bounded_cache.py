"""The mapping with a bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.serve.bounded_cache import BoundedCache


def test_what_was_not_used_for_longest_goes_first() -> None:
    kept: BoundedCache[str, int] = BoundedCache(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)


def test_a_value_that_would_drive_out_everything_else_is_not_kept() -> None:
    kept: BoundedCache[str, bytes] = BoundedCache(10, len)
    kept.put("small", b"12345")
    kept.put("large", b"123456")
    assert kept.get("large") is None
    assert kept.get("small") == b"12345"


def test_only_what_is_wanted_is_kept() -> None:
    kept: BoundedCache[int, int] = BoundedCache(10)
    for number in range(6):
        kept.put(number, number)
    kept.keep_only(lambda value: value % 2 == 1)
    assert [number for number in range(6) if kept.get(number) is not None] == [1, 3, 5]
    assert kept.weight == 3


@given(st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=20))))
def test_the_weight_is_what_is_kept_and_never_above_the_limit(
    puts: list[tuple[int, bytes]],
) -> None:
    kept: BoundedCache[int, bytes] = BoundedCache(32, len)
    for key, value in puts:
        kept.put(key, value)
        assert kept.weight <= 32
    left = [found for key in range(10) if (found := kept.get(key)) is not None]
    assert kept.weight == sum(len(found) for found in left)
    assert len(kept) == len(left)
