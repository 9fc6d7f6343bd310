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
from reconciler.plugin import UNCHANGED, Group, ImporterCall, Unchanged, Unit
from tests.support.faulty import status
from tests.support.rehearsal import Rehearsal, rehearsal, repository, rules, source


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as found:
        found.validator("v1")
        found.says("a", found.file("one"), found.file("two"))
        found.says("b", found.file("three"))
        found.declare(found.remote(), repository())
        yield found


def asked(stage: Rehearsal) -> list[str]:
    """Groups that the next apply reads."""
    stage.script.forget()
    stage.applied()
    return sorted(stage.script.asked)


def test_what_is_unchanged_is_not_read(stage: Rehearsal) -> None:
    assert asked(stage) == ["up/a", "up/b"]
    stage.says("a", stage.file("never read"))
    assert asked(stage) == []
    assert stage.script.declared == ["up"], "it is asked, once"
    assert stage.settled()


def test_a_validator_that_moved_alone_is_committed(stage: Rehearsal) -> None:
    stage.applied()
    stage.validator("v2")
    assert asked(stage) == ["up/a", "up/b"]
    assert stage.number() == 1
    assert stage.committed().validator == "v2"
    assert asked(stage) == []


def test_groups_with_validators_of_their_own_are_settled_one_by_one(stage: Rehearsal) -> None:
    stage.says("a", stage.file("one"), validator="a1")
    stage.applied()
    stage.validator("v2")
    assert asked(stage) == ["up/b"]


def test_other_rules_are_not_what_it_was_committed_under(stage: Rehearsal) -> None:
    stage.applied()
    stage.declare(stage.remote(), repository(), rules("deny: [two]"))
    assert asked(stage) == ["up/a", "up/b"]
    assert stage.held() == ["a/one", "b/three"]
    stage.declare(stage.remote(), repository("team", "remote: {name: up, skip: [one]}"))
    assert asked(stage) == ["up/a", "up/b"]
    assert stage.held() == ["a/two", "b/three"]
    assert asked(stage) == []


def test_another_url_is_another_source(stage: Rehearsal) -> None:
    stage.applied()
    stage.declare(stage.remote().replace("127.0.0.1", "localhost"), repository())
    assert asked(stage) == ["up/a", "up/b"]


def test_a_cooldown_that_is_over_is_looked_at_again(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository(), rules("later: [one]"))
    stage.applied()
    assert asked(stage) == []
    stage.now += timedelta(days=1)
    assert asked(stage) == ["up/a", "up/b"]
    assert stage.held() == ["a/one", "a/two", "b/three"]
    assert asked(stage) == []


def test_a_file_that_failed_is_asked_for_again(stage: Rehearsal) -> None:
    stage.server.on("/two", status(503))
    assert "`two`" in stage.failed()
    assert stage.held() == ["a/one", "b/three"]
    stage.file("two")
    stage.script.forget()
    stage.applied()
    assert "up/a" in stage.script.asked
    assert stage.held() == ["a/one", "a/two", "b/three"]
    assert asked(stage) == []


def test_a_group_that_failed_is_asked_for_again(stage: Rehearsal) -> None:
    stage.applied()
    stage.validator("v2")
    stage.script.failing["a"] = Unreachable("no answer")
    assert "no answer" in stage.failed()
    assert stage.committed().validator is None
    stage.script.failing.clear()
    assert "up/a" in asked(stage)
    assert asked(stage) == []


def test_a_key_that_another_source_holds_is_asked_for_again(stage: Rehearsal) -> None:
    """In additive mode a name changes hands while its units do not: what waits for that is no
    settled state.
    """
    both = [stage.remote(), stage.remote("other")]
    stage.says("a", stage.bare("one", by="other"), name="other")
    stage.validator("o1", "other")
    stage.declare(*both, repository("team", source("up"), more="sync: {mode: additive}"))
    stage.applied()
    stage.declare(
        *both, repository("team", source("other"), source("up"), more="sync: {mode: additive}")
    )
    assert "held by remote:up" in stage.text()
    for _ in range(2):
        assert "other/a" in asked(stage)


@pytest.mark.parametrize("way", ["never asked", "after a group", "told no"])
def test_unchanged_without_having_been_told_so_is_a_fault(way: str, stage: Rehearsal) -> None:
    stage.applied()

    async def declare(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        if way == "after a group":
            yield Group("a")
            assert call.unchanged("v1")
        if way == "told no":
            assert not call.unchanged("v9")
        yield UNCHANGED

    stage.script.on_declare = declare
    said = stage.failed()
    assert "UNCHANGED without having been told so" in said
    assert "`lines`" in said
    assert len(stage.held()) == 3


def test_a_group_that_is_unchanged_without_having_been_told_so_is_a_fault(stage: Rehearsal) -> None:
    stage.applied()
    stage.validator("v2")

    async def read(call: ImporterCall, group: Group) -> Unchanged:
        return UNCHANGED

    stage.script.on_read = read
    assert "`read` returns UNCHANGED without having been told so" in stage.failed()
    assert len(stage.held()) == 3


@pytest.fixture
def pair(stage: Rehearsal) -> Rehearsal:
    """Two sources that both have `a`."""
    stage.validator("o1", "other")
    stage.says("a", stage.bare("of other"), name="other", validator="a1")
    stage.says("c", stage.bare("of other"), name="other", validator="c1")
    ordered(stage, "up", "other")
    stage.applied()
    return stage


def ordered(stage: Rehearsal, *names: str) -> None:
    stage.declare(stage.remote(), stage.remote("other"), repository("team", *map(source, names)))


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

    async def read(call: ImporterCall, group: Group) -> list[Unit]:
        holdings = pair.script.upstream(call.options.upstream)
        if call.options.upstream == "up" and group.name == "a":
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


def test_an_uploaded_name_is_taken_from_a_source_that_did_not_change(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository("team", "upload: {}", "remote: {name: up}"))
    stage.applied()
    stage.upload("mine", b"my own", fields={"group": "a"})
    stage.applied()
    assert stage.held() == ["a/mine", "b/three"]
    stage.remove("mine")
    stage.applied()
    assert stage.held() == ["a/one", "a/two", "b/three"]


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
        with TemporaryDirectory() as folder, rehearsal(Path(folder)) as stage:
            held = []
            for up, other, swapped in steps:
                for name, groups in (("up", up), ("other", other)):
                    holdings = stage.script.upstream(name)
                    holdings.groups = {
                        group: [stage.bare(key, of=name) for key in sorted(keys)]
                        for group, keys in groups.items()
                    }
                    holdings.validator = (
                        str(sorted((group, sorted(keys)) for group, keys in groups.items()))
                        if honest
                        else None
                    )
                ordered(stage, *(("other", "up") if swapped else ("up", "other")))
                stage.applied()
                held.append([(unit.group, unit.key, str(unit.metadata)) for unit in stage.units()])
            outcomes.append(held)
    assert outcomes[0] == outcomes[1]
