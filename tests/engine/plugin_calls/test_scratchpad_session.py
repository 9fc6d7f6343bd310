"""ScratchpadSession: recorded values, uncommitted writes over them, and what may be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.database import scratchpad_digest
from reconciler.engine.plugin_calls.scratchpads import (
    LIMIT,
    MAX_DEPTH,
    ScratchpadSession,
    no_scratchpads,
)
from reconciler.errors import PluginFault

OWNER, OTHER = "importer:lines", "repository"


def recorded(**values: Any) -> Callable[[str], Any]:
    return {OWNER: values}.get


def test_reading_returns_the_recorded_value_and_writes_nothing() -> None:
    pads = ScratchpadSession(recorded(seen=1))
    assert (pads.get(OWNER), pads.get(OTHER)) == ({"seen": 1}, None)
    assert (pads.written, pads.seen) == ({}, {})


def test_a_write_is_read_back_and_leaves_other_owners_alone() -> None:
    pads = ScratchpadSession(recorded(seen=1))
    pads.set(OWNER, [2])
    assert (pads.get(OWNER), pads.get(OTHER)) == ([2], None)
    assert pads.written == {OWNER: [2]}


def test_values_are_copies_on_the_way_in_and_out() -> None:
    pads = ScratchpadSession(no_scratchpads)
    value = {"seen": [1]}
    pads.set(OWNER, value)
    value["seen"].append(2)
    pads.get(OWNER)["seen"].append(3)
    assert pads.written == {OWNER: {"seen": [1]}}


def test_seen_is_what_was_recorded_at_the_first_look() -> None:
    """The commit compares it: a write of another operation in between is a conflict."""
    value = {"seen": 1}
    pads = ScratchpadSession(lambda owner: dict(value))
    pads.get(OWNER)
    value["seen"] = 2
    pads.get(OWNER)
    pads.set(OWNER, "mine")
    pads.set(OTHER, "mine")
    assert pads.seen == {
        OWNER: scratchpad_digest({"seen": 1}),
        OTHER: scratchpad_digest({"seen": 2}),
    }


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: "x"}, "the key 1 at `.` is no text"),
        ({"a": [0, {2}]}, r"`\.a\[1\]` is of the type `set`"),
        ((1, 2), "is of the type `tuple`"),
        (float("nan"), "is of the type `float`"),
        (float("inf"), "is of the type `float`"),
        (nested(MAX_DEPTH + 1), f"nested deeper than {MAX_DEPTH} levels"),
        ("x" * (LIMIT - 1), "would be 1,048,577 bytes"),
        ("\ud800", "cannot be written as JSON"),
    ],
)
def test_a_value_that_is_not_plain_json_is_refused_and_the_old_one_stays(
    value: Any, message: str
) -> None:
    pads = ScratchpadSession(recorded(seen=1))
    with pytest.raises(PluginFault, match=message):
        pads.set(OWNER, value)
    assert pads.get(OWNER) == {"seen": 1}
    assert pads.written == {}


@pytest.mark.parametrize("value", [nested(MAX_DEPTH), "x" * (LIMIT - 2), None, 1.5])
def test_a_value_within_the_limits_is_taken(value: Any) -> None:
    pads = ScratchpadSession(no_scratchpads)
    pads.set(OWNER, value)
    assert pads.get(OWNER) == value
