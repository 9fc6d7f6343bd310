"""Groups that a source declares as refused: never read, nothing of them comes in, and their names
stay the source's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import UNCHANGED, Group, ImporterCall, Unchanged
from tests.support.rehearsal import Rehearsal, rehearsal, repository, source

WHY = "rules.deny names all of it"


class Refusing:
    """What each upstream refuses, by group; the rest is declared as it is held."""

    def __init__(self, stage: Rehearsal) -> None:
        self._script = stage.script
        self.refused: dict[str, dict[str, str]] = {}
        stage.script.on_declare = self.declare

    async def declare(self, call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        name = call.options.upstream
        upstream = self._script.upstream(name)
        if upstream.validator is not None and call.unchanged(upstream.validator):
            yield UNCHANGED
            return
        refused = self.refused.get(name, {})
        for group in {**upstream.groups, **refused}:
            yield Group(
                group,
                upstream.validators.get(group, "1"),
                listed=True,
                refused=refused.get(group, ""),
            )


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as found:
        found.declare(found.remote(), repository())
        found.says("a", found.bare("one"), validator="1")
        found.says("b", found.bare("two"), validator="1")
        yield found


def rows(stage: Rehearsal, source: str = "remote:up") -> Mapping[str, Any]:
    """Groups that are recorded of a source."""
    groups: Mapping[str, Any] = stage.ask(
        lambda reader: reader.committed_groups(
            reader.actual_state().repositories["team"].id, source
        )
    )
    return groups


def test_what_was_never_here_costs_nothing(stage: Rehearsal) -> None:
    Refusing(stage).refused["up"] = {f"g{number}": WHY for number in range(500)} | {"b": WHY}
    stage.applied()
    assert stage.held() == ["a/one"]
    assert stage.script.asked == ["up/a"]
    assert set(rows(stage)) == {"a"}
    assert stage.settled()


def test_what_is_here_leaves_with_the_reason_and_comes_again(stage: Rehearsal) -> None:
    stage.applied()
    refusing = Refusing(stage)
    refusing.refused["up"] = {"b": WHY}
    stage.script.forget()
    assert WHY in stage.text()
    stage.applied()
    assert stage.held() == ["a/one"]
    assert stage.script.asked == []
    assert stage.settled()
    refusing.refused.clear()
    stage.applied()
    assert stage.held() == ["a/one", "b/two"]


def test_in_additive_mode_it_stays(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository(more="sync: {mode: additive}"))
    stage.applied()
    Refusing(stage).refused["up"] = {"b": WHY, "c": WHY}
    stage.applied()
    assert stage.held() == ["a/one", "b/two"]
    assert stage.settled()


@pytest.fixture
def two(stage: Rehearsal) -> Refusing:
    """`up` before `down`, which would like to have `b` and `x`."""
    stage.says("b", stage.bare("evil"), name="down", validator="1")
    stage.says("x", stage.bare("evil"), name="down", validator="1")
    stage.declare(
        stage.remote(), stage.remote("down"), repository("team", source("up"), source("down"))
    )
    refusing = Refusing(stage)
    refusing.refused["up"] = {"b": WHY, "x": WHY}
    return refusing


def test_the_name_stays_the_sources_own(stage: Rehearsal, two: Refusing) -> None:
    stage.applied()
    assert stage.held() == ["a/one"]
    assert stage.settled()
    assert {name: row.validator for name, row in rows(stage).items()} == {
        "a": "1",
        "b": "refused",
        "x": "refused",
    }


def test_the_name_stays_the_sources_own_while_it_is_away(stage: Rehearsal, two: Refusing) -> None:
    stage.applied()
    before = stage.script.on_declare

    async def failing(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        assert before is not None
        if call.options.upstream == "up":
            raise OSError("no route")
        async for one in before(call):
            yield one

    stage.script.on_declare = failing
    assert "no route" in stage.failed()
    assert stage.held() == ["a/one"]


def test_the_name_stays_the_sources_own_while_nothing_changes(
    stage: Rehearsal, two: Refusing
) -> None:
    stage.validator("v1")
    stage.applied()
    stage.says("y", stage.bare("new"), name="down", validator="1")
    stage.script.forget()
    stage.applied()
    assert stage.held() == ["a/one", "y/new"]
    assert "up/a" not in stage.script.asked


def test_a_source_that_comes_later_learns_the_names(stage: Rehearsal, two: Refusing) -> None:
    """As long as it was alone nothing was recorded of what it refuses, and it says that nothing
    changed.
    """
    stage.validator("v1")
    stage.declare(stage.remote(), stage.remote("down"), repository("team", source("up")))
    stage.applied()
    assert set(rows(stage)) == {"a"}
    stage.declare(
        stage.remote(), stage.remote("down"), repository("team", source("up"), source("down"))
    )
    stage.applied()
    assert stage.held() == ["a/one"]


def test_a_name_that_is_let_in_again_is_read(stage: Rehearsal, two: Refusing) -> None:
    stage.applied()
    two.refused.clear()
    stage.script.upstream("up").validators["b"] = "refused"  # whatever upstream calls it
    stage.applied()
    assert stage.held() == ["a/one", "b/two", "x/evil"]


def test_what_an_earlier_source_takes_and_refuses_leaves_the_later_one(
    stage: Rehearsal, two: Refusing
) -> None:
    two.refused.clear()
    stage.applied()
    assert "x/evil" in stage.held()
    two.refused["up"] = {"x": WHY}
    stage.applied()
    assert stage.held() == ["a/one", "b/two"]
    assert stage.settled()


def test_explain_tells_the_reason_and_the_owner(stage: Rehearsal, two: Refusing) -> None:
    stage.applied()
    found = stage.explain("x")
    assert found["groups"] == [{"name": "x", "owner": "remote:up"}]
    assert [
        (one["groups"][0]["result"], one["groups"][0]["message"]) for one in found["sources"]
    ] == [
        ("refused", WHY),
        ("owned", "not asked: the name belongs to remote:up"),
    ]


@pytest.mark.parametrize(
    "wrong", [{"refused": None}, {"refused": True}, {"shared": "yes"}, {"listed": 1}]
)
def test_groups_of_another_shape_are_the_plugins_fault(
    stage: Rehearsal, wrong: dict[str, Any]
) -> None:
    async def declare(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        yield Group("a", **wrong)

    stage.script.on_declare = declare
    assert "the group `a` has a reason for `refused`, a text" in stage.failed()


def test_a_reason_of_any_kind_stands_on_one_line(stage: Rehearsal) -> None:
    stage.applied()
    Refusing(stage).refused["up"] = {"b": "two\nlines \x1b[31m" + "x" * 5_000}
    [line] = [line for line in stage.text().splitlines() if "lines" in line and "two" in line]
    assert "\x1b" not in line
    assert len(line) < 1_000
