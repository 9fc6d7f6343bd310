"""Groups that a later source shares: it adds to a name that an earlier one owns, and a key that
both have is the earlier one's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from reconciler.errors import Gone
from reconciler.plugin import UNCHANGED, Group, ImporterCall, Unchanged, Unit
from tests.support.rehearsal import Rehearsal, rehearsal, repository, source


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    """`up` before `down`, which shares `a`; `both` is other bytes in each."""
    with rehearsal(tmp_path) as found:
        found.says("a", found.bare("one"), unit("both", "up"), validator="1")
        found.says("a", found.bare("more"), unit("both", "down"), name="down", validator="1")
        found.says("b", found.bare("two"), validator="1")
        found.says("b", found.bare("evil"), name="down", validator="1")
        declare(found, "up", "down")
        share(found, "a")
        yield found


def unit(key: str, by: str) -> Unit:
    return Unit("lines.line", key, {"by": by})


def declare(stage: Rehearsal, *sources: str, more: str = "") -> None:
    remotes = [stage.remote(name) for name in ("up", "down", "third")]
    stage.declare(*remotes, repository("team", *map(source, sources), more=more))


def share(stage: Rehearsal, *names: str) -> None:
    """These groups are shared by every upstream but `up`."""

    async def declaring(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        name = call.options.upstream
        upstream = stage.script.upstream(name)
        stage.script.fail(f"declare {name}")
        if upstream.validator is not None and call.unchanged(upstream.validator):
            yield UNCHANGED
            return
        for group in upstream.groups:
            yield Group(
                group,
                upstream.validators[group],
                listed=True,
                shared=name != "up" and group in names,
            )

    stage.script.on_declare = declaring


def by(stage: Rehearsal, key: str = "both") -> str:
    """Whose unit it is."""
    [found] = [unit.metadata["by"] for unit in stage.units() if unit.key == key]
    assert isinstance(found, str)
    return found


def test_a_shared_name_takes_from_both_and_the_first_wins(stage: Rehearsal) -> None:
    assert "held by remote:up" in stage.text()
    stage.applied()
    assert stage.held() == ["a/both", "a/more", "a/one", "b/two"]
    assert by(stage) == "up"
    assert stage.sources()["a/more"] == {"remote:down"}
    assert stage.settled()


def test_the_first_stays_first_when_the_other_changes(stage: Rehearsal) -> None:
    stage.applied()
    stage.says("a", stage.bare("more"), unit("both", "down again"), name="down", validator="2")
    stage.applied()
    assert by(stage) == "up"
    stage.says("a", unit("both", "up again"), validator="2")
    stage.applied()
    assert by(stage) == "up again"
    assert stage.held() == ["a/both", "a/more", "b/two"]


def test_what_the_owner_drops_the_other_brings(stage: Rehearsal) -> None:
    stage.applied()
    stage.says("a", stage.bare("one"), validator="2")
    stage.applied()
    assert stage.held() == ["a/both", "a/more", "a/one", "b/two"]
    assert by(stage) == "down"
    assert stage.settled()


@pytest.mark.parametrize("whole", [False, True], ids=["groups", "sources"])
def test_what_the_owner_begins_to_have_is_its_own(stage: Rehearsal, whole: bool) -> None:
    """The other holds it and says that nothing changed: it gives it up in the same plan."""
    stage.says("a", stage.bare("one"), validator="1")
    if whole:
        stage.validator("v1", name="down")
    stage.applied()
    assert by(stage) == "down"
    stage.says("a", stage.bare("one"), unit("both", "up"), validator="2")
    stage.applied()
    assert by(stage) == "up"
    assert stage.held() == ["a/both", "a/more", "a/one", "b/two"]
    assert stage.settled()
    stage.says("a", stage.bare("one"), validator="3")
    stage.applied()
    assert by(stage) == "down"


def test_the_owner_waits_for_another_that_is_away(stage: Rehearsal) -> None:
    stage.says("a", stage.bare("one"), validator="1")
    stage.applied()
    stage.says("a", stage.bare("one"), unit("both", "up"), validator="2")
    stage.script.failing["declare down"] = OSError("no route")
    assert "no route" in stage.failed()
    assert by(stage) == "down"
    stage.script.failing.clear()
    stage.applied()
    assert by(stage) == "up"


def test_one_unit_in_both_is_there_as_long_as_one_has_it(stage: Rehearsal) -> None:
    stage.says("a", unit("both", "anybody"), validator="2")
    stage.says("a", unit("both", "anybody"), name="down", validator="2")
    stage.applied()
    stage.applied()
    assert stage.held() == ["a/both", "b/two"]
    stage.says("a", validator="3")
    stage.applied()
    assert stage.held() == ["a/both", "b/two"]
    stage.says("a", name="down", validator="3")
    stage.applied()
    assert stage.held() == ["b/two"]


def test_what_is_shared_no_more_leaves(stage: Rehearsal) -> None:
    stage.applied()
    share(stage)
    assert "remote:up has the name now" in stage.text()
    stage.applied()
    assert stage.held() == ["a/both", "a/one", "b/two"]
    assert stage.settled()


def test_an_owner_that_has_the_name_no_more_leaves_it_to_the_other(stage: Rehearsal) -> None:
    stage.applied()
    stage.drops("a")
    stage.applied()
    assert stage.held() == ["a/both", "a/more", "b/two"]
    assert by(stage) == "down"
    assert stage.settled()


def test_an_owner_that_fails_keeps_its_name_and_what_it_brought(stage: Rehearsal) -> None:
    stage.applied()
    stage.script.failing["declare up"] = OSError("no route")
    stage.says("b", stage.bare("worse"), name="down", validator="2")
    stage.says(
        "a",
        stage.bare("more"),
        stage.bare("most"),
        unit("both", "down"),
        name="down",
        validator="2",
    )
    assert "no route" in stage.failed()
    assert stage.held() == ["a/both", "a/more", "a/most", "a/one", "b/two"]
    assert by(stage) == "up"


def test_a_shared_name_that_is_gone_stays_its_owners(stage: Rehearsal) -> None:
    """A 404 of the one that shares is no reason to let a third source in."""

    async def read(call: ImporterCall, group: Group) -> list[Unit]:
        if call.options.upstream == "down" and group.name == "a":
            raise Gone("404")
        return stage.script.upstream(call.options.upstream).groups[group.name]

    stage.says("a", stage.bare("evil"), name="third", validator="1")
    stage.script.on_read = read
    declare(stage, "up", "down", "third")

    async def declaring(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        for group in stage.script.upstream(call.options.upstream).groups:
            yield Group(group, "1", listed=True, shared=call.options.upstream == "down")

    stage.script.on_declare = declaring
    stage.applied()
    assert stage.held() == ["a/both", "a/one", "b/evil", "b/two"]


def test_a_third_source_may_share_as_well(stage: Rehearsal) -> None:
    stage.says(
        "a",
        unit("both", "third"),
        unit("more", "third"),
        stage.bare("last"),
        name="third",
        validator="1",
    )
    declare(stage, "up", "down", "third")
    stage.applied()
    assert stage.sources() == {
        "a/both": {"remote:up"},
        "a/one": {"remote:up"},
        "a/more": {"remote:down"},
        "a/last": {"remote:third"},
        "b/two": {"remote:up"},
    }
    assert stage.settled()


def test_in_additive_mode_nothing_leaves_for_the_owner(stage: Rehearsal) -> None:
    declare(stage, "up", "down", more="sync: {mode: additive}")
    stage.says("a", stage.bare("one"), validator="1")
    stage.applied()
    stage.says("a", stage.bare("one"), unit("both", "up"), validator="2")
    stage.applied()
    assert by(stage) == "down"
    assert stage.settled()


def test_names_that_change_their_order_change_their_owner(stage: Rehearsal) -> None:
    stage.applied()
    declare(stage, "down", "up")
    stage.applied()
    assert by(stage) == "down"
    assert stage.held() == ["a/both", "a/more", "b/evil"]
    assert stage.settled()


def test_explain_shows_the_owner_and_both_who_answer(stage: Rehearsal) -> None:
    stage.applied()
    found = stage.explain("a")
    assert found["groups"] == [{"name": "a", "owner": "remote:up"}]
    assert [one["groups"][0]["result"] for one in found["sources"]] == ["answered", "answered"]
