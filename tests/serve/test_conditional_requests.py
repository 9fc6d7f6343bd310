"""Ranges and entity tags (RFC 9110, 13 and 14)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.serve.conditional_requests import ConditionalHeaders, ConditionResult, byte_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=0-99", range(10)),
        ("bytes=3-", range(3, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-30", range(10)),
        ("Bytes = 2 - 4", range(2, 5)),
        ("bytes=10-", range(10, 10)),
        ("bytes=10-12", range(10, 10)),
        ("bytes=-0", range(10, 10)),
        ("bytes=4-3", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=1", None),
        ("lines=1-2", None),
        ("bytes=0x1-2", None),
        ("bytes=\u0661-\u0662", None),
        ("bytes=" + "9" * 5000 + "-", range(10, 10)),
    ],
)
def test_a_range_of_ten_bytes(header: str, expected: range | None) -> None:
    assert byte_range(header, 10) == expected


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 50))
def test_first_and_last_are_a_slice(first: int, last: int, size: int) -> None:
    data = bytes(range(size))
    part = byte_range(f"bytes={first}-{last}", size)
    if last < first:
        assert part is None
    else:
        assert part is not None
        assert data[part.start : part.stop] == data[first : last + 1]
        assert bool(part) == (first < size)


@given(st.integers(0, 100), st.integers(0, 50))
def test_a_suffix_is_the_end(length: int, size: int) -> None:
    data = bytes(range(size))
    part = byte_range(f"bytes=-{length}", size)
    assert part is not None
    assert data[part.start : part.stop] == (data[-length:] if length else b"")


@given(
    st.text(max_size=60) | st.from_regex(r"bytes=[0-9,\- ]{0,30}", fullmatch=True),
    st.integers(0, 100),
)
def test_a_range_never_leaves_the_body(header: str, size: int) -> None:
    part = byte_range(header, size)
    assert part is None or 0 <= part.start <= part.stop <= size


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (ConditionalHeaders(), ConditionResult.SEND),
        (ConditionalHeaders(if_none_match='"a"'), ConditionResult.NOT_MODIFIED),
        (ConditionalHeaders(if_none_match='W/"a"'), ConditionResult.NOT_MODIFIED),
        (ConditionalHeaders(if_none_match='"x", "a" , W/"z"'), ConditionResult.NOT_MODIFIED),
        (ConditionalHeaders(if_none_match="*"), ConditionResult.NOT_MODIFIED),
        (ConditionalHeaders(if_none_match='"a-gzip"'), ConditionResult.SEND),
        (ConditionalHeaders(if_none_match="a"), ConditionResult.SEND),
        (ConditionalHeaders(if_match='"a"'), ConditionResult.SEND),
        (ConditionalHeaders(if_match="*"), ConditionResult.SEND),
        (ConditionalHeaders(if_match='W/"a"'), ConditionResult.FAILED),
        (ConditionalHeaders(if_match='"b"'), ConditionResult.FAILED),
        (ConditionalHeaders(if_match='"b"', if_none_match='"a"'), ConditionResult.FAILED),
    ],
)
def test_entity_tags_are_compared_in_order(
    conditions: ConditionalHeaders, expected: ConditionResult
) -> None:
    assert conditions.evaluate('"a"') is expected


BEFORE, SAME, AFTER = (f"Sat, 21 Nov 2026 20:00:0{second} GMT" for second in (4, 5, 6))
MODIFIED = int(datetime(2026, 11, 21, 20, 0, 5, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (ConditionalHeaders(if_modified_since=BEFORE), ConditionResult.SEND),
        (ConditionalHeaders(if_modified_since=SAME), ConditionResult.NOT_MODIFIED),
        (ConditionalHeaders(if_modified_since=AFTER), ConditionResult.NOT_MODIFIED),
        (ConditionalHeaders(if_modified_since="yesterday"), ConditionResult.SEND),
        (ConditionalHeaders(if_modified_since="1, 99 X 9 9:9"), ConditionResult.SEND),
        (ConditionalHeaders(if_unmodified_since=BEFORE), ConditionResult.FAILED),
        (ConditionalHeaders(if_unmodified_since=SAME), ConditionResult.SEND),
        (ConditionalHeaders(if_unmodified_since="yesterday"), ConditionResult.SEND),
        # an entity tag says more than a date: beside one it is ignored (RFC 9110, 13.1.3, 13.1.4)
        (ConditionalHeaders(if_none_match='"b"', if_modified_since=AFTER), ConditionResult.SEND),
        (ConditionalHeaders(if_match='"a"', if_unmodified_since=BEFORE), ConditionResult.SEND),
    ],
)
def test_dates_are_compared_where_there_is_no_entity_tag(
    conditions: ConditionalHeaders, expected: ConditionResult
) -> None:
    assert conditions.evaluate('"a"', MODIFIED) is expected
    if not (conditions.if_match or conditions.if_none_match):
        assert conditions.evaluate('"a"') is ConditionResult.SEND


DIGITS = st.text("0123456789", min_size=1, max_size=30)
DATES = st.builds("Mon, {} Jan {} {}:{} {}{}".format, *[DIGITS] * 4, st.sampled_from("+-"), DIGITS)


@given(st.text(max_size=40) | DATES)
@example("Mon, 01 Jan 99999999999 00:00:00 GMT")
@example("Mon, 01 Jan 2020 00:00:00 +99999999999999999")
def test_no_date_breaks_the_comparison(header: str) -> None:
    ConditionalHeaders(if_modified_since=header).evaluate('"a"', MODIFIED)


@pytest.mark.parametrize(
    ("if_range", "expected"),
    [
        ("", range(1)),
        ('"a"', range(1)),
        ('W/"a"', None),
        ('"b"', None),
        ("Sat, 21 Nov 2026 20:00:00 GMT", None),
    ],
)
def test_if_range_compares_strongly(if_range: str, expected: range | None) -> None:
    assert (
        ConditionalHeaders(range_header="bytes=0-0", if_range=if_range).byte_range('"a"', 10)
        == expected
    )
