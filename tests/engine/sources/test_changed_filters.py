"""Recorded units are decided again, and no page is read, if nothing but filters changed.

It ends where reading every page ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import ReconcilerError, Withdrawn
from reconciler.model import Digest
from reconciler.plan import ContentChanges, GroupChange, render_text
from reconciler.plugin import UNCHANGED, ActiveFilter, Artifact, Group, ReadConduit, Unchanged, Unit
from tests.support.rehearsal import Rehearsal, rehearsal, repository, rules, source
from tests.support.scripted_plugins import LINE, LineRules


def never(filters: Sequence[ActiveFilter]) -> bool:
    return False


def always(filters: Sequence[ActiveFilter]) -> bool:
    return True


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    """Groups `a` and `b`, of which the list says when they change."""
    with rehearsal(tmp_path) as site:
        site.script.filters_need_read = never
        site.says("a", site.file("one"), site.file("two"), validator="a1")
        site.says("b", site.file("three"), validator="b1")
        declare(site, "deny: [none]")
        site.applied()
        yield site


def declare(site: Rehearsal, filtered: str, *sources: str, more: str = "") -> None:
    site.declare(site.remote(), repository("team", *sources, more=more), rules(filtered))


def asked(site: Rehearsal) -> list[str]:
    """Groups that the next apply reads."""
    site.script.forget()
    site.applied()
    return sorted(site.script.asked)


def test_what_is_held_whole_is_decided_again_without_its_page(site: Rehearsal) -> None:
    declare(site, "deny: [two]")
    assert asked(site) == []
    assert site.held() == ["a/one", "b/three"]
    assert site.settled()


def test_a_group_with_refusals_is_read(site: Rehearsal) -> None:
    """Only its page shows what upstream offers beside what is held."""
    declare(site, "deny: [two]")
    site.applied()
    declare(site, "deny: [none]")
    assert asked(site) == ["up/a"]
    assert site.held() == ["a/one", "a/two", "b/three"]
    declare(site, "deny: [other]")
    assert asked(site) == []


def test_a_group_that_changed_upstream_is_read(site: Rehearsal) -> None:
    site.says("a", site.file("one"), site.file("new"), validator="a2")
    declare(site, "deny: [three]")
    assert asked(site) == ["up/a"]
    assert site.held() == ["a/new", "a/one"]


def test_a_plugin_that_says_that_its_page_is_unchanged_is_believed(site: Rehearsal) -> None:
    """Its page is asked for where the list says nothing of a group, and need not be parsed."""

    async def read(conduit: ReadConduit, group: Group) -> list[Unit] | Unchanged:
        if conduit.unchanged("page 1"):
            return UNCHANGED
        return site.script.upstream("up").groups[group.name]

    site.script.on_read = read
    for name in "ab":
        site.script.upstream("up").validators[name] = None
    site.applied()
    declare(site, "deny: [two]")
    assert asked(site) == ["up/a", "up/b"]
    assert site.held() == ["a/one", "b/three"]
    assert asked(site) == ["up/a", "up/b"]
    assert site.settled()


@pytest.mark.parametrize("which", ["before", "after"])
def test_filters_that_reading_depends_on_have_it_read(which: str, site: Rehearsal) -> None:
    """Those of before have left their traces in what is recorded."""

    def needed(filters: Sequence[ActiveFilter]) -> bool:
        [active] = filters
        assert isinstance(active.options, LineRules)
        return active.options.deny == (("none",) if which == "before" else ("two",))

    site.script.filters_need_read = needed
    declare(site, "deny: [two]")
    assert asked(site) == ["up/a", "up/b"]


def test_only_a_plain_no_spares_the_reading(site: Rehearsal) -> None:
    nothing: Any = None
    site.script.filters_need_read = lambda filters: nothing
    declare(site, "deny: [two]")
    assert asked(site) == ["up/a", "up/b"]


def test_a_plugin_that_cannot_say_it_is_a_failure_of_its_source(site: Rehearsal) -> None:
    def broken(filters: Sequence[ActiveFilter]) -> bool:
        raise ZeroDivisionError("oops")

    site.script.filters_need_read = broken
    declare(site, "deny: [two]")
    assert "oops" in site.failed()
    assert site.held() == ["a/one", "a/two", "b/three"]


@pytest.mark.parametrize("changed", ["options", "policy", "repository"])
def test_anything_else_that_changed_has_it_read(changed: str, site: Rehearsal) -> None:
    skip = "remote: {name: up, skip: [one]}" if changed == "options" else "remote: {name: up}"
    remote = site.remote(more="policy: on-demand" if changed == "policy" else "")
    more = "sync: {mode: additive}" if changed == "repository" else ""
    site.declare(remote, repository("team", skip, more=more), rules("deny: [two]"))
    assert asked(site) == ["up/a", "up/b"]


def test_a_group_whose_bytes_are_missing_is_read_for_their_urls(site: Rehearsal) -> None:
    with site.home.database(read_only=False) as database:
        database.writer().artifacts_removed([Digest.of(b"three" * 10)])
    declare(site, "deny: [two]")
    assert asked(site) == ["up/b"]


# As a property: whatever happened before, the plan is the one that reading every page makes

KEYS, NAMES = ("x", "y", "z"), ("a", "b")
OFFERS = st.dictionaries(
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(KEYS), st.integers(1, 2), max_size=3),
    max_size=2,
)


@dataclass(frozen=True)
class Step:
    """Contents of upstreams, and the rules by which they are decided.

    Attributes:
        up, other: Revisions of keys by group; None for what they held.
        broken: A key that cannot become a unit.
        quarantined: A group of which `up` offers nothing.
        short: Whether the apply may decide what is recorded.
    """

    up: dict[str, dict[str, int]] | None
    other: dict[str, dict[str, int]] | None
    deny: frozenset[str]
    settled: frozenset[str]
    most: int | None
    max: int | None
    broken: str
    quarantined: str
    days: int
    upload: bool
    replaceable: bool
    short: bool


STEPS = st.builds(
    Step,
    up=st.none() | st.none() | st.none() | OFFERS,
    other=st.none() | st.none() | st.none() | OFFERS,
    deny=st.sampled_from([frozenset(keys) for keys in ("", "", "", "x", "z", "xy")]),
    settled=st.sampled_from([frozenset(keys) for keys in ("", "", "y")]),
    most=st.sampled_from((None, None, 4, 2)),
    max=st.sampled_from((None, 99, 98, 15)),
    broken=st.sampled_from(("", "", "", "x")),
    quarantined=st.sampled_from(("", "", "", "", "a")),
    days=st.integers(0, 1),
    upload=st.sampled_from((False, False, False, True)),
    replaceable=st.sampled_from((True, True, False)),
    short=st.booleans(),
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(STEPS, min_size=2, max_size=5),
    additive=st.booleans(),
    shared=st.booleans(),
    listed=st.booleans(),
)
def test_the_plan_is_that_of_reading_every_page(
    steps: list[Step], additive: bool, shared: bool, listed: bool
) -> None:
    with TemporaryDirectory() as folder, rehearsal(Path(folder)) as site:
        _script(site, shared=shared, listed=listed)
        for number, step in enumerate(steps):
            _take(site, step, number, additive=additive)
            plans = []
            for way in (always, never):
                site.script.filters_need_read = way
                plans.append(_facts(site))
            assert plans[0] == plans[1]
            site.script.filters_need_read = never if step.short else always
            site.apply()


def _script(site: Rehearsal, *, shared: bool, listed: bool) -> None:
    async def asked_for(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        name = conduit.options.upstream
        for group, units in site.script.upstream(name).groups.items():
            yield Group(
                group,
                _validator(site, name, group, units) if listed else None,
                listed=True,
                shared=shared and name == "other",
            )

    async def read(conduit: ReadConduit, group: Group) -> Sequence[Unit] | Unchanged:
        name = conduit.options.upstream
        units = site.script.upstream(name).groups[group.name]
        if name == "up" and group.name in site.script.failing:
            raise site.script.failing[group.name]
        if conduit.unchanged(_validator(site, name, group.name, units)):
            return UNCHANGED
        for unit in units:
            if unit.metadata.get("_broken"):
                conduit.refuse(unit.key, "it is broken")
        return [unit for unit in units if not unit.metadata.get("_broken")]

    site.script.on_declare, site.script.on_read = asked_for, read
    for name, group in (("up", "a"), ("up", "b"), ("other", "c")):
        site.script.upstream(name).groups[group] = [_unit(key, 1, "") for key in KEYS]


def _validator(site: Rehearsal, name: str, group: str, units: Sequence[Unit]) -> str:
    failing = name == "up" and group in site.script.failing
    return Digest.of_value([str(sorted(map(repr, units))), failing]).hex


def _take(site: Rehearsal, step: Step, number: int, *, additive: bool) -> None:
    for name, offers in (("up", step.up), ("other", step.other)):
        if offers is not None:
            site.script.upstream(name).groups = {
                group: [_unit(key, revision, step.broken) for key, revision in keys.items()]
                for group, keys in offers.items()
            }
    site.script.failing = {step.quarantined: Withdrawn("quarantined")} if step.quarantined else {}
    site.script.replaceable = step.replaceable
    site.now += timedelta(days=step.days)
    limits = {"most": step.most, "max": step.max}
    site.declare(
        *(site.remote(name, more="policy: on-demand") for name in ("up", "other")),
        repository(
            "team",
            source("up"),
            source("other"),
            "upload: {}",
            more="sync: {mode: additive}" if additive else "",
        ),
        rules(
            f"deny: {sorted(step.deny)}, settled: {sorted(step.settled)}"
            + "".join(f", {key}: {value}" for key, value in limits.items() if value is not None)
        ),
    )
    if step.upload and number:
        with suppress(ReconcilerError):  # the name belongs to a remote
            site.upload(f"mine{number}", b"my own", fields={"group": "b"})


def _unit(key: str, revision: int, broken: str) -> Unit:
    data = f"{key}{revision}".encode() * 5 * revision
    digest = Digest.of(data).hex
    metadata: dict[str, Any] = {"revision": revision}
    if key == broken:
        metadata["_broken"] = True
    url = f"http://127.0.0.1:9/{digest}"
    return Unit(LINE, key, metadata, [Artifact(key, digest, len(data), url)])


def _facts(site: Rehearsal) -> tuple[list[str], dict[str, Any], list[GroupChange], Digest]:
    """All that a plan shows of the repository, and all that it would record."""
    plan = site.plan()
    [content] = [
        change.content for change in plan.changes if isinstance(change.content, ContentChanges)
    ]
    told = {part.name: getattr(content, part.name) for part in fields(content)}
    spool = told.pop("spool")
    return [*render_text(plan, verbose=True)], told, [*spool], spool.digest
