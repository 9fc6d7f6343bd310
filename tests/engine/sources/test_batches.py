"""BatchSizer: every name once, and about as many units in memory as intended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.engine.sources.batches import BATCH, HELD, LARGEST, BatchSizer, bounded
from reconciler.errors import PluginFault


@given(st.lists(st.integers(0, LARGEST), max_size=300))
def test_every_name_comes_once_and_in_order(units: list[int]) -> None:
    names = [str(number) for number in range(len(units))]
    batches = BatchSizer(names)
    seen: list[str] = []
    while batch := batches.next():
        assert len(batch) <= BATCH
        seen += batch
        batches.record(sum(units[int(name)] for name in batch))
    assert seen == names


def test_batches_of_small_groups_grow_eightfold_up_to_the_limit() -> None:
    batches = BatchSizer(["name"] * 1000)
    sizes = []
    for _ in range(5):
        sizes.append(len(batches.next()))
        batches.record(0)
    assert sizes == [1, 8, 64, BATCH, BATCH]


def test_batches_shrink_where_groups_are_large() -> None:
    batches = BatchSizer(["name"] * 1000)
    for _ in range(4):
        batches.next()
        batches.record(0)
    assert len(batches.next()) == BATCH
    batches.record(HELD * 10)
    assert len(batches.next()) == BATCH // 10
    batches.record(HELD * BATCH)
    assert len(batches.next()) == 1


def test_a_group_may_have_the_largest_size_and_no_more() -> None:
    bounded(LARGEST, "alpha")
    with pytest.raises(PluginFault, match="group `alpha` holds more than 100,000 units") as fault:
        bounded(LARGEST + 1, "alpha")
    assert fault.value.hint
