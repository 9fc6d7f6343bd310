"""A revert of manifests is no mass removal; the same content is one where upstream is behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model import Kind
from reconciler.plan import ResourceChange
from tests.support.rehearsal import Rehearsal, copy, rehearsal, repository

ALL = [f"unit-{number}" for number in range(4)]
EARLY = ["a/unit-0"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    """Version 1 holds one unit, version 2 all four, because the manifest skips fewer."""
    with rehearsal(tmp_path) as stage:
        says(stage, *ALL)
        declare(stage, *ALL[1:])
        stage.applied()
        assert stage.held() == EARLY
        declare(stage)
        stage.applied()
        yield stage


def says(site: Rehearsal, *keys: str) -> None:
    site.says("a", *map(site.bare, keys), validator=" ".join(keys))


def declare(site: Rehearsal, *skip: str, documents: str = "", more: str = "") -> None:
    listed = f", skip: [{', '.join(skip)}]" if skip else ""
    team = repository("team", f"remote: {{name: up{listed}}}", removals="30%", more=more)
    site.declare(site.remote(), team, *([documents] if documents else []))


def change(site: Rehearsal, name: str = "team") -> ResourceChange:
    return next(
        change
        for change in site.plan(destroy=False).changes
        if (change.ref.kind, change.ref.name) == (Kind.REPOSITORY, name)
    )


def test_a_revert_of_the_selection_passes_and_the_plan_says_where_it_goes(site: Rehearsal) -> None:
    declare(site, *ALL[1:])
    assert (change(site).refusal, change(site).reason) == ("", "back to the content of version 1")
    assert "version 2 -> 3   -3 lines   back to the content of version 1" in site.text()
    site.applied(destroy=False)
    assert site.held() == EARLY
    declare(site)
    site.applied(destroy=False)
    assert change(site).reason == "", "only what changes says where it goes"


def test_a_selection_that_leads_to_content_that_never_was_is_guarded(site: Rehearsal) -> None:
    declare(site, *ALL[:3])
    assert "would lose 3 of its 4 lines" in change(site).refusal


def test_upstream_going_back_is_guarded_as_ever(site: Rehearsal) -> None:
    says(site, ALL[0])
    assert "would lose 3 of its 4 lines" in change(site).refusal


@pytest.mark.parametrize(("skip", "more"), [((), "sync: {mode: mirror}"), (("unit-9",), "")])
def test_upstream_going_back_beside_a_change_of_manifests_is_guarded(
    site: Rehearsal, skip: tuple[str, ...], more: str
) -> None:
    """The manifest changes as well, and has no part in what leaves."""
    says(site, ALL[0])
    declare(site, *skip, more=more)
    assert "would lose 3 of its 4 lines" in change(site).refusal
    assert change(site).reason == ""


def test_down_to_empty_is_guarded_also_as_a_revert(site: Rehearsal) -> None:
    declare(site, *ALL)
    site.applied()
    declare(site)
    site.applied()
    declare(site, *ALL)
    assert "would lose all of its 4 lines" in change(site).refusal


def test_a_pin_that_goes_back_passes(site: Rehearsal) -> None:
    for version in ("1", "2"):
        declare(site, documents=repository("prod", copy(version=version), removals="30%"))
        site.applied(destroy=False)
    declare(site, documents=repository("prod", copy(version="1"), removals="30%"))
    assert change(site, "prod").reason == "back to the content of version 1"
    site.applied(destroy=False)
    assert site.held("prod") == EARLY


def test_what_follows_a_base_that_goes_back_goes_along(site: Rehearsal) -> None:
    prod = repository("prod", copy(), removals="30%")
    declare(site, *ALL[1:], documents=prod)
    site.applied(destroy=False)
    declare(site, documents=prod)
    site.applied(destroy=False)
    declare(site, *ALL[1:], documents=prod)
    site.applied(destroy=False)
    assert site.held("prod") == site.held() == EARLY
