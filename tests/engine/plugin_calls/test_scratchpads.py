"""Notes of importers: seen by the calls of one plan, and recorded only when everything that the
plan does has succeeded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import PlanOptions, Report
from reconciler.errors import Unreachable
from reconciler.manifest import read
from reconciler.plan import Plan
from reconciler.plugin import (
    Artifact,
    Group,
    GroupedUnit,
    ReadConduit,
    Unchanged,
    Unit,
    UploadConduit,
    UploadedFile,
)
from tests.support.faulty import status
from tests.support.rehearsal import Rehearsal, rehearsal, repository, source
from tests.support.scripted_plugins import LINE


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.declare(site.remote(), repository())
        site.says("a", site.file("one"))
        noting(site, "first")
        yield site


def noting(site: Rehearsal, text: Any) -> list[Any]:
    """`declare` notes this; what it found noted before, call by call."""
    seen: list[Any] = []

    async def declare(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        seen.append((conduit.get_scratchpad(), conduit.get_repository_scratchpad()))
        conduit.set_scratchpad(text)
        conduit.set_repository_scratchpad({"by": text})
        for name in site.script.upstream("up").groups:
            yield Group(name, listed=True)

    site.script.on_declare = declare
    return seen


def test_a_note_is_kept_by_an_apply_and_not_by_a_plan(site: Rehearsal) -> None:
    site.plan()
    assert not site.home.root.exists() or not (site.home.root / "state.db").exists()
    site.applied()
    assert site.note() == "first"
    assert site.note("repository") == {"by": "first"}
    seen = noting(site, "second")
    site.plan()
    assert seen == [("first", {"by": "first"})]
    assert site.note() == "first"


def test_a_note_alone_is_recorded_without_a_version(site: Rehearsal) -> None:
    site.applied()
    noting(site, "second")
    assert site.settled(), "nobody sees notes"
    site.applied()
    assert site.note() == "second"
    assert site.number() == 1


@pytest.mark.parametrize("how", ["group", "listing", "file"])
def test_a_note_of_what_did_not_succeed_is_dropped(how: str, site: Rehearsal) -> None:
    site.applied()
    noting(site, "second")
    site.says("b", site.file("two"))
    if how == "file":
        site.server.on("/two", status(503))
    else:
        site.script.failing["b" if how == "group" else "declare"] = Unreachable("no answer")
    site.failed()
    assert site.note() == "first"
    assert site.note("repository") == {"by": "first"}


def test_the_failure_of_one_source_drops_the_notes_of_all(site: Rehearsal) -> None:
    site.applied()
    seen = noting(site, "second")
    site.declare(
        site.remote(), site.remote("other"), repository("team", source("up"), source("other"))
    )

    site.says("b", site.bare("x"), name="other")
    site.script.failing["b"] = Unreachable("no answer")
    site.says("b", site.bare("x"))
    site.failed()
    assert [own for own, _ in seen] == ["first", "second"], (
        "the second source sees what the first noted"
    )
    assert site.note() == "first"


def test_a_guard_that_refuses_keeps_the_note(site: Rehearsal) -> None:
    site.applied()
    noting(site, "second")
    site.drops("a")
    site.failed(destroy=False)
    assert site.note() == "first"


def test_what_was_given_out_is_a_copy(site: Rehearsal) -> None:
    async def declare(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        note: dict[str, list[int]] = {"seen": [1]}
        conduit.set_scratchpad(note)
        note["seen"].append(2)
        conduit.get_scratchpad()["seen"].append(3)
        assert conduit.get_scratchpad() == {"seen": [1]}
        return
        yield

    site.script.on_declare = declare
    site.applied()
    assert site.note() == {"seen": [1]}


def test_two_repositories_note_apart(site: Rehearsal) -> None:
    site.declare(site.remote(), repository(), repository("second"))
    count = iter(range(9))

    async def declare(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        conduit.set_scratchpad([conduit.repository.name, next(count)])
        return
        yield

    site.script.on_declare = declare
    site.applied()
    assert [site.note(name=name)[0] for name in ("team", "second")] == ["team", "second"]


def counting(site: Rehearsal) -> None:
    """`declare` counts its calls in the pad that all plugins of the repository share."""

    async def declare(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        conduit.set_repository_scratchpad((conduit.get_repository_scratchpad() or 0) + 1)
        for name in site.script.upstream("up").groups:
            yield Group(name, listed=True)

    site.script.on_declare = declare


def noted_elsewhere(site: Rehearsal, value: Any, owner: str = "repository") -> None:
    """Somebody else, an upload perhaps, notes something."""
    with site.home.database(read_only=False) as database:
        writer = database.writer()
        writer.set_scratchpads(writer.actual_state().repositories["team"].id, {owner: value})


def applied_beside(site: Rehearsal, beside: Callable[[Plan], None]) -> Report:
    """Apply, with something that happens between each plan and its execution."""

    async def run() -> Report:
        async with site.engine(writes=True) as engine:
            return await engine.apply(
                read([site.manifest], site.registry), PlanOptions(), {}, show=beside
            )

    return asyncio.run(run())


def test_what_is_noted_between_a_plan_and_its_end_is_not_lost(site: Rehearsal) -> None:
    counting(site)
    site.applied()
    shown: list[Plan] = []

    def beside(plan: Plan) -> None:
        if not shown:
            noted_elsewhere(site, 10)
        shown.append(plan)

    assert not applied_beside(site, beside).failed
    assert (site.note("repository"), len(shown)) == (11, 2)


def test_a_pad_that_goes_on_moving_is_named(site: Rehearsal) -> None:
    counting(site)
    site.applied()
    values = iter(range(100, 200))
    [failed] = [
        outcome
        for outcome in applied_beside(
            site, lambda plan: noted_elsewhere(site, next(values))
        ).outcomes
        if outcome.result == "failed"
    ]
    assert "the scratchpad of `repository`" in failed.message
    assert site.note("repository") == next(values) - 1


def test_what_others_note_in_pads_that_are_only_read_disturbs_nobody(site: Rehearsal) -> None:
    async def declare(conduit: ReadConduit) -> AsyncIterator[Group | Unchanged]:
        conduit.set_scratchpad(conduit.get_repository_scratchpad())
        yield Group("a", listed=True)

    site.applied()
    site.script.on_declare = declare
    shown: list[Plan] = []

    def beside(plan: Plan) -> None:
        shown.append(plan)
        noted_elsewhere(site, "other")

    assert not applied_beside(site, beside).failed
    assert (site.note("repository"), site.note(), len(shown)) == ("other", {"by": "first"}, 1)


def test_a_pad_that_is_written_unread_is_not_written_over_either(site: Rehearsal) -> None:
    site.applied()
    noting(site, "second")
    shown: list[Plan] = []

    def beside(plan: Plan) -> None:
        if not shown:
            noted_elsewhere(site, "theirs", "importer:lines")
        shown.append(plan)

    assert not applied_beside(site, beside).failed
    assert (site.note(), len(shown)) == ("second", 2)


def test_an_upload_counts_on_what_another_has_noted_meanwhile(site: Rehearsal) -> None:
    site.declare(site.remote(), repository("team", source("up"), "upload: {}"))
    site.applied()
    noted_elsewhere(site, 1)
    seen: list[int] = []

    def upload(conduit: UploadConduit, file: UploadedFile) -> list[GroupedUnit]:
        seen.append(conduit.get_repository_scratchpad())
        if len(seen) == 1:
            noted_elsewhere(site, 10)
        conduit.set_repository_scratchpad(seen[-1] + 1)
        return [
            ("uploads", Unit(LINE, file.name, {}, [Artifact(file.name, file.sha256, file.size)]))
        ]

    site.script.on_upload = upload
    site.upload("mine", b"my own")
    assert (site.note("repository"), seen) == (11, [1, 10])
    assert "uploads/mine" in site.held()
