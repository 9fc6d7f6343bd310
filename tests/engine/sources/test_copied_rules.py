"""A copy does not serve what its base withholds.

The kind: rules that stay behind while the content that they are about moves on, through
`repository:` sources, over several steps, and out of pinned versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.plan import GroupChange
from tests.engine.publishing.withheld import change, shown, status, two_groups
from tests.support.rehearsal import (
    Rehearsal,
    copy,
    publication,
    repository,
    resource,
    source,
)
from tests.support.scripted_plugins import NOW

WITHHELD = "house.deny, as in repository base"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as site:
        yield site


def house(deny: str, name: str = "house", more: str = "") -> str:
    """A filter that is not global."""
    return resource("Filter", name, f"type: lines, deny: [{deny}]{more}")


def base(*filters: str, more: str = "") -> str:
    listed = f"filters: [{', '.join(filters)}]" if filters else ""
    keys = ", ".join(key for key in (listed, more) if key)
    return repository("base", "remote: {name: up}", "upload: {}", more=keys)


def declare(site: Rehearsal, *documents: str) -> None:
    site.declare(site.remote(), *documents)


def test_a_copy_takes_in_nothing_that_its_base_withholds(site: Rehearsal) -> None:
    team = repository("team", copy("base"))
    additive = "sync: {mode: additive}"
    declare(site, base(more=additive), team, publication())
    site.applied()
    declare(site, base("house", more=additive), house("one"), team, publication())
    site.applied()
    assert site.held("base") == ["a/one", "a/two", "b/three"], "an additive base keeps it"
    assert (site.held(), shown(site)) == (["a/two", "b/three"], ["a/two", "b/three"])
    assert site.settled()
    assert WITHHELD in str(site.explain("a", declared=True))
    declare(site, base(more=additive), house("one"), team, publication())
    site.applied()
    assert shown(site) == ["a/one", "a/two", "b/three"], "with the filter goes what it withheld"


def test_a_pinned_version_of_the_base_is_copied_by_todays_rules(site: Rehearsal) -> None:
    team = repository("team", copy("base", version="1"))
    declare(site, base(), team, publication())
    site.apply()  # makes version 1: a number refers to what exists when planning
    site.applied()
    declare(site, base("house"), house("one"), team, publication())
    site.applied()
    assert site.held("base") == ["a/two", "b/three"]
    assert (site.held(), shown(site)) == (["a/two", "b/three"], ["a/two", "b/three"])
    assert site.settled()


def test_a_pinned_publication_of_a_copy_withholds_it_as_well(site: Rehearsal) -> None:
    team = repository("team", copy("base"))
    pinned = publication("pinned", more="version: 1")
    declare(site, base(), team, pinned)
    site.apply()  # makes version 1: a number refers to what exists when planning
    site.applied()
    declare(site, base("house"), house("one"), team, pinned)
    assert [line.reason for group in changes(site, "pinned") for line in group.lines] == [WITHHELD]
    site.applied()
    assert (shown(site, "pinned"), status(site, "pinned")) == (
        ["a/two", "b/three"],
        {"a/one": WITHHELD},
    )
    assert site.settled()
    team = repository("team", "upload: {}")  # the copying source is no longer declared
    declare(site, base("house"), house("one"), team, pinned)
    site.applied()
    assert shown(site, "pinned") == ["a/two", "b/three"]


def test_it_goes_along_over_several_steps(site: Rehearsal) -> None:
    documents = [
        repository("team", copy("base"), more="sync: {mode: additive}"),
        repository("edge", copy("team"), more="sync: {mode: additive}"),
        publication("edge", of="edge"),
        publication("pinned", of="edge", more="version: 1"),
    ]
    declare(site, base(), *documents)
    site.apply()  # makes version 1: a number refers to what exists when planning
    site.applied()
    declare(site, base("house"), house("one"), *documents)
    site.applied()
    for name in ("edge", "pinned"):
        assert (shown(site, name), status(site, name)) == (
            ["a/two", "b/three"],
            {"a/one": WITHHELD},
        )
    fresh = repository("fresh", copy("edge", version="1"))
    declare(site, base("house"), house("one"), *documents, fresh, publication("fresh", of="fresh"))
    site.applied()
    assert (site.held("fresh"), shown(site, "fresh")) == (
        ["a/two", "b/three"],
        ["a/two", "b/three"],
    )


def test_only_what_came_from_the_base_obeys_its_rules(site: Rehearsal) -> None:
    """Two sources hold the same key in groups of their own; one of them is a copy."""
    site.says("c", site.file("one", b"another one"), name="other", validator="1")
    strict = repository("strict", "remote: {name: up}", more="filters: [house]")
    mixed = repository("mixed", copy("strict"), source("other"), more="sync: {mode: additive}")
    team = repository("team", copy("mixed"))
    declare(site, site.remote("other"), house("one"), strict, mixed, team, publication())
    site.applied()
    assert site.held("strict") == ["a/two", "b/three"]
    assert site.held("mixed") == ["a/two", "b/three", "c/one"]
    assert shown(site) == ["a/two", "b/three", "c/one"], "two steps away it is still not strict's"


def test_uploads_of_the_base_are_copied_by_the_rules_for_uploads(site: Rehearsal) -> None:
    waits = resource("Filter", "house", "type: lines, later: [one, sent]")
    team = repository("team", copy("base"))
    declare(site, base("house"), waits, team, publication())
    site.applied()
    site.upload("sent", b"sent", to="base")
    site.applied()
    assert shown(site) == ["a/two", "b/three", "uploads/sent"], "time counts for remotes alone"
    site.now = NOW + timedelta(days=1)
    site.applied()
    assert shown(site) == ["a/one", "a/two", "b/three", "uploads/sent"]


def changes(site: Rehearsal, name: str) -> list[GroupChange]:
    withheld = change(site, name).withheld
    assert withheld is not None
    return list(withheld.spool)
