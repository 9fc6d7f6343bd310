"""A failed download is never an absence: the removals of its group wait until the file is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faulty import status
from tests.support.rehearsal import Rehearsal, rehearsal, repository


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as rehearsed:
        rehearsed.declare(rehearsed.remote(), repository())
        rehearsed.says("a", rehearsed.file("old"), rehearsed.file("kept"), validator="1")
        rehearsed.says("b", rehearsed.file("other"), rehearsed.file("former"), validator="1")
        rehearsed.applied()
        yield rehearsed


def replace_old(site: Rehearsal, *, failing: bool) -> None:
    """Upstream replaces `old` by `new` and `more` in group `a`; `former` leaves group `b`."""
    new = site.file("new")
    if failing:
        site.server.on("/new", status(500))
    site.says("a", site.file("kept"), new, site.file("more"), validator="2")
    site.says("b", site.file("other"), validator="2")


def test_removals_of_the_group_wait_and_other_additions_go_in(site: Rehearsal) -> None:
    replace_old(site, failing=True)
    assert "new" in site.failed()
    assert site.held() == ["a/kept", "a/more", "a/old", "b/other"]


def test_the_validator_of_the_group_is_not_committed(site: Rehearsal) -> None:
    replace_old(site, failing=True)
    site.failed()
    site.script.forget()
    replace_old(site, failing=False)
    site.applied()
    assert "up/a" in site.script.asked, "the group is read again"
    assert site.held() == ["a/kept", "a/more", "a/new", "b/other"]
    assert site.settled()


def test_without_a_failure_the_removals_happen_at_once(site: Rehearsal) -> None:
    replace_old(site, failing=False)
    site.applied()
    assert site.held() == ["a/kept", "a/more", "a/new", "b/other"]
