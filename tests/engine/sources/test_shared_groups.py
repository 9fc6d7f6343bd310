"""Groups that a later source shares: it adds to a name that an earlier one owns, and a key that
both have is the earlier one's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from reconciler.errors import Gone
from reconciler.plugin import UNCHANGED, Group, ReadConduit, Unchanged, Unit
from tests.support.rehearsal import Rehearsal, rehearsal, repository, source


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    """`up` before `down`, which shares `a`; `both` is other bytes in each."""
    with rehearsal(tmp_path) as site:
        site.says("a", site.bare("one"), unit("both", "up"), validator="1")
        site.says("a", site.bare("more"), unit("both", "down"), name="down", validator="1")
        site.says("b", site.bare("two"), validator="1")
        site.says("b", site.bare("evil"), name="down", validator="1")
        declare(site, "up", "down")
        share(site, "a")
        yield site


def unit(key: str, by: str) -> Unit:
    return Unit("lines.line", key, {"by": by})


def declare(site: Rehearsal, *sources: str, more: str = "") -> None:
    remotes = [site.remote(name) for name in ("up", "down", "third")]
    site.declare(*remotes, repository("team", *map(source, sources), more=more))


def share(site: Rehearsal, *names: str) -> None:
    """These groups are shared by every upstream but `up`."""

    async def declaring(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        name = conduit.options.upstream
        upstream = site.script.upstream(name)
        site.script.fail(f"declare {name}")
        if upstream.validator is not None and conduit.unchanged(upstream.validator):
            yield UNCHANGED
            return
        for group in upstream.groups:
            yield Group(
                group,
                upstream.validators[group],
                listed=True,
                shared=name != "up" and group in names,
            )

    site.script.on_declare = declaring


def by(site: Rehearsal, key: str = "both") -> str:
    """Whose unit it is."""
    [found] = [unit.metadata["by"] for unit in site.units() if unit.key == key]
    assert isinstance(found, str)
    return found


def test_a_shared_name_takes_from_both_and_the_first_wins(site: Rehearsal) -> None:
    assert "held by remote:up" in site.text()
    site.applied()
    assert site.held() == ["a/both", "a/more", "a/one", "b/two"]
    assert by(site) == "up"
    assert site.sources()["a/more"] == {"remote:down"}
    assert site.settled()


def test_the_first_stays_first_when_the_other_changes(site: Rehearsal) -> None:
    site.applied()
    site.says("a", site.bare("more"), unit("both", "down again"), name="down", validator="2")
    site.applied()
    assert by(site) == "up"
    site.says("a", unit("both", "up again"), validator="2")
    site.applied()
    assert by(site) == "up again"
    assert site.held() == ["a/both", "a/more", "b/two"]


def test_what_the_owner_drops_the_other_brings(site: Rehearsal) -> None:
    site.applied()
    site.says("a", site.bare("one"), validator="2")
    site.applied()
    assert site.held() == ["a/both", "a/more", "a/one", "b/two"]
    assert by(site) == "down"
    assert site.settled()


@pytest.mark.parametrize("whole", [False, True], ids=["groups", "sources"])
def test_what_the_owner_begins_to_have_is_its_own(site: Rehearsal, whole: bool) -> None:
    """The other holds it and says that nothing changed: it gives it up in the same plan."""
    site.says("a", site.bare("one"), validator="1")
    if whole:
        site.validator("v1", name="down")
    site.applied()
    assert by(site) == "down"
    site.says("a", site.bare("one"), unit("both", "up"), validator="2")
    site.applied()
    assert by(site) == "up"
    assert site.held() == ["a/both", "a/more", "a/one", "b/two"]
    assert site.settled()
    site.says("a", site.bare("one"), validator="3")
    site.applied()
    assert by(site) == "down"


def test_the_owner_waits_for_another_that_is_away(site: Rehearsal) -> None:
    site.says("a", site.bare("one"), validator="1")
    site.applied()
    site.says("a", site.bare("one"), unit("both", "up"), validator="2")
    site.script.failing["declare down"] = OSError("no route")
    assert "no route" in site.failed()
    assert by(site) == "down"
    site.script.failing.clear()
    site.applied()
    assert by(site) == "up"


def test_one_unit_in_both_is_there_as_long_as_one_has_it(site: Rehearsal) -> None:
    site.says("a", unit("both", "anybody"), validator="2")
    site.says("a", unit("both", "anybody"), name="down", validator="2")
    site.applied()
    site.applied()
    assert site.held() == ["a/both", "b/two"]
    site.says("a", validator="3")
    site.applied()
    assert site.held() == ["a/both", "b/two"]
    site.says("a", name="down", validator="3")
    site.applied()
    assert site.held() == ["b/two"]


def test_what_is_shared_no_more_leaves(site: Rehearsal) -> None:
    site.applied()
    share(site)
    assert "remote:up has the name now" in site.text()
    site.applied()
    assert site.held() == ["a/both", "a/one", "b/two"]
    assert site.settled()


def test_an_owner_that_has_the_name_no_more_leaves_it_to_the_other(site: Rehearsal) -> None:
    site.applied()
    site.drops("a")
    site.applied()
    assert site.held() == ["a/both", "a/more", "b/two"]
    assert by(site) == "down"
    assert site.settled()


def test_an_owner_that_fails_keeps_its_name_and_what_it_brought(site: Rehearsal) -> None:
    site.applied()
    site.script.failing["declare up"] = OSError("no route")
    site.says("b", site.bare("worse"), name="down", validator="2")
    site.says(
        "a",
        site.bare("more"),
        site.bare("most"),
        unit("both", "down"),
        name="down",
        validator="2",
    )
    assert "no route" in site.failed()
    assert site.held() == ["a/both", "a/more", "a/most", "a/one", "b/two"]
    assert by(site) == "up"


def test_a_shared_name_that_is_gone_stays_its_owners(site: Rehearsal) -> None:
    """A 404 of the one that shares is no reason to let a third source in."""

    async def read(conduit: ReadConduit, group: Group) -> list[Unit]:
        if conduit.options.upstream == "down" and group.name == "a":
            raise Gone("404")
        return site.script.upstream(conduit.options.upstream).groups[group.name]

    site.says("a", site.bare("evil"), name="third", validator="1")
    site.script.on_read = read
    declare(site, "up", "down", "third")

    async def declaring(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        for group in site.script.upstream(conduit.options.upstream).groups:
            yield Group(group, "1", listed=True, shared=conduit.options.upstream == "down")

    site.script.on_declare = declaring
    site.applied()
    assert site.held() == ["a/both", "a/one", "b/evil", "b/two"]


def test_a_third_source_may_share_as_well(site: Rehearsal) -> None:
    site.says(
        "a",
        unit("both", "third"),
        unit("more", "third"),
        site.bare("last"),
        name="third",
        validator="1",
    )
    declare(site, "up", "down", "third")
    site.applied()
    assert site.sources() == {
        "a/both": {"remote:up"},
        "a/one": {"remote:up"},
        "a/more": {"remote:down"},
        "a/last": {"remote:third"},
        "b/two": {"remote:up"},
    }
    assert site.settled()


def test_in_additive_mode_nothing_leaves_for_the_owner(site: Rehearsal) -> None:
    declare(site, "up", "down", more="sync: {mode: additive}")
    site.says("a", site.bare("one"), validator="1")
    site.applied()
    site.says("a", site.bare("one"), unit("both", "up"), validator="2")
    site.applied()
    assert by(site) == "down"
    assert site.settled()


def test_names_that_change_their_order_change_their_owner(site: Rehearsal) -> None:
    site.applied()
    declare(site, "down", "up")
    site.applied()
    assert by(site) == "down"
    assert site.held() == ["a/both", "a/more", "b/evil"]
    assert site.settled()


def test_explain_shows_the_owner_and_both_who_answer(site: Rehearsal) -> None:
    site.applied()
    found = site.explain("a")
    assert found["groups"] == [{"name": "a", "owner": "remote:up"}]
    assert [source["groups"][0]["result"] for source in found["sources"]] == [
        "answered",
        "answered",
    ]
