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
from reconciler.errors import Gone, Withdrawn
from reconciler.model import Kind
from reconciler.plugin import Group, ImporterCall
from tests.support.rehearsal import Rehearsal, rehearsal, repository


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    """`named` and `other` are named by the manifest, `listed` by upstream's list alone."""

    with rehearsal(tmp_path) as stage:

        async def declare(call: ImporterCall) -> AsyncIterator[Group]:
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

    async def read(call: ImporterCall, group: Group) -> Any:
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
    async def declare(call: ImporterCall) -> AsyncIterator[Group]:
        yield Group("tpyo")

    async def read(call: ImporterCall, group: Group) -> Any:
        raise Gone("404 Not Found")

    site.script.on_declare, site.script.on_read = declare, read
    site.declare(site.remote(), repository("fresh"))
    text = site.text()
    assert "warning: remote:up: tpyo: 404 Not Found" in text
    assert "hint: is the name right?" in text
    assert not site.apply().failed
