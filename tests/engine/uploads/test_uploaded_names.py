"""A name is the uploads' or another source's, whichever was first, and never both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import Conflict
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository

MINE, COPY = "upload: {}", "repository: {name: base}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one"))
        yield site


def begin(site: Rehearsal, *sources: str) -> None:
    """A repository of these sources, beside a mirror that it may copy."""
    base = repository("base", "remote: {name: up}")
    site.declare(site.remote(), base, repository("team", *sources), publication())
    site.applied()


@pytest.mark.parametrize("order", [(MINE, COPY), (COPY, MINE)])
def test_a_copy_that_begins_to_have_an_uploaded_name_brings_nothing_under_it(
    site: Rehearsal, order: tuple[str, str]
) -> None:
    begin(site, *order)
    site.upload("mine", b"my own", fields={"group": "new"})
    site.says("new", site.file("theirs"))
    site.applied()
    assert site.held() == ["a/one", "new/mine"]
    assert site.held("base") == ["a/one", "new/theirs"]
    assert site.explain("new")["groups"] == [{"name": "new", "owner": "upload"}]
    assert site.settled()


def test_an_upload_under_a_name_that_a_copy_has_is_refused_with_both(site: Rehearsal) -> None:
    begin(site, COPY, MINE)
    with pytest.raises(Conflict, match=r"`a` belongs to repository:base in repository `team`"):
        site.upload("mine", b"my own", fields={"group": "a"})
    assert site.held() == ["a/one"]
    assert site.explain("a")["groups"] == [{"name": "a", "owner": "repository:base"}]


def test_an_uploaded_name_stays_the_uploads_in_a_copy_of_the_repository(site: Rehearsal) -> None:
    """Content promoted from where it was uploaded is not mixed with a mirror further down."""
    team = repository("team", MINE)
    prod = repository("prod", "repository: {name: team}", "remote: {name: up}")
    site.declare(site.remote(), team, prod, publication())
    site.applied()
    site.upload("mine", b"my own", fields={"group": "new"})
    site.says("new", site.file("theirs"))
    site.applied()
    assert site.held("prod") == ["a/one", "new/mine"]
    assert site.explain("new", "prod")["groups"] == [{"name": "new", "owner": "repository:team"}]
