"""Source responses: whose name a response makes a group's, and which units of it stay."""

from __future__ import annotations

import pytest

from reconciler.engine.sources.source_responses import GroupComparison, SourceResponse
from reconciler.errors import Unreachable
from reconciler.model import IdentifiedUnit, Unit, identify
from reconciler.plan import ADD, REMOVE, ChangeLine, GroupChange, GroupLine


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (SourceResponse("alpha"), True),
        (SourceResponse("alpha", unchanged=True), True),
        (SourceResponse("alpha", failure=Unreachable("no answer")), True),
        (SourceResponse("alpha", refused="denied"), True),
        (SourceResponse("alpha", gone="gone upstream"), False),
        (SourceResponse("alpha", gone="nothing is offered", withdrawn=True), True),
        (SourceResponse("alpha", unavailable="remote:up"), False),
        (SourceResponse("alpha", gone="gone", withdrawn=True, unavailable="remote:up"), False),
    ],
)
def test_a_name_is_lost_only_where_it_is_gone_or_cannot_be_known(
    response: SourceResponse, expected: bool
) -> None:
    assert response.has_name is expected


def unit(key: str, type: str = "test.file") -> IdentifiedUnit:
    return identify(Unit(type, key, {}), "alpha")


def test_units_that_no_line_touches_are_unchanged() -> None:
    """A unit of the same key and another type is another unit."""
    wanted = [unit("a"), unit("b"), unit("b", "test.page")]
    lines = [ChangeLine(ADD, "test.file", "b"), ChangeLine(REMOVE, "test.file", "c")]
    comparison = GroupComparison(GroupChange(GroupLine("alpha", "remote:up"), lines), wanted)
    assert comparison.name == "alpha"
    assert comparison.unchanged == [wanted[0], wanted[2]]
