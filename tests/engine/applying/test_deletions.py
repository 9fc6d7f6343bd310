"""What a plan deletes, what each deletion waits for, and the order in which it goes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from reconciler.database import ArtifactOrigin, Reader, ServedPublication, Writer
from reconciler.engine.applying import deletions as module
from reconciler.engine.applying.deletions import Deletions
from reconciler.engine.applying.report import BLOCKED, DONE, FAILED, Report
from reconciler.engine.applying.resource_records import ResourceRecorder
from reconciler.engine.applying.schedule import Schedule
from reconciler.engine.plugin_lifecycle.attachments import PluginLifecycle
from reconciler.model import (
    ActualRepository,
    ActualState,
    DesiredState,
    Digest,
    Kind,
    Ref,
    Resource,
)
from reconciler.plan import Action, ResourceChange
from tests.support.databases import NOW, database
from tests.support.engine_states import (
    a_plan,
    a_publication,
    a_remote,
    a_repository,
    desired,
    planned,
    writing_session,
)
from tests.support.publishing import published

OLD, NEW = Ref(Kind.PUBLICATION, "old"), Ref(Kind.PUBLICATION, "new")
TEAM = Ref(Kind.REPOSITORY, "team")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with database(tmp_path) as opened:
        yield opened.writer()


def recorded(writer: Writer, *resources: Resource) -> ActualState:
    writer.record_resources(list(resources), now=NOW)
    return writer.actual_state()


def serve(writer: Writer, name: str) -> None:
    """Point the publication to something."""
    id_ = writer.actual_state().publications[name].id
    record = published(writer, id_, {"a": [("a", "page")]})
    writer.point(id_, record.number)


def deletions(
    state: DesiredState,
    before: ActualState,
    *changes: ResourceChange,
    report: Report | None = None,
    results: Mapping[Ref, str] | None = None,
) -> Deletions:
    """`changes`: beside deletions of everything undeclared; other resources do not change."""
    declared = {resource.meta.ref for resource in state}
    unchanged = declared - {change.ref for change in changes}
    same = [planned(ref.kind, ref.name, Action.NO_OP) for ref in unchanged]
    gone = [
        planned(ref.kind, ref.name, Action.DELETE) for ref in before.resources.keys() - declared
    ]
    report = report or Report()
    for ref, result in (results or {}).items():
        report.add(ref, result)
    return Deletions(state, Schedule(a_plan(*gone, *same, *changes), state), before, report=report)


def replacing(writer: Writer, result: str, path: str = "shown") -> Deletions:
    """`old` of `other` is served at `shown`; `new` of `team` shall be at `path`."""
    before = recorded(
        writer,
        a_repository("team"),
        a_repository("other"),
        a_publication("old", repository="other", path="shown"),
    )
    serve(writer, "old")
    state = desired(a_repository("team"), a_publication("new", path=path))
    new = planned(Kind.PUBLICATION, "new", Action.CREATE)
    return deletions(state, before, new, results={NEW: result})


def test_a_deletion_waits_for_the_publication_that_takes_its_place(writer: Writer) -> None:
    waiting = replacing(writer, FAILED).waiting(writer)
    assert waiting == {OLD: NEW, Ref(Kind.REPOSITORY, "other"): NEW}
    assert replacing(writer, BLOCKED).waiting(writer) == waiting


def test_a_deletion_does_not_wait_for_a_replacement_that_succeeded(writer: Writer) -> None:
    assert replacing(writer, DONE).waiting(writer) == {}


def test_a_deletion_does_not_wait_for_a_publication_elsewhere(writer: Writer) -> None:
    assert replacing(writer, FAILED, path="elsewhere").waiting(writer) == {}


def test_a_deletion_does_not_wait_for_a_replacement_that_stands_there_already(
    writer: Writer,
) -> None:
    """`new` is served at `shown/new` as before; only its update failed."""
    new = a_publication("new", path="shown/new")
    before = recorded(writer, a_repository("team"), new, a_publication("old", path="shown"))
    serve(writer, "new")
    state = desired(a_repository("team"), new)
    update = planned(Kind.PUBLICATION, "new")
    assert deletions(state, before, update, results={NEW: FAILED}).waiting(writer) == {}


def test_the_repository_that_an_unsuccessful_publication_shows_stays(writer: Writer) -> None:
    """The publication moves from `other` to `team`, which failed: it goes on showing `other`."""
    moving = a_publication("new", repository="other", path="new")
    before = recorded(writer, a_repository("team"), a_repository("other"), moving)
    state = desired(a_repository("team"), a_publication("new", repository="team", path="new"))
    update = planned(Kind.PUBLICATION, "new")
    run = deletions(state, before, update, results={NEW: BLOCKED})
    assert run.waiting(writer) == {Ref(Kind.REPOSITORY, "other"): NEW}


@dataclass
class Bytes:
    """A reader that knows which artifacts can be had from some remotes alone."""

    state: ActualState
    only: Mapping[Digest, set[Digest]]

    def served(self) -> Sequence[ServedPublication]:
        return []

    def actual_state(self) -> ActualState:
        return self.state

    def only_from(
        self, remotes: Sequence[str], id_: int, number: int, *, others: Collection[str]
    ) -> Any:
        assert (sorted(remotes), id_, number) == (["old", "unrelated"], 1, 3)
        return self.only

    def origins_of(self, digests: Any) -> Any:
        return {digest: [ArtifactOrigin("old", "https://example.org/")] for digest in digests}


@pytest.mark.parametrize(
    ("result", "only", "waits"),
    [
        (FAILED, {Digest.of(b"file"): {Digest.of(b"unit")}}, True),
        (BLOCKED, {Digest.of(b"file"): {Digest.of(b"unit")}}, True),
        (FAILED, {}, False),
        (DONE, {Digest.of(b"file"): {Digest.of(b"unit")}}, False),
    ],
)
def test_a_remote_that_alone_has_bytes_waits_for_its_repository(
    result: str, only: Mapping[Digest, set[Digest]], waits: bool
) -> None:
    old, unrelated = Ref(Kind.REMOTE, "old"), Ref(Kind.REMOTE, "unrelated")
    before = ActualState(
        {old: cast(Any, None), unrelated: cast(Any, None)},
        {"team": ActualRepository(1, "team", 3, Digest.of(b""), 1)},
    )
    state = desired(a_repository("team"))
    update = planned(Kind.REPOSITORY, "team")
    run = deletions(state, before, update, results={TEAM: result})
    reader = cast(Reader, Bytes(before, only))
    assert run.waiting(reader) == ({old: TEAM} if waits else {})


@dataclass
class Events:
    """Notes exports, plugins and rows in the order in which they go."""

    log: list[str] = field(default_factory=list)
    messages: dict[Ref, list[str]] = field(default_factory=dict)
    spared: list[Ref] = field(default_factory=list)
    after: set[Ref] = field(default_factory=set)

    def detach_unused(
        self, after: Mapping[Ref, Any], *, gone: Iterable[Ref], spared: Iterable[Ref]
    ) -> dict[Ref, list[str]]:
        self.log.append("plugins " + ", ".join(sorted(map(str, gone))))
        self.after, self.spared = set(after), list(spared)
        return self.messages


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    noted = Events()
    monkeypatch.setattr(module, "remove_export", lambda path: noted.log.append(f"export {path}"))
    record: Callable[..., Any] = Writer.record_resources

    def recording(
        self: Writer,
        resources: Sequence[Resource],
        *,
        deleted: Sequence[Ref] = (),
        **others: Any,
    ) -> None:
        names = [str(resource.meta.ref) for resource in resources]
        noted.log.append(f"rows +{names} -{sorted(map(str, deleted))}")
        record(self, resources, deleted=deleted, **others)

    monkeypatch.setattr(Writer, "record_resources", recording)
    return noted


def carry_out(
    run: Deletions, state: DesiredState, writer: Writer, events: Events, folder: Path
) -> None:
    recorder = ResourceRecorder(writing_session(folder, writer), state, {})
    lifecycle = cast(PluginLifecycle, events)
    run.carry_out(writer, lifecycle, recorder, actual=writer.actual_state())


def renamed(writer: Writer, result: str, report: Report) -> tuple[Deletions, DesiredState]:
    """`old` gives its path to `new`, which was served elsewhere, and leaves two exports."""
    before = recorded(
        writer,
        a_remote("unused"),
        a_repository("team"),
        a_publication("old", path="shown", written=["/srv/old", "relative"]),
        a_publication("new", path="elsewhere", written=["/srv/new"]),
    )
    new = a_publication("new", path="shown")
    state = desired(a_repository("team"), new)
    update = planned(Kind.PUBLICATION, "new")
    return deletions(state, before, update, report=report, results={NEW: result}), state


def test_exports_and_plugins_go_before_rows_and_what_replaces_comes_with_them(
    writer: Writer, events: Events, tmp_path: Path
) -> None:
    report = Report()
    run, state = renamed(writer, DONE, report)
    assert run.deferred == {NEW}
    assert run.removed_exports == {NEW: ["/srv/new"]}
    events.log.clear()
    events.messages = {OLD: ["its plugin failed"]}
    carry_out(run, state, writer, events, tmp_path)
    assert events.log == [
        "export /srv/new",
        "export /srv/old",
        "plugins publication/old, remote/unused",
        "rows +['publication/new'] -['publication/old', 'remote/unused']",
    ]
    assert events.after == {TEAM, NEW}
    resources = writer.actual_state().resources
    assert set(resources) == {TEAM, NEW}
    assert resources[NEW].spec["path"] == "shown"
    outcomes = {outcome.ref: (outcome.result, outcome.message) for outcome in report.outcomes}
    assert outcomes["publication/old"] == (
        DONE,
        "removed, its export `relative` is left where it is; its plugin failed",
    )
    assert outcomes["remote/unused"] == (DONE, "removed")


def test_what_waits_stays_with_its_exports_and_what_replaces_it_is_not_recorded(
    writer: Writer, events: Events, tmp_path: Path
) -> None:
    report = Report()
    run, state = renamed(writer, FAILED, report)
    events.log.clear()
    carry_out(run, state, writer, events, tmp_path)
    assert events.log == [
        "export /srv/new",
        "plugins remote/unused",
        "rows +[] -['remote/unused']",
    ]
    assert events.spared == [NEW]
    resources = writer.actual_state().resources
    assert set(resources) == {TEAM, NEW, OLD}
    assert resources[NEW].spec["path"] == "elsewhere"
    results = {outcome.ref: outcome for outcome in report.outcomes}
    assert results["publication/old"].result == BLOCKED
    assert results["publication/old"].message == (
        "publication/new did not succeed: publication/old stays until it does"
    )


def test_a_publication_that_is_new_is_not_deferred(writer: Writer) -> None:
    """Nothing is recorded of it that a crash could forget."""
    assert replacing(writer, DONE).deferred == set()


def test_what_another_run_has_deleted_meanwhile_is_gone(
    writer: Writer, events: Events, tmp_path: Path
) -> None:
    before = recorded(writer, a_repository("team"))
    state, report = desired(a_repository("team")), Report()
    schedule = Schedule(
        a_plan(
            planned(Kind.PUBLICATION, "old", Action.DELETE),
            planned(Kind.REPOSITORY, "team", Action.NO_OP),
        ),
        state,
    )
    carry_out(Deletions(state, schedule, before, report=report), state, writer, events, tmp_path)
    assert [(outcome.ref, outcome.result) for outcome in report.outcomes] == [(str(OLD), DONE)]
