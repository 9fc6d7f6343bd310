"""A source that says that nothing changed is believed only where it can be: as a whole, with the
same rules, among the same neighbours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import Gone, Unreachable
from reconciler.plugin import UNCHANGED, Group, ReadConduit, Unchanged, Unit
from tests.support.faulty import status
from tests.support.rehearsal import Rehearsal, rehearsal, repository, rules, source


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.validator("v1")
        site.says("a", site.file("one"), site.file("two"))
        site.says("b", site.file("three"))
        site.declare(site.remote(), repository())
        yield site


def asked(site: Rehearsal) -> list[str]:
    """Groups that the next apply reads."""
    site.script.forget()
    site.applied()
    return sorted(site.script.asked)


def test_what_is_unchanged_is_not_read(site: Rehearsal) -> None:
    assert asked(site) == ["up/a", "up/b"]
    site.says("a", site.file("never read"))
    assert asked(site) == []
    assert site.script.declared == ["up"], "it is asked, once"
    assert site.settled()


def test_a_validator_that_moved_alone_is_committed(site: Rehearsal) -> None:
    site.applied()
    site.validator("v2")
    assert asked(site) == ["up/a", "up/b"]
    assert site.number() == 1
    assert site.committed().validator == "v2"
    assert asked(site) == []


def test_groups_with_validators_of_their_own_are_settled_one_by_one(site: Rehearsal) -> None:
    site.says("a", site.file("one"), validator="a1")
    site.applied()
    site.validator("v2")
    assert asked(site) == ["up/b"]


def test_what_stands_as_declared_is_checked_like_everything_else(site: Rehearsal) -> None:
    site.says("a", site.file("one"), validator="a1")
    site.says("b", site.file("three"), validator="b1")
    site.applied()
    site.validator("v2")
    assert asked(site) == []

    async def twice(conduit: ReadConduit) -> AsyncIterator[Group]:
        for name in ("a", "b", "b"):
            yield Group(name, f"{name}1", listed=True)

    site.script.on_declare = twice
    assert "the group `b` twice" in site.failed()
    assert site.held() == ["a/one", "b/three"]


def test_other_rules_are_not_what_it_was_committed_under(site: Rehearsal) -> None:
    site.applied()
    site.declare(site.remote(), repository(), rules("deny: [two]"))
    assert asked(site) == ["up/a", "up/b"]
    assert site.held() == ["a/one", "b/three"]
    skipping = repository("team", "remote: {name: up, skip: [one]}")
    site.declare(site.remote(), skipping, rules("deny: [none]"))
    assert asked(site) == ["up/a", "up/b"]
    assert site.held() == ["a/two", "b/three"]
    assert asked(site) == []


def test_reserved_names_are_taken_from_a_source_that_nothing_else_changed(site: Rehearsal) -> None:
    site.applied()
    reserving = repository("team", "remote: {name: up}", "upload: {names: [b]}")
    site.declare(site.remote(), reserving)
    site.applied(destroy=True)
    assert site.held() == ["a/one", "a/two"]
    assert site.settled()
    site.declare(site.remote(), repository("team", "remote: {name: up}", "upload: {}"))
    site.applied()
    assert site.held() == ["a/one", "a/two", "b/three"]


def test_another_url_is_another_source(site: Rehearsal) -> None:
    site.applied()
    site.declare(site.remote().replace("127.0.0.1", "localhost"), repository())
    assert asked(site) == ["up/a", "up/b"]


def test_a_cooldown_that_is_over_is_looked_at_again(site: Rehearsal) -> None:
    site.declare(site.remote(), repository(), rules("later: [one]"))
    site.applied()
    assert asked(site) == []
    site.now += timedelta(days=1)
    assert asked(site) == ["up/a", "up/b"]
    assert site.held() == ["a/one", "a/two", "b/three"]
    assert asked(site) == []


def test_a_file_that_failed_is_asked_for_again(site: Rehearsal) -> None:
    site.server.on("/two", status(503))
    assert "`two`" in site.failed()
    assert site.held() == ["a/one", "b/three"]
    site.file("two")
    site.script.forget()
    site.applied()
    assert "up/a" in site.script.asked
    assert site.held() == ["a/one", "a/two", "b/three"]
    assert asked(site) == []


def test_a_group_that_failed_is_asked_for_again(site: Rehearsal) -> None:
    site.applied()
    site.validator("v2")
    site.script.failing["a"] = Unreachable("no answer")
    assert "no answer" in site.failed()
    assert site.committed().validator is None
    site.script.failing.clear()
    assert "up/a" in asked(site)
    assert asked(site) == []


def test_a_key_that_another_source_holds_is_asked_for_again(site: Rehearsal) -> None:
    """In additive mode a name changes hands while its units do not: what waits for that is no
    settled state.
    """
    both = [site.remote(), site.remote("other")]
    site.says("a", site.bare("one", by="other"), name="other")
    site.validator("o1", "other")
    site.declare(*both, repository("team", source("up"), more="sync: {mode: additive}"))
    site.applied()
    site.declare(
        *both, repository("team", source("other"), source("up"), more="sync: {mode: additive}")
    )
    assert "held by remote:up" in site.text()
    for _ in range(2):
        assert "other/a" in asked(site)


@pytest.mark.parametrize("way", ["never asked", "after a group", "told no"])
def test_unchanged_without_having_been_told_so_is_a_fault(way: str, site: Rehearsal) -> None:
    site.applied()

    async def declare(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        if way == "after a group":
            yield Group("a")
            assert conduit.unchanged("v1")
        if way == "told no":
            assert not conduit.unchanged("v9")
        yield UNCHANGED

    site.script.on_declare = declare
    said = site.failed()
    assert "UNCHANGED without having been told so" in said
    assert "`lines`" in said
    assert len(site.held()) == 3


def test_a_group_that_is_unchanged_without_having_been_told_so_is_a_fault(site: Rehearsal) -> None:
    site.applied()
    site.validator("v2")

    async def read(conduit: ReadConduit, group: Group) -> Unchanged:
        return UNCHANGED

    site.script.on_read = read
    assert "`read` returns UNCHANGED without having been told so" in site.failed()
    assert len(site.held()) == 3


@pytest.fixture
def pair(site: Rehearsal) -> Rehearsal:
    """Two sources that both have `a`."""
    site.validator("o1", "other")
    site.says("a", site.bare("of other"), name="other", validator="a1")
    site.says("c", site.bare("of other"), name="other", validator="c1")
    ordered(site, "up", "other")
    site.applied()
    return site


def ordered(site: Rehearsal, *names: str) -> None:
    site.declare(site.remote(), site.remote("other"), repository("team", *map(source, names)))


def test_the_first_that_has_a_name_owns_it(pair: Rehearsal) -> None:
    assert pair.held() == ["a/one", "a/two", "b/three", "c/of other"]
    assert asked(pair) == []


def test_a_name_that_an_earlier_source_drops_goes_to_one_that_did_not_change(
    pair: Rehearsal,
) -> None:
    pair.drops("a")
    pair.validator("v2")
    pair.applied()
    assert pair.held() == ["a/of other", "b/three", "c/of other"]
    assert asked(pair) == []


def test_a_name_that_an_earlier_source_takes_leaves_one_that_did_not_change(
    pair: Rehearsal,
) -> None:
    pair.says("c", pair.bare("of up"))
    pair.validator("v2")
    pair.applied()
    assert pair.held() == ["a/one", "a/two", "b/three", "c/of up"]
    assert pair.settled()


def test_sources_that_did_not_change_and_were_ordered_anew_change_hands(pair: Rehearsal) -> None:
    ordered(pair, "other", "up")
    pair.applied()
    assert pair.held() == ["a/of other", "b/three", "c/of other"]
    assert asked(pair) == []
    ordered(pair, "up", "other")
    pair.applied()
    assert pair.held() == ["a/one", "a/two", "b/three", "c/of other"]


@pytest.mark.parametrize("validator", ["a1", None])
def test_a_name_that_is_gone_stays_with_the_one_that_has_it(
    validator: str | None, pair: Rehearsal
) -> None:
    """Its first source goes on to name it, and says each time it is asked that there is nothing
    behind it.
    """
    pair.says("a", validator=validator)
    pair.script.failing["a"] = Gone("404")

    async def read(conduit: ReadConduit, group: Group) -> list[Unit]:
        holdings = pair.script.upstream(conduit.options.upstream)
        if conduit.options.upstream == "up" and group.name == "a":
            raise Gone("404")
        return holdings.groups[group.name]

    pair.script.failing.clear()
    pair.script.on_read = read
    for step in range(4):
        pair.validator(f"v{step // 2 + 2}")
        pair.applied()
        assert pair.held() == ["a/of other", "b/three", "c/of other"], step
    assert pair.settled()


def test_an_outage_of_the_first_source_gives_nothing_away(pair: Rehearsal) -> None:
    pair.script.failing["declare"] = Unreachable("no answer")
    assert "no answer" in pair.failed()
    assert pair.held() == ["a/one", "a/two", "b/three", "c/of other"]
    pair.script.failing.clear()
    pair.applied()
    assert pair.settled()


def test_an_uploaded_name_is_taken_from_a_source_that_did_not_change(site: Rehearsal) -> None:
    site.declare(site.remote(), repository("team", "upload: {}", "remote: {name: up}"))
    site.applied()
    site.upload("mine", b"my own", fields={"group": "a"})
    site.applied()
    assert site.held() == ["a/mine", "b/three"]
    site.remove("mine")
    site.applied()
    assert site.held() == ["a/one", "a/two", "b/three"]


# As a property: whoever says UNCHANGED as often as they may ends where whoever is read anew each
# time ends

NAMES = ("a", "b", "c")
HELD = st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from("xyz")), max_size=3)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(HELD, HELD, st.booleans()), min_size=2, max_size=4))
def test_believing_validators_changes_nothing(
    steps: list[tuple[dict[str, set[str]], dict[str, set[str]], bool]],
) -> None:
    outcomes = []
    for honest in (True, False):
        with TemporaryDirectory() as folder, rehearsal(Path(folder)) as site:
            held = []
            for up, other, swapped in steps:
                for name, groups in (("up", up), ("other", other)):
                    holdings = site.script.upstream(name)
                    holdings.groups = {
                        group: [site.bare(key, of=name) for key in sorted(keys)]
                        for group, keys in groups.items()
                    }
                    holdings.validator = (
                        str(sorted((group, sorted(keys)) for group, keys in groups.items()))
                        if honest
                        else None
                    )
                ordered(site, *(("other", "up") if swapped else ("up", "other")))
                site.applied()
                held.append([(unit.group, unit.key, str(unit.metadata)) for unit in site.units()])
            outcomes.append(held)
    assert outcomes[0] == outcomes[1]
