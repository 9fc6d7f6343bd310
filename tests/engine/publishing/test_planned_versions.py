"""Content that filters withhold of a planned version stands in the plan, and is guarded.

The kind: a decision that is first taken while the plan is carried out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.publishing.withheld import change, rows, shown, two_groups
from tests.support.rehearsal import Rehearsal, publication, repository, resource

ADDITIVE = "sync: {mode: additive}"
STRICT = resource("Filter", "strict", "type: lines, deny: [four, six, three]")
STRICT_TEAM = publication(more="filters: [strict]")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with two_groups(tmp_path) as site:
        yield site


@pytest.mark.parametrize("mode", ["", ADDITIVE])
def test_a_filter_of_the_publication_is_in_the_plan_of_the_version(
    site: Rehearsal, mode: str
) -> None:
    site.declare(site.remote(), STRICT, repository("team", more=mode), STRICT_TEAM)
    assert rows(site) == ["- b/three strict.deny"], "also of the first version"
    site.applied()
    assert shown(site) == ["a/one", "a/two"]
    site.says("c", site.file("four"), site.file("five"), validator="1")
    site.says("a", site.file("one"), site.file("six"), validator="2")
    assert rows(site) == ["- a/six strict.deny", "- c/four strict.deny"]
    site.applied()
    expected = ["a/one", "a/two", "c/five"] if mode else ["a/one", "c/five"]
    assert shown(site) == expected
    assert site.settled()


def test_a_guard_counts_what_a_new_additive_version_takes_away(site: Rehearsal) -> None:
    """A filter reaches an additive repository with the version that brings a replacement."""
    base = repository("team", more=ADDITIVE, removals="10%")
    site.declare(site.remote(), base, publication())
    site.applied()
    site.says("c", site.file("five"), validator="1")
    site.declare(site.remote(), STRICT, base, STRICT_TEAM)
    refused = change(site, "team", destroy=False)
    assert "publication `team` would lose 1 of its 3 lines" in refused.refusal
    assert rows(site) == ["- b/three strict.deny"]
    site.applied()
    assert shown(site) == ["a/one", "a/two", "c/five"]


def test_what_the_plan_removes_is_not_withheld(site: Rehearsal) -> None:
    site.declare(site.remote(), repository(), publication())
    site.applied()
    site.drops("b")
    site.declare(site.remote(), STRICT, repository(), STRICT_TEAM)
    assert rows(site) == []
    site.applied()
    assert shown(site) == ["a/one", "a/two"]
