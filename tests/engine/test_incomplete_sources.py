"""A source that could not ask everybody who has a say loses nothing, and knows which names are not its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest

from reconciler.plugin import Group, ImporterCall, Unit
from tests.support.rehearsal import Rehearsal, rehearsal, repository, source


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as found:
        found.declare(found.remote(), repository())
        found.says("a", found.file("one"), found.file("two"))
        found.says("b", found.file("three"))
        yield found


def declaring(stage: Rehearsal, *groups: str, partly: bool, validator: str) -> None:
    async def declare(call: ImporterCall) -> AsyncIterator[Group]:
        if partly:
            call.incomplete()
        for name in groups:
            yield Group(name, validator)

    stage.script.on_declare = declare


def test_nothing_leaves_for_being_absent_and_the_next_run_makes_up_for_it(stage: Rehearsal) -> None:
    declaring(stage, "a", "b", partly=False, validator="1")
    stage.applied()
    stage.says("a", stage.file("one"), stage.file("new"))
    declaring(stage, "a", partly=True, validator="partly")
    stage.applied()
    assert stage.held() == ["a/new", "a/one", "a/two", "b/three"]
    declaring(stage, "a", partly=False, validator="2")
    stage.applied()
    assert stage.held() == ["a/new", "a/one"]


def test_only_declaring_can_be_incomplete(stage: Rehearsal) -> None:
    async def read(call: ImporterCall, group: Group) -> Iterable[Unit]:
        call.incomplete()
        return []

    stage.script.on_read = read
    assert "`read` cannot say that the source is incomplete" in stage.failed()


def test_a_source_hears_which_groups_an_earlier_one_has(stage: Rehearsal) -> None:
    heard: dict[str, list[str]] = {}

    async def declare(call: ImporterCall) -> AsyncIterator[Group]:
        upstream = stage.script.upstream(call.options.upstream)
        heard[call.options.upstream] = [name for name in ("a", "b", "c") if call.taken(name)]
        for name in upstream.groups:
            yield Group(name, listed=True)

    stage.script.on_declare = declare
    stage.says("b", stage.file("other"), name="second")
    stage.says("c", stage.file("four"), name="second")
    stage.declare(stage.remote(), stage.remote("second"), repository("team", source("up"), source("second")))
    stage.applied()
    assert heard == {"up": [], "second": ["a", "b"]}
