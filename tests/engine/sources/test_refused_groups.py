"""Groups that a source declares as refused: never read, nothing of them comes in, and their names
stay the source's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import UNCHANGED, Group, ReadConduit, Unchanged
from tests.support.rehearsal import Rehearsal, rehearsal, repository, source

WHY = "rules.deny names all of it"


class Refusing:
    """What each upstream refuses, by group; the rest is declared as it is held."""

    def __init__(self, site: Rehearsal) -> None:
        self._script = site.script
        self.refused: dict[str, dict[str, str]] = {}
        site.script.on_declare = self.declare

    async def declare(self, conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        name = conduit.options.upstream
        upstream = self._script.upstream(name)
        if upstream.validator is not None and conduit.unchanged(upstream.validator):
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
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.declare(site.remote(), repository())
        site.says("a", site.bare("one"), validator="1")
        site.says("b", site.bare("two"), validator="1")
        yield site


def rows(site: Rehearsal, source: str = "remote:up") -> Mapping[str, Any]:
    """Groups that are recorded of a source."""
    groups: Mapping[str, Any] = site.ask(
        lambda reader: reader.committed_groups(
            reader.actual_state().repositories["team"].id, source
        )
    )
    return groups


def test_what_was_never_here_costs_nothing(site: Rehearsal) -> None:
    Refusing(site).refused["up"] = {f"g{number}": WHY for number in range(500)} | {"b": WHY}
    assert f"    ! 501 refused by name: {WHY}" in site.text(), "counted, though never read"
    site.script.forget()
    site.applied()
    assert site.held() == ["a/one"]
    assert site.script.asked == ["up/a"]
    assert set(rows(site)) == {"a"}
    assert site.settled()


def test_reasons_of_refused_names_are_bounded(site: Rehearsal) -> None:
    refused = {f"g{number}": f"reason {number}" for number in range(1_500)}
    Refusing(site).refused["up"] = refused
    assert "refused by name: other reasons" in site.text()


def test_what_is_here_leaves_with_the_reason_and_comes_again(site: Rehearsal) -> None:
    site.applied()
    refusing = Refusing(site)
    refusing.refused["up"] = {"b": WHY}
    site.script.forget()
    assert WHY in site.text()
    site.applied()
    assert site.held() == ["a/one"]
    assert site.script.asked == []
    assert site.settled()
    refusing.refused.clear()
    site.applied()
    assert site.held() == ["a/one", "b/two"]


def test_in_additive_mode_it_stays(site: Rehearsal) -> None:
    site.declare(site.remote(), repository(more="sync: {mode: additive}"))
    site.applied()
    Refusing(site).refused["up"] = {"b": WHY, "c": WHY}
    site.applied()
    assert site.held() == ["a/one", "b/two"]
    assert site.settled()


@pytest.fixture
def two(site: Rehearsal) -> Refusing:
    """`up` before `down`, which would like to have `b` and `x`."""
    site.says("b", site.bare("evil"), name="down", validator="1")
    site.says("x", site.bare("evil"), name="down", validator="1")
    site.declare(
        site.remote(), site.remote("down"), repository("team", source("up"), source("down"))
    )
    refusing = Refusing(site)
    refusing.refused["up"] = {"b": WHY, "x": WHY}
    return refusing


def test_the_name_stays_the_sources_own(site: Rehearsal, two: Refusing) -> None:
    site.applied()
    assert site.held() == ["a/one"]
    assert site.settled()
    assert {name: row.validator for name, row in rows(site).items()} == {
        "a": "1",
        "b": "refused",
        "x": "refused",
    }


def test_the_name_stays_the_sources_own_while_it_is_away(site: Rehearsal, two: Refusing) -> None:
    site.applied()
    before = site.script.on_declare

    async def failing(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        assert before is not None
        if conduit.options.upstream == "up":
            raise OSError("no route")
        async for group in before(conduit):
            yield group

    site.script.on_declare = failing
    assert "no route" in site.failed()
    assert site.held() == ["a/one"]


def test_the_name_stays_the_sources_own_while_nothing_changes(
    site: Rehearsal, two: Refusing
) -> None:
    site.validator("v1")
    site.applied()
    site.says("y", site.bare("new"), name="down", validator="1")
    site.script.forget()
    site.applied()
    assert site.held() == ["a/one", "y/new"]
    assert "up/a" not in site.script.asked


def test_a_source_that_comes_later_learns_the_names(site: Rehearsal, two: Refusing) -> None:
    """As long as it was alone nothing was recorded of what it refuses, and it says that nothing
    changed.
    """
    site.validator("v1")
    site.declare(site.remote(), site.remote("down"), repository("team", source("up")))
    site.applied()
    assert set(rows(site)) == {"a"}
    site.declare(
        site.remote(), site.remote("down"), repository("team", source("up"), source("down"))
    )
    site.applied()
    assert site.held() == ["a/one"]


def test_a_name_that_is_let_in_again_is_read(site: Rehearsal, two: Refusing) -> None:
    site.applied()
    two.refused.clear()
    site.script.upstream("up").validators["b"] = "refused"  # whatever upstream calls it
    site.applied()
    assert site.held() == ["a/one", "b/two", "x/evil"]


def test_what_an_earlier_source_takes_and_refuses_leaves_the_later_one(
    site: Rehearsal, two: Refusing
) -> None:
    two.refused.clear()
    site.applied()
    assert "x/evil" in site.held()
    two.refused["up"] = {"x": WHY}
    site.applied()
    assert site.held() == ["a/one", "b/two"]
    assert site.settled()


def test_explain_tells_the_reason_and_the_owner(site: Rehearsal, two: Refusing) -> None:
    site.applied()
    found = site.explain("x")
    assert found["groups"] == [{"name": "x", "owner": "remote:up"}]
    assert [
        (source["groups"][0]["result"], source["groups"][0]["message"])
        for source in found["sources"]
    ] == [
        ("refused", WHY),
        ("owned", "not asked: the name belongs to remote:up"),
    ]


@pytest.mark.parametrize(
    "wrong", [{"refused": None}, {"refused": True}, {"shared": "yes"}, {"listed": 1}]
)
def test_groups_of_another_shape_are_the_plugins_fault(
    site: Rehearsal, wrong: dict[str, Any]
) -> None:
    async def declare(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        yield Group("a", **wrong)

    site.script.on_declare = declare
    assert "the group `a` has a reason for `refused`, a text" in site.failed()


def test_a_reason_of_any_kind_stands_on_one_line(site: Rehearsal) -> None:
    site.applied()
    Refusing(site).refused["up"] = {"b": "two\nlines \x1b[31m" + "x" * 5_000}
    [line] = [line for line in site.text().splitlines() if "lines" in line and "two" in line]
    assert "\x1b" not in line
    assert len(line) < 1_000
