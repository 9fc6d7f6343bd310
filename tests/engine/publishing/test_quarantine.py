"""Withdrawn content is withheld from every publication that shows it, as a denied unit is.

The kind: news from upstream that reaches the latest version of a mirror and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import Inspector
from reconciler.errors import Gone, Withdrawn
from reconciler.model import Kind
from tests.engine.publishing.withheld import change, establish, rows, shown, status, two_groups
from tests.support.rehearsal import Rehearsal, copy, publication, repository, rules

ADDITIVE = "sync: {mode: additive}"
PINNED = publication("pinned", more="version: 1")
KEPT = publication("kept", more="version: 1, quarantined: keep")
GONE_A = {"a/one": "quarantined upstream", "a/two": "quarantined upstream"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as site:
        yield site


def quarantine(site: Rehearsal, error: Exception | None = None) -> None:
    """Let upstream withdraw group `a`."""
    site.says("a", validator="2")
    site.script.failing["a"] = error or Withdrawn("quarantined: malware")


@pytest.mark.parametrize("mode", ["", ADDITIVE])
def test_a_quarantine_reaches_pinned_and_additive_publications(site: Rehearsal, mode: str) -> None:
    establish(site, site.remote(), repository("team", more=mode), publication(), PINNED)
    quarantine(site)
    assert rows(site, "pinned") == [f"- {key} {why}" for key, why in GONE_A.items()]
    site.applied()
    assert (shown(site), shown(site, "pinned")) == (["b/three"], ["b/three"])
    assert status(site, "pinned") == GONE_A
    assert [answer.status for answer in site.get("/pinned/a/one", "/pinned/b/three")] == [404, 200]
    assert site.settled()


@pytest.mark.parametrize("mode", ["", ADDITIVE, "guard: {preventDestroy: true}"])
def test_a_quarantine_of_the_only_project_is_stopped_by_no_guard(
    site: Rehearsal, mode: str
) -> None:
    """The kind: a brake against accidents that goes on serving what is hostile."""
    site.drops("b")
    team = repository("team", more=mode).replace("guard: {maxRemovals: 100%}, guard", "guard")
    base = (site.remote(), team, repository("edge", copy("team")))
    establish(site, *base, publication(), PINNED, publication("edge", of="edge"))
    quarantine(site)
    site.applied(destroy=False)
    assert [shown(site, name) for name in ("team", "pinned", "edge")] == [[], [], []]
    assert site.plan(destroy=False).empty


def test_it_is_over_when_upstream_offers_the_group_again(site: Rehearsal) -> None:
    establish(site, site.remote(), repository(), PINNED)
    quarantine(site)
    site.applied()
    del site.script.failing["a"]
    site.says("a", site.file("one"), validator="3")
    assert rows(site, "pinned") == ["+ a/one", "+ a/two"]
    site.applied()
    assert (shown(site, "pinned"), status(site, "pinned")) == (["a/one", "a/two", "b/three"], {})


def test_neither_a_removal_nor_another_selection_ends_it(site: Rehearsal) -> None:
    """First it is quarantined, then it is deleted, and then it is not asked for any more."""
    establish(site, site.remote(), repository(), PINNED)
    quarantine(site)
    site.applied()
    quarantine(site, Gone("404"))
    site.applied()
    assert status(site, "pinned") == GONE_A
    site.drops("a")
    site.applied()
    assert status(site, "pinned") == GONE_A
    site.declare(repository("team", "upload: {}"), PINNED)
    site.applied()
    assert (status(site, "pinned"), site.settled()) == (GONE_A, True)


def test_a_name_that_is_not_asked_for_any_more_is_free_for_the_next_source(
    site: Rehearsal,
) -> None:
    """And stays with that one, also where the first source says that nothing changed."""
    site.says("a", site.file("mine"), name="other", validator="1")
    remotes = (site.remote(), site.remote("other"))
    sources = ("remote: {name: up}", "remote: {name: other, upstream: other}")
    establish(site, *remotes, repository("team", *sources), PINNED)
    quarantine(site)
    site.applied()
    assert "a/mine" not in site.held(), "a name in quarantine stays its source's"
    del site.script.failing["a"]
    site.drops("a")
    site.validator("v2")
    for _ in range(2):
        site.applied()
        assert "a/mine" in site.held()
    assert (status(site, "pinned"), site.settled()) == (GONE_A, True)


def test_keep_opts_out_and_plan_and_status_name_it(site: Rehearsal) -> None:
    establish(site, site.remote(), repository(), PINNED, KEPT)
    quarantine(site)
    site.applied()
    assert (shown(site, "pinned"), shown(site, "kept")) == (
        ["b/three"],
        ["a/one", "a/two", "b/three"],
    )
    assert change(site, "kept").still_shown == ("a",)
    assert "quarantined upstream, and still shown: `quarantined: keep`" in site.text()
    assert state_of(site, "kept").get("quarantinedShown") == ["a"]
    assert "quarantinedShown" not in state_of(site, "pinned")


def test_a_copy_learns_of_the_quarantine_of_its_base(site: Rehearsal) -> None:
    site.declare(site.remote(), repository("base"))
    site.applied()
    site.declare(
        site.remote(),
        repository("base"),
        repository("team", copy("base", version="1")),
        repository("edge", copy("team"), more=ADDITIVE),
        publication(),
        publication("edge", of="edge"),
    )
    site.applied()
    quarantine(site)
    site.applied()
    assert (shown(site), shown(site, "edge")) == (["b/three"], ["b/three"])
    assert site.settled()


def test_filters_and_quarantine_stand_beside_each_other(site: Rehearsal) -> None:
    establish(site, site.remote(), repository(), PINNED)
    site.declare(site.remote(), repository(), PINNED, rules("deny: [one, three]"))
    site.applied()
    quarantine(site)
    site.applied()
    assert status(site, "pinned") == {**GONE_A, "b/three": "rules.deny"}


def test_an_undeclared_publication_obeys_as_well(site: Rehearsal) -> None:
    team = (site.remote(), repository())
    establish(site, *team, PINNED)
    quarantine(site)
    site.declare(*team)
    site.applied()
    assert shown(site, "pinned") == ["b/three"]


def state_of(site: Rehearsal, name: str) -> dict[str, Any]:
    def of(registry: Any, reader: Any) -> dict[str, Any]:
        [document] = Inspector(reader, registry).resources(Kind.PUBLICATION, name)
        return dict(document["status"])

    state: dict[str, Any] = site.ask(partial(of, site.registry))
    return state
