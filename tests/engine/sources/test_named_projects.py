"""Projects that a manifest names do not leave in silence when upstream takes them away.

Neither a missing page nor an empty one removes it: the guard refuses, only that group, until it is
approved. What the manifests' author takes out leaves as ever.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine.inspect import Inspector
from reconciler.engine.sources.group_refusals import nothing_passes
from reconciler.engine.sources.repository_resolution import MOST_REMARKS
from reconciler.errors import Gone, Malformed, Withdrawn
from reconciler.model import Kind
from reconciler.plan import RefusedUnit
from reconciler.plugin import Group, ReadConduit
from tests.support.rehearsal import Rehearsal, rehearsal, repository, rules
from tests.support.scripted_plugins import LINE


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    """`named` and `other` are named by the manifest, `listed` by upstream's list alone."""

    with rehearsal(tmp_path) as stage:

        async def declare(conduit: ReadConduit) -> AsyncIterator[Group]:
            for name in ("listed", "named", "other"):
                if name in stage.script.upstream("up").groups:
                    yield Group(name, listed=name == "listed")

        stage.script.on_declare = declare
        for name in ("listed", "named", "other"):
            stage.says(name, stage.bare(f"{name}-1"), stage.bare(f"{name}-2"))
        declared(stage)
        stage.applied()
        yield stage


def declared(site: Rehearsal, more: str = "") -> None:
    site.declare(site.remote(), repository(more=more))


def annotated(site: Rehearsal, until: str) -> None:
    text = repository().replace(
        "metadata: {name: team}",
        f'metadata: {{name: team, annotations: {{reconciler/allow-removals-until: "{until}"}}}}',
    )
    site.declare(site.remote(), text)


def condition(site: Rehearsal) -> list[dict[str, Any]]:
    [document] = site.ask(
        lambda reader: Inspector(reader, site.registry).resources(Kind.REPOSITORY, "team")
    )
    return [row for row in document["status"]["conditions"] if row["type"] == "Stalled"]


NAMED = {"named/named-1", "named/named-2"}


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_upstream_takes_a_named_project_away_and_it_stays(site: Rehearsal, how: str) -> None:
    take(site, "named", how)
    site.says("other", site.bare("other-3"))
    said = site.failed(destroy=False)
    assert "named: upstream took it away" in said
    assert set(site.held()) >= NAMED
    assert "other/other-3" in site.held(), "other projects go on"
    [stalled] = condition(site)
    assert stalled["reason"] == "NamedProjectGone"
    assert site.failed(destroy=False), "again, until somebody decides"
    site.script.on_read = None
    site.says("named", site.bare("named-1"), site.bare("named-2"))
    assert not site.apply(destroy=False).failed
    assert condition(site) == [], "it came back"


def take(site: Rehearsal, name: str, how: str = "gone") -> None:
    site.says(name)

    async def read(conduit: ReadConduit, group: Group) -> Any:
        if group.name == name and how != "empty":
            raise (Gone if how == "gone" else Withdrawn)("404 Not Found")
        return site.script.upstream("up").groups[group.name]

    site.script.on_read = read


@pytest.mark.parametrize("approval", ["allow", "flag", "annotation"])
def test_approval_lets_it_go(site: Rehearsal, approval: str) -> None:
    take(site, "named")
    if approval == "allow":
        site.declare(site.remote(), repository(removals="100%, namedProjects: allow"))
    elif approval == "annotation":
        annotated(site, (site.now + timedelta(hours=1)).isoformat())
    assert not site.apply(destroy=approval == "flag").failed
    assert not NAMED & set(site.held())
    assert not site.apply(destroy=False).failed
    assert condition(site) == []


def test_an_approval_that_has_run_out_approves_nothing(site: Rehearsal) -> None:
    take(site, "named")
    annotated(site, (site.now - timedelta(seconds=1)).isoformat())
    assert site.failed(destroy=False)
    assert set(site.held()) >= NAMED


@pytest.mark.parametrize("approval", [False, True])
def test_what_has_to_be_there_stays_and_is_said_to_be_taken_away(
    site: Rehearsal, approval: bool
) -> None:
    """Kind: an absence that is an error of its own is an absence all the same.

    Approval of its removal does not make it superfluous.
    """

    async def read(conduit: ReadConduit, group: Group) -> Any:
        if group.name == "named":
            raise Malformed("line 3 asks for it") from Gone("404 Not Found")
        return site.script.upstream("up").groups[group.name]

    site.script.on_read = read
    said = site.failed(destroy=approval)
    assert "named: line 3 asks for it" in said
    assert ("upstream took it away, 2 units of it are kept" in said) is not approval
    assert set(site.held()) >= NAMED
    reasons = [row["reason"] for row in condition(site)]
    assert reasons == ([] if approval else ["NamedProjectGone"])


def test_what_only_a_list_names_leaves_with_the_list(site: Rehearsal) -> None:
    take(site, "listed")
    site.applied(destroy=False)
    assert not any(path.startswith("listed/") for path in site.held())


def test_a_withdrawal_that_upstream_announces_is_carried_out(site: Rehearsal) -> None:
    take(site, "named", "withdrawn")
    site.applied(destroy=False)
    assert not NAMED & set(site.held())


def test_what_the_manifest_no_longer_names_leaves(site: Rehearsal) -> None:
    site.drops("named")
    site.applied(destroy=False)
    assert not NAMED & set(site.held())


def test_additive_content_stays_without_a_failure(site: Rehearsal) -> None:
    declared(site, "sync: {mode: additive}")
    site.applied(destroy=False)
    take(site, "named")
    site.applied(destroy=False)
    assert set(site.held()) >= NAMED


def test_a_name_that_never_had_content_only_warns(site: Rehearsal) -> None:
    async def declare(conduit: ReadConduit) -> AsyncIterator[Group]:
        yield Group("tpyo")

    async def read(conduit: ReadConduit, group: Group) -> Any:
        raise Gone("404 Not Found")

    site.script.on_declare, site.script.on_read = declare, read
    site.declare(site.remote(), repository("fresh"))
    text = site.text()
    assert "warning: remote:up: tpyo: 404 Not Found" in text
    assert "hint: is the name right?" in text
    assert not site.apply().failed


def test_a_named_project_of_which_nothing_passes_is_said(site: Rehearsal) -> None:
    """Kind: what was asked for by name stays out, and nothing says so."""
    site.declare(site.remote(), rules("deny: [new-1, listed-3]"), repository())

    async def declare(conduit: ReadConduit) -> AsyncIterator[Group]:
        for name in ("listed", "new", "empty", "other"):
            yield Group(name, listed=name == "listed")

    site.script.on_declare = declare
    site.says("listed", site.bare("listed-3"))
    site.says("new", site.bare("new-1"))
    site.says("empty")
    assert {str(warning) for warning in site.content().warnings} == {
        "remote:up: empty: nothing passes: upstream offers no lines",
        "remote:up: new: nothing passes; 1 line refused (rules.deny)",
    }


def refused(version: str | None, rule: str) -> RefusedUnit:
    return RefusedUnit(LINE, f"{version} {rule}", f"because of {rule}", version, rule=rule)


@pytest.mark.parametrize(
    ("refusals", "said"),
    [
        (
            [refused("4.67.1", "house.licenses"), refused("4.9", "house.licenses")],
            "newest 4.67.1 refused (house.licenses)",
        ),
        (
            [refused("5.0rc1", "house.prereleases"), refused("4.10", "house.licenses")],
            "newest 5.0rc1 refused (house.prereleases), 4.10 (house.licenses)",
        ),
        (
            [refused(None, "no version"), refused(None, "no version")],
            "2 lines refused (no version)",
        ),
        (
            [refused(f"{number}.0", f"rule {number}") for number in range(1, 6)],
            "newest 5.0 refused (rule 5), 4.0 (rule 4), 3.0 (rule 3), 2 more rules",
        ),
    ],
)
def test_the_newest_that_each_rule_refuses_is_said(refusals: list[RefusedUnit], said: str) -> None:
    assert nothing_passes(refusals, "lines") == f"nothing passes; {said}"


def test_remarks_of_one_source_are_bounded(tmp_path: Path) -> None:
    with rehearsal(tmp_path) as site:
        site.declare(site.remote(), repository())

        async def declare(conduit: ReadConduit) -> AsyncIterator[Group]:
            for number in range(MOST_REMARKS + 3):
                site.says(f"g{number}")
                yield Group(f"g{number}")

        site.script.on_declare = declare
        warnings = site.content().warnings
    assert len(warnings) == MOST_REMARKS + 1
    assert str(warnings[0]) == "remote:up: 3 more warnings about what it offers"
