"""A failed download is never an absence: the removals of its group wait until the file is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faulty import status
from tests.support.rehearsal import Rehearsal, rehearsal, repository


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as rehearsed:
        rehearsed.declare(rehearsed.remote(), repository())
        rehearsed.says("a", rehearsed.file("old"), rehearsed.file("kept"), validator="1")
        rehearsed.says("b", rehearsed.file("other"), rehearsed.file("former"), validator="1")
        rehearsed.applied()
        yield rehearsed


def replace_old(stage: Rehearsal, *, failing: bool) -> None:
    """Upstream replaces `old` by `new` and `more` in group `a`; `former` leaves group `b`."""
    new = stage.file("new")
    if failing:
        stage.server.on("/new", status(500))
    stage.says("a", stage.file("kept"), new, stage.file("more"), validator="2")
    stage.says("b", stage.file("other"), validator="2")


def test_removals_of_the_group_wait_and_other_additions_go_in(stage: Rehearsal) -> None:
    replace_old(stage, failing=True)
    assert "new" in stage.failed()
    assert stage.held() == ["a/kept", "a/more", "a/old", "b/other"]


def test_the_validator_of_the_group_is_not_committed(stage: Rehearsal) -> None:
    replace_old(stage, failing=True)
    stage.failed()
    stage.script.forget()
    replace_old(stage, failing=False)
    stage.applied()
    assert "up/a" in stage.script.asked, "the group is read again"
    assert stage.held() == ["a/kept", "a/more", "a/new", "b/other"]
    assert stage.settled()


def test_without_a_failure_the_removals_happen_at_once(stage: Rehearsal) -> None:
    replace_old(stage, failing=False)
    stage.applied()
    assert stage.held() == ["a/kept", "a/more", "a/new", "b/other"]
