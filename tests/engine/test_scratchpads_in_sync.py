"""Notes of importers: seen by the calls of one plan, and recorded only when everything that the plan does has succeeded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import Unreachable
from reconciler.plugin import Group, ImporterCall, Unchanged
from tests.support.faulty import status
from tests.support.rehearsal import Rehearsal, rehearsal, repository, source


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as found:
        found.declare(found.remote(), repository())
        found.says("a", found.file("one"))
        noting(found, "first")
        yield found


def noting(stage: Rehearsal, text: Any) -> list[Any]:
    """`declare` notes this; what it found noted before, call by call."""
    seen: list[Any] = []

    async def declare(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        seen.append((call.get_scratchpad(), call.get_repository_scratchpad()))
        call.set_scratchpad(text)
        call.set_repository_scratchpad({"by": text})
        for name in stage.script.upstream("up").groups:
            yield Group(name, listed=True)

    stage.script.on_declare = declare
    return seen


def test_a_note_is_kept_by_an_apply_and_not_by_a_plan(stage: Rehearsal) -> None:
    stage.plan()
    assert not stage.home.root.exists() or not (stage.home.root / "state.db").exists()
    stage.applied()
    assert stage.note() == "first"
    assert stage.note("repository") == {"by": "first"}
    seen = noting(stage, "second")
    stage.plan()
    assert seen == [("first", {"by": "first"})]
    assert stage.note() == "first"


def test_a_note_alone_is_recorded_without_a_version(stage: Rehearsal) -> None:
    stage.applied()
    noting(stage, "second")
    assert stage.settled(), "nobody sees notes"
    stage.applied()
    assert stage.note() == "second"
    assert stage.number() == 1


@pytest.mark.parametrize("how", ["group", "listing", "file"])
def test_a_note_of_what_did_not_succeed_is_dropped(how: str, stage: Rehearsal) -> None:
    stage.applied()
    noting(stage, "second")
    stage.says("b", stage.file("two"))
    if how == "file":
        stage.server.on("/two", status(503))
    else:
        stage.script.failing["b" if how == "group" else "declare"] = Unreachable("no answer")
    stage.failed()
    assert stage.note() == "first"
    assert stage.note("repository") == {"by": "first"}


def test_the_failure_of_one_source_drops_the_notes_of_all(stage: Rehearsal) -> None:
    stage.applied()
    seen = noting(stage, "second")
    stage.declare(stage.remote(), stage.remote("other"), repository("team", source("up"), source("other")))

    stage.says("b", stage.bare("x"), name="other")
    stage.script.failing["b"] = Unreachable("no answer")
    stage.says("b", stage.bare("x"))
    stage.failed()
    assert [own for own, _ in seen] == ["first", "second"], "the second source sees what the first noted"
    assert stage.note() == "first"


def test_a_guard_that_refuses_keeps_the_note(stage: Rehearsal) -> None:
    stage.applied()
    noting(stage, "second")
    stage.drops("a")
    stage.failed(destroy=False)
    assert stage.note() == "first"


def test_what_was_given_out_is_a_copy(stage: Rehearsal) -> None:
    async def declare(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        note: dict[str, list[int]] = {"seen": [1]}
        call.set_scratchpad(note)
        note["seen"].append(2)
        call.get_scratchpad()["seen"].append(3)
        assert call.get_scratchpad() == {"seen": [1]}
        return
        yield

    stage.script.on_declare = declare
    stage.applied()
    assert stage.note() == {"seen": [1]}


def test_two_repositories_note_apart(stage: Rehearsal) -> None:
    stage.declare(stage.remote(), repository(), repository("second"))
    count = iter(range(9))

    async def declare(call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        call.set_scratchpad([call.repository.name, next(count)])
        return
        yield

    stage.script.on_declare = declare
    stage.applied()
    assert [stage.note(name=name)[0] for name in ("team", "second")] == ["team", "second"]
