"""Numbers refer to reviewed content, digests to content: only the latter may be made by one run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model import Kind
from reconciler.plan import ResourceChange
from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as stage:
        stage.says("a", stage.bare("one"), validator="1")
        yield stage


def declare(site: Rehearsal, *more: str) -> None:
    site.declare(site.remote(), repository("other"), repository(), *more)


def publications(site: Rehearsal) -> dict[str, ResourceChange]:
    return {
        change.ref.name: change
        for change in site.plan().changes
        if change.ref.kind is Kind.PUBLICATION
    }


def planned_digest(site: Rehearsal) -> str:
    digest = site.content().version_digest
    assert digest is not None
    return str(digest)


def test_a_number_that_the_plan_would_make_fails_alone_and_the_hint_names_the_digest(
    site: Rehearsal,
) -> None:
    declare(site, publication(), publication("pinned", more="version: 1"))
    change = publications(site)["pinned"]
    assert "has no version `1` yet: this plan makes it" in change.refusal
    assert f"version: {planned_digest(site)}" in change.hint
    report = site.apply()
    assert [outcome.ref for outcome in report.outcomes if outcome.result == "failed"] == [
        "publication/pinned"
    ]
    assert site.held() == site.held("other") == ["a/one"]
    assert change.hint.split("`")[1] == f"version: {site.digest()}", "the hint was right"
    assert not site.apply().failed, "now it is recorded, and a number means it"


def test_a_copy_of_a_number_that_the_plan_would_make_fails_alone(site: Rehearsal) -> None:
    declare(site, repository("prod", copy(version="1")), publication("prod", of="prod"))
    [failure] = site.content("prod").failures
    assert failure.hint is not None
    assert planned_digest(site) in failure.hint
    assert "has no version `1` yet: this plan makes it" in site.failed("repository/prod")
    assert site.held() == ["a/one"]
    site.applied()
    assert site.held("prod") == ["a/one"]


def test_a_digest_may_be_made_by_the_same_run(site: Rehearsal) -> None:
    """Bring up a new home from manifests that pin content, as a restore does."""
    declare(site, publication("probe", more="version: 1"))
    digest = planned_digest(site)
    declare(
        site,
        publication("pinned", more=f"version: '{digest}'"),
        repository("prod", copy(version=f"'{digest}'")),
        publication("prod", of="prod"),
    )
    site.applied()
    assert site.held("prod") == ["a/one"]
    assert site.digest() == digest
    assert site.settled()
    site.says("a", site.bare("two"), validator="2")
    site.applied()
    assert site.held() == ["a/two"]
    assert site.held("prod") == ["a/one"], "the content that it names"
    assert site.settled()


def test_a_digest_of_other_content_fails_alone(site: Rehearsal) -> None:
    declare(site, publication("pinned", more=f"version: 'sha256:{'0' * 64}'"))
    assert "has no version `sha256:0000" in publications(site)["pinned"].refusal
    report = site.apply()
    assert {outcome.ref for outcome in report.outcomes if outcome.result == "failed"} == {
        "publication/pinned"
    }


def test_what_waits_for_a_digest_is_blocked_where_its_base_fails(site: Rehearsal) -> None:
    site.says("a", site.file("lost"), validator="1")
    declare(site, publication("probe", more="version: 1"))
    digest = planned_digest(site)
    declare(
        site,
        repository("prod", copy(version=f"'{digest}'")),
        publication("pinned", more=f"version: '{digest}'"),
    )
    site.server.on("/lost", *[])
    results = {outcome.ref: outcome.result for outcome in site.apply().outcomes}
    assert results["repository/team"] == "failed"
    assert results["repository/prod"] == "blocked"
    assert results["publication/pinned"] in ("failed", "blocked")


def test_a_pin_that_goes_is_the_reason_and_not_the_repository(site: Rehearsal) -> None:
    declare(site, publication())
    site.apply()
    site.says("a", site.bare("one"), site.bare("two"), validator="2")
    site.apply()
    declare(site, publication(more="version: 1"))
    assert publications(site)["team"].reason == "another version is asked for"
    site.apply()
    declare(site, publication())
    change = publications(site)["team"]
    assert (change.version, change.reason) == ((1, 2), "another version is asked for")
