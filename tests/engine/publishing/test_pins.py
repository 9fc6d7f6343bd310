"""A rule that counts drops nothing that a source names, wherever it decides again.

The kind: a decision that is taken again without what the first one knew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.publishing.withheld import shown, status
from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository, rules

PINNING = "remote: {name: up, pinned: [c]}"
NEWEST = rules("most: 1").replace("global: true", "global: false")
OWN = "filters: [rules]"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    """A source of `a` to `d`, of which it pins `c`."""
    with rehearsal(tmp_path) as site:
        site.says("g", *map(site.file, "abcd"))
        yield site


def declare(site: Rehearsal, *documents: str) -> None:
    site.declare(site.remote(), NEWEST, *documents)
    site.applied()


def test_a_publication_with_a_filter_of_its_own_shows_what_is_pinned(site: Rehearsal) -> None:
    declare(site, repository("team", PINNING), publication(more=OWN))
    assert shown(site) == ["g/a", "g/c"]
    assert site.settled()
    declare(site, repository(), publication(more=OWN))
    assert shown(site) == ["g/a"], "the pin is gone, and with it the reason"


def test_additive_content_that_is_pinned_stays_shown(site: Rehearsal) -> None:
    additive = repository("team", PINNING, more="sync: {mode: additive}, filters: [rules]")
    declare(site, additive, publication())
    assert (site.held(), status(site)) == (["g/a", "g/c"], {})


def test_what_the_base_of_a_copy_pins_is_shown_of_the_copy(site: Rehearsal) -> None:
    page = publication("copied", of="copied", more=OWN)
    declare(site, repository("team", PINNING), repository("copied", copy()), page)
    assert shown(site, "copied") == ["g/a", "g/c"]


def test_a_copy_takes_in_what_its_base_pins_against_its_own_filter(site: Rehearsal) -> None:
    base = repository("team", PINNING, more="filters: [rules]")
    declare(site, base, repository("copied", copy()))
    assert site.held("copied") == ["g/a", "g/c"]
