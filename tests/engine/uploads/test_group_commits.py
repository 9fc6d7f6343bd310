"""Uploads that come at once become one version, and none of them answers for another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine.service import Service, uploaded_file
from reconciler.engine.uploads import receiving, recording
from reconciler.engine.uploads.decided_changes import Decided
from reconciler.engine.uploads.group_commits import GroupCommits
from reconciler.errors import Refused, StateFault
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository
from tests.support.soundness import check_sound


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.declare(repository("team", "upload: {}"), publication())
        site.applied()
        yield site


def sent_at_once(site: Rehearsal, *files: tuple[str, str]) -> list[Any]:
    """Results of uploads, (name, group) each, or what was raised."""

    def upload(service: Service, name: str, group: str) -> Any:
        folder = site.folder / group
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(f"{name} of {group}")
        return service.upload("team", uploaded_file(path), {"group": group}, principal=group)

    async def talk(service: Service) -> Any:
        uploads = [upload(service, name, group) for name, group in files]
        return await asyncio.gather(*uploads, return_exceptions=True)

    results: list[Any] = asyncio.run(site.serviced(talk))
    return results


@pytest.fixture
def first_commit_waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the first commit wait until as many decisions were made as the list says."""
    wanted: list[int] = [0]
    sizes: list[int] = []
    decided = threading.Semaphore(0)
    record, commit = recording.record_units, recording.commit_together

    def recorded(*arguments: Any, **named: Any) -> None:
        record(*arguments, **named)
        decided.release()

    def committed(session: Any, changes: Sequence[Decided]) -> list[int | Exception]:
        while not sizes and wanted[0]:
            assert decided.acquire(timeout=30)
            wanted[0] -= 1
        sizes.append(len(changes))
        return commit(session, changes)

    monkeypatch.setattr(receiving, "record_units", recorded)
    monkeypatch.setattr(receiving, "commit_together", committed)
    return wanted


def test_what_comes_while_a_commit_runs_is_the_next_version(
    site: Rehearsal, first_commit_waits: list[int]
) -> None:
    first_commit_waits[0] = 12  # more than may be decided at one time
    files = [(f"file {number}", f"g{number}") for number in range(12)]
    results = sent_at_once(site, *files)
    assert {result.version for result in results} <= {1, 2, 3}
    assert [result.keys for result in results] == [(name,) for name, _ in files]
    assert all(result.shown == ("/team/",) for result in results)
    assert {unit.key for unit in site.units()} == {name for name, _ in files}
    check_sound(site.home)


def test_those_of_one_name_are_judged_one_after_the_other(
    site: Rehearsal, first_commit_waits: list[int]
) -> None:
    first_commit_waits[0] = 5
    results = sent_at_once(site, ("other", "o"), *[(f"file {each}", "same") for each in "abcd"])
    assert sorted(result.version for result in results) == [1, 2, 3, 4, 5]
    assert len(site.units()) == 5


def test_a_refused_file_takes_none_of_the_others_down(
    site: Rehearsal, first_commit_waits: list[int]
) -> None:
    first_commit_waits[0] = 3
    first, refused, *others = sent_at_once(
        site, ("one", "a"), (".hidden", "b"), ("two", "c"), ("three", "d")
    )
    assert isinstance(refused, Refused)
    assert {first.version, *(other.version for other in others)} <= {1, 2, 3}


def test_a_fault_of_a_common_commit_hits_the_change_that_has_it(
    site: Rehearsal, first_commit_waits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = recording.commit

    def failing(session: Any, changes: Sequence[Decided]) -> int:
        if any(group.name == "bad" for change in changes for group in change.groups):
            raise StateFault("the bytes are gone")
        return commit(session, changes)

    monkeypatch.setattr(recording, "commit", failing)
    first_commit_waits[0] = 4
    results = sent_at_once(site, ("one", "a"), ("two", "bad"), ("three", "c"), ("four", "d"))
    assert [type(result) for result in results].count(StateFault) == 1
    assert isinstance(results[1], StateFault)
    assert {unit.key for unit in site.units()} == {"one", "three", "four"}


def test_a_version_of_several_names_them_all(
    site: Rehearsal, first_commit_waits: list[int]
) -> None:
    first_commit_waits[0] = 3
    sent_at_once(site, ("one", "ada"), ("two", "bob"), ("three", "cy"))
    state = site.ask(lambda reader: reader.actual_state()).repositories["team"]
    made = site.ask(lambda reader: reader.versions(state.id))
    names = [version.provenance["principal"] for version in made]
    assert sorted(", ".join(names).split(", ")) == ["ada", "bob", "cy"]
    assert len(names) <= 3


def test_a_client_that_leaves_ends_no_commit_of_others(
    site: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gone = threading.Event(), threading.Event()
    commit = recording.commit_together

    def committed(session: Any, changes: Sequence[Decided]) -> list[int | Exception]:
        begun.set()
        assert gone.wait(30)
        return commit(session, changes)

    monkeypatch.setattr(receiving, "commit_together", committed)
    path = site.folder / "one"
    path.write_text("one")

    async def talk(service: Service) -> None:
        upload = service.upload("team", uploaded_file(path), {}, principal="ada")
        leaving = asyncio.create_task(upload)
        await asyncio.to_thread(begun.wait, 30)
        leaving.cancel()
        await asyncio.wait([leaving])
        gone.set()
        await service.upload("team", uploaded_file(path), {}, principal="bob")

    asyncio.run(site.serviced(talk))
    assert [unit.key for unit in site.units()] == ["one"]
    assert site.number() == 1


def test_a_commit_that_is_cancelled_leaves_no_client_waiting() -> None:
    """Kind: a client whose answer never comes, since the task that was to give it has ended."""

    async def talk() -> None:
        begun = asyncio.Event()

        class Endless:
            async def commit(self, changes: Sequence[Decided]) -> list[int | Exception]:
                begun.set()
                await asyncio.Event().wait()
                return []

        @asynccontextmanager
        async def opened(key: str) -> AsyncIterator[Any]:
            yield Endless()

        async def decide(uploads: Any) -> Any:
            return None

        commits = GroupCommits(opened)
        others = asyncio.all_tasks()
        client = asyncio.create_task(commits.change("team", decide, what="an upload"))
        await begun.wait()
        [task] = asyncio.all_tasks() - others - {client}
        task.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([client])
        assert client.cancelled()

    asyncio.run(talk())
