"""The order in which a plan is carried out, and what one failure does not stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.database import Writer
from reconciler.engine.applying import publication_release
from reconciler.engine.applying.executor import Executor
from reconciler.engine.applying.publication_release import PublicationReleases
from reconciler.engine.applying.repairs import Repairs
from reconciler.engine.applying.report import BLOCKED, DONE, FAILED, UNCHANGED, Report
from reconciler.engine.applying.repository_sync import RepositorySync, SyncResult
from reconciler.engine.applying.schedule import Schedule
from reconciler.engine.plugin_lifecycle.attachments import PluginLifecycle
from reconciler.engine.publishing.release_target import ReleasePolicy
from reconciler.errors import StateFault
from reconciler.model import (
    ActualRepository,
    ActualState,
    DesiredState,
    Digest,
    Kind,
    Publication,
    Ref,
    Repository,
)
from reconciler.plan import ADD, Action, ChangeLine, ContentChanges, Failure, ResourceChange
from tests.support.databases import database
from tests.support.engine_states import (
    a_plan,
    a_publication,
    a_remote,
    a_repository,
    copy_of,
    desired,
    planned,
    writing_session,
)
from tests.support.plans import changed, content


@dataclass
class Fakes:
    """Stands in for plugins, syncs and releases; `log` says what was called, in order.

    `syncs`: results by repository, a version for others. `refused`: by plugins. `failing`:
    publications whose release fails.
    """

    log: list[str] = field(default_factory=list)
    syncs: dict[str, SyncResult] = field(default_factory=dict)
    refused: dict[Ref, str] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    policies: dict[str, ReleasePolicy] = field(default_factory=dict)

    def importers(self, repositories: Iterable[Repository]) -> dict[Ref, str]:
        refs = [repository.meta.ref for repository in repositories]
        return {ref: self.refused[ref] for ref in refs if ref in self.refused}

    def publishers(self, publications: Iterable[Publication]) -> dict[Ref, str]:
        self.log.append(
            "publishers of " + ", ".join(publication.meta.name for publication in publications)
        )
        return {}

    async def sync(self, repository: Repository, content: Any, **more: Any) -> SyncResult:
        name = repository.meta.name
        self.log.append(f"sync {name}")
        for _ in range(5):
            await asyncio.sleep(0)
        self.log.append(f"synced {name}")
        return self.syncs.get(name, SyncResult(2, "version 2"))

    async def release(
        self, session: Any, publication: Publication, actual: ActualState, *, policy: ReleasePolicy
    ) -> str:
        name = publication.meta.name
        self.log.append(f"release {name}")
        self.policies[name] = policy
        if name in self.failing:
            raise StateFault("cannot be rendered", hint="mend it")
        return "serves version 2"


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    stand_ins = Fakes()
    monkeypatch.setattr(
        PluginLifecycle, "attach_importers", lambda self, some: stand_ins.importers(some)
    )
    monkeypatch.setattr(
        PluginLifecycle, "attach_publishers", lambda self, some: stand_ins.publishers(some)
    )
    monkeypatch.setattr(RepositorySync, "sync", lambda self, *a, **b: stand_ins.sync(*a, **b))
    monkeypatch.setattr(publication_release, "release_publication", stand_ins.release)
    return stand_ins


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with database(tmp_path) as opened:
        yield opened.writer()


def one_more(failures: tuple[Failure, ...] = ()) -> ContentChanges:
    return content(
        [changed(ChangeLine(ADD, "test.file", "new", Digest.of(b"new")))], failures=failures
    )


def synced(name: str, **more: Any) -> ResourceChange:
    return planned(
        Kind.REPOSITORY,
        name,
        Action.CREATE,
        **{"content": one_more(), "version": (0, 1), **more},
    )


def shown(name: str) -> ResourceChange:
    return planned(Kind.PUBLICATION, name, Action.CREATE)


def run(
    writer: Writer, folder: Path, state: DesiredState, *changes: ResourceChange
) -> dict[str, tuple[str, str]]:
    """(result, message) by resource."""
    executor = Executor(
        writing_session(folder, writer),
        a_plan(*changes),
        state,
        fingerprints={},
        provenance={},
    )
    report = asyncio.run(executor.run())
    return {outcome.ref: (outcome.result, outcome.message) for outcome in report.outcomes}


def test_a_copy_is_synced_after_its_base_and_publications_after_all(
    writer: Writer, tmp_path: Path, fakes: Fakes
) -> None:
    state = desired(
        a_repository("a-copy", copy_of("base")),
        a_repository("base"),
        a_repository("other"),
        a_publication("shown", repository="base"),
    )
    outcomes = run(
        writer, tmp_path, state, *map(synced, ("a-copy", "base", "other")), shown("shown")
    )
    assert fakes.log == [
        "publishers of shown",
        "sync base",
        "sync other",
        "synced base",
        "synced other",
        "sync a-copy",
        "synced a-copy",
        "release shown",
    ]
    assert {result for result, _ in outcomes.values()} == {DONE}
    assert outcomes["publication/shown"] == (DONE, "serves version 2")


def test_a_failed_repository_blocks_its_copies_and_nothing_else(
    writer: Writer, tmp_path: Path, fakes: Fakes
) -> None:
    fakes.syncs["base"] = SyncResult(problems=["503"], message="version 2")
    state = desired(
        a_repository("base"), a_repository("copy", copy_of("base")), a_repository("other")
    )
    outcomes = run(writer, tmp_path, state, *map(synced, ("base", "copy", "other")))
    assert outcomes == {
        "repository/base": (FAILED, "version 2\n503"),
        "repository/copy": (
            BLOCKED,
            "repository/base did not become what was planned: repository/copy waits",
        ),
        "repository/other": (DONE, "version 2"),
    }


def test_every_declared_resource_has_an_outcome_also_where_nothing_is_done(
    writer: Writer, tmp_path: Path, fakes: Fakes
) -> None:
    """Kind: counts and documents that leave out what did not change."""
    unchanged = [planned(kind, "up", Action.NO_OP) for kind in (Kind.REMOTE, Kind.FILTER)]
    outcomes = run(writer, tmp_path, desired(a_remote("up")), *unchanged)
    assert outcomes == {"remote/up": (UNCHANGED, ""), "filter/up": (UNCHANGED, "")}


def test_what_is_refused_is_reported_and_not_carried_out(
    writer: Writer, tmp_path: Path, fakes: Fakes
) -> None:
    state = desired(a_remote("up"), a_repository("team"), a_publication("team"))
    refused = synced("team", refusal="too many removals")
    outcomes = run(writer, tmp_path, state, planned(Kind.REMOTE, "up"), refused, shown("team"))
    assert outcomes == {
        "repository/team": (FAILED, "too many removals\nhint: none"),
        "remote/up": (DONE, ""),
        "publication/team": (BLOCKED, "repository/team was refused"),
    }
    assert fakes.log == ["publishers of "]
    assert set(writer.actual_state().resources) == {Ref(Kind.REMOTE, "up")}


def test_a_repository_that_a_plugin_refuses_is_not_recorded(
    writer: Writer, tmp_path: Path, fakes: Fakes
) -> None:
    fakes.refused[Ref(Kind.REPOSITORY, "team")] = "no such account"
    state = desired(a_repository("team"), a_publication("team"))
    outcomes = run(writer, tmp_path, state, synced("team"), shown("team"))
    assert outcomes == {
        "repository/team": (FAILED, "no such account"),
        "publication/team": (BLOCKED, "repository/team failed"),
    }
    assert writer.actual_state().resources == {}


def test_a_publication_that_fails_stops_no_other(
    writer: Writer, tmp_path: Path, fakes: Fakes
) -> None:
    fakes.failing.add("first")
    state = desired(a_repository("team"), a_publication("first"), a_publication("second"))
    outcomes = run(writer, tmp_path, state, synced("team"), shown("first"), shown("second"))
    assert outcomes["publication/first"] == (FAILED, "cannot be rendered\nhint: mend it")
    assert outcomes["publication/second"][0] == DONE


def releases(
    result: str, *, number: int = 1, failures: tuple[Failure, ...] = ()
) -> tuple[PublicationReleases, ActualState, Report]:
    """`team` is at version `number`, and its sync came to `result`."""
    state = desired(a_repository("team"), a_publication("team"))
    report = Report()
    report.add(Ref(Kind.REPOSITORY, "team"), result)
    changes = (
        planned(Kind.REPOSITORY, "team", content=one_more(failures), version=(number, number + 1)),
        planned(Kind.PUBLICATION, "team", Action.NO_OP),
    )
    session: Any = None
    schedule = Schedule(a_plan(*changes), state)
    actual = ActualState(
        repositories={"team": ActualRepository(1, "team", number, Digest.of(b""), 1)}
    )
    repairs = Repairs(session, state, report=report)
    run = PublicationReleases(session, state, schedule, report=report, repairs=repairs)
    return run, actual, report


@pytest.mark.parametrize(
    ("result", "number", "reason"),
    [
        (FAILED, 0, "repository/team has no content yet"),
        (BLOCKED, 0, "repository/team has no content yet"),
        (FAILED, 1, ""),
        (DONE, 0, ""),
    ],
)
def test_an_index_is_not_published_empty_because_its_first_sync_failed(
    result: str, number: int, reason: str
) -> None:
    run, actual, _ = releases(result, number=number)
    assert run.blocked(a_publication("team"), actual) == reason


@pytest.mark.parametrize(
    ("result", "failures", "filtered"),
    [
        (DONE, (), True),
        (UNCHANGED, (), True),
        (FAILED, (), False),
        (DONE, (Failure("remote:up", "a", "503"),), False),
    ],
)
def test_filters_skip_sources_only_where_this_run_has_committed_all_of_them(
    result: str, failures: tuple[Failure, ...], filtered: bool, fakes: Fakes
) -> None:
    run, actual, report = releases(result, failures=failures)
    asyncio.run(run.run(actual, {Ref(Kind.PUBLICATION, "team"): ["/srv/out"]}))
    assert fakes.policies["team"].sources_filtered is filtered
    assert fakes.policies["team"].guard is None, "the plan was guarded"
    assert report.outcomes[-1].message == "serves version 2, no longer exported to /srv/out"
