"""Sync: carry out the content changes of one repository. Bytes, then rows, then one short
transaction.

Units of content are fetched by a fixed number of workers; a group is staged when all of its files
are there or have failed. A file that fails is named and absent: the group's other additions go in,
its removals wait, its validator is not committed, so that the next run asks for that file only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from reconciler.database import (
    ArtifactOrigin,
    CommitResult,
    CommittedGroup,
    CommittedSource,
    Stage,
    StagedGroup,
    StagedMember,
    Writer,
)
from reconciler.engine.plugin_calls.conduits import CallWatch, unwatched
from reconciler.engine.plugin_calls.plugin_errors import error_message
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.engine.run.progress import ProgressTask
from reconciler.engine.run.task_groups import task_group
from reconciler.engine.transfer.artifact_fetcher import (
    ArtifactFetcher,
    FetchResult,
    InFlight,
    SourceAccess,
)
from reconciler.engine.transfer.measurements import Measurements
from reconciler.errors import Conflict
from reconciler.model import Digest, IdentifiedUnit, Unit
from reconciler.plan import (
    ADD,
    CHANGE,
    MOVE,
    REFUSE,
    REMOVE,
    ChangeLine,
    ContentChanges,
    GroupChange,
)
from reconciler.plugin.registry import Registry
from reconciler.redaction import sanitize
from reconciler.store import Store

LOOK_UP = 100  # groups whose artifacts are looked up at once
LINES = 5_000  # content changes that are looked at at once
FLUSH = 500  # units recorded at once
# commits of what is left, before a group that moved between looking and committing is a conflict of
# all
TRIES = 8
UNSETTLED = Digest.of_value(
    ["a file failed"]
)  # in the place of a selection: no rules are those that the group is complete under


@dataclass(slots=True)
class GroupWork:
    """One touched group on its way, with the changes of each source: what is fetched, what failed,
    how many units are still open.
    """

    changes: list[GroupChange]
    open: int = 0
    arrived: list[IdentifiedUnit] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # key -> message
    sizes: dict[Digest, int] = field(default_factory=dict)
    origins: dict[tuple[Digest, str], ArtifactOrigin] = field(
        default_factory=dict
    )  # by remote, too: one file may be had from several


@dataclass(frozen=True, slots=True)
class Job:
    """One unit to bring in. `recorded`: artifacts that the database knows to be stored."""

    work: GroupWork
    source: str
    line: ChangeLine
    recorded: frozenset[Digest]


Jobs = asyncio.Queue[Job | None]


@dataclass(slots=True)
class FileFailure:
    """A file that could not be had."""

    source: str
    group: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.group}: `{self.key}`: {self.message}"


class ContentSync:
    """Fetches and stages the content changes of one repository; `commit` makes them a version."""

    def __init__(
        self,
        writer: Writer,
        store: Store,
        registry: Registry,
        sources: dict[str, SourceAccess],
        in_flight: InFlight,
        measuring: Measurements,
        repository_id: int,
        task: ProgressTask,
        watch: CallWatch = unwatched,
    ) -> None:
        self._writer = writer
        self._store = store
        self._sources = sources
        self._task = task
        self._artifact_fetcher = ArtifactFetcher(
            store, registry, sources, in_flight, measuring, self._advance_bytes, watch
        )
        self._stage: Stage = writer.stage(repository_id)
        self._ready: list[GroupWork] = []
        self._ready_units = 0
        self._flushing = asyncio.Lock()
        self.failures: list[FileFailure] = []
        self.moved: set[tuple[str, str]] = (
            set()
        )  # (group, source) that somebody else changed meanwhile

    async def fetch(self, content: ContentChanges) -> None:
        """Bring in every byte and stage every row of `content`. Failed files end up in `failures`."""
        self._task.expect(content.counts.added + content.counts.changed, content.counts.download)
        jobs: Jobs = asyncio.Queue(maxsize=64)
        width = max((source.concurrency for source in self._sources.values()), default=1)
        async with task_group() as tasks:
            for _ in range(width):
                tasks.create_task(self._work(jobs))
            await self._produce(content, jobs)
            for _ in range(width):
                await jobs.put(None)
        await self._flush()

    async def commit(
        self, content: ContentChanges, provenance: dict[str, object], now: datetime
    ) -> tuple[int, Digest, bool]:
        """One short transaction: (number, digest, is it new?). A group that somebody else changed
        meanwhile is left out, and is in `moved`.

        What plugins noted is recorded only with everything that they brought, and a source of which
        a file failed, or a group was left out, has changed. Raises Conflict when groups go on
        moving, or a scratchpad did.
        """
        reached(Checkpoint.BEFORE_FLIP)
        for _ in range(TRIES):
            try:
                result = await self._commit(content, provenance, now)
                break
            except Conflict:
                moved = await asyncio.to_thread(self._stage.leave_out_moved)
                if not moved:
                    raise
                self.moved |= moved
        else:
            result = await self._commit(content, provenance, now)
        reached(Checkpoint.AFTER_FLIP)
        return result.number, result.digest, result.created

    async def _commit(
        self, content: ContentChanges, provenance: dict[str, object], now: datetime
    ) -> CommitResult:
        incomplete = {failure.source for failure in self.failures} | {
            source for _, source in self.moved
        }
        sources = {
            name: CommittedSource(
                None if name in incomplete else validator,
                Digest.parse(selection) if selection else None,
            )
            for name, (validator, selection) in content.sources.items()
        }
        noted, seen = ({}, {}) if incomplete else (content.scratchpads, content.seen)
        return await asyncio.to_thread(self._stage.commit, provenance, sources, now, noted, seen)

    async def discard(self) -> None:
        """Forget the staged rows; the bytes stay, verified, for the next try."""
        await asyncio.to_thread(self._stage.discard)

    async def _produce(self, content: ContentChanges, jobs: Jobs) -> None:
        for batch in _batches(content):
            arrivals = [(work, source, line) for work in batch for source, line in _arrivals(work)]
            recorded = await asyncio.to_thread(
                self._recorded, [(source, line) for _, source, line in arrivals]
            )
            for work in batch:
                await self._distribute(work, recorded, jobs)

    async def _distribute(self, work: GroupWork, recorded: frozenset[Digest], jobs: Jobs) -> None:
        """What has to be fetched becomes a job, the rest of the group has arrived."""
        arrivals = _arrivals(work)
        work.open = len(arrivals)
        waiting = []
        for source, line in arrivals:
            brought = self._artifact_fetcher.already_available(source, line, recorded)
            if brought is None:
                waiting.append(Job(work, source, line, recorded))
            else:
                self._arrived(work, line, brought)
        if not waiting:
            await self._finished(work)
        for job in waiting:
            await jobs.put(job)

    def _recorded(self, arrivals: list[tuple[str, ChangeLine]]) -> frozenset[Digest]:
        """Artifacts that need nothing: stored, or, of a source that fetches nothing itself, known
        to be somewhere upstream.
        """
        wanted = {
            Digest.parse(artifact.sha256) for _, line in arrivals for artifact in line.artifacts
        }
        sizes = self._writer.stored_sizes(wanted) if wanted else {}
        stored = {digest for digest in wanted if digest in sizes} - _misstated(arrivals, sizes)
        copied = {
            Digest.parse(artifact.sha256)
            for source, line in arrivals
            if source not in self._sources
            for artifact in line.artifacts
        }
        missing = copied - stored
        return frozenset(stored | self._writer.origins_of(missing).keys() if missing else stored)

    async def _work(self, jobs: Jobs) -> None:
        while (job := await jobs.get()) is not None:
            work = job.work
            try:
                self._arrived(
                    work,
                    job.line,
                    await self._artifact_fetcher.fetch(job.source, job.line, job.recorded),
                )
            except (
                Exception
            ) as error:  # whatever spoils one file is that file's failure and nobody else's
                message = (
                    error_message(error) if not isinstance(error, OSError) else sanitize(str(error))
                )
                work.failed[job.line.key] = message
                self.failures.append(
                    FileFailure(job.source, work.changes[0].head.name, job.line.key, message)
                )
                work.open -= 1
                self._task.advance(units=1)
            if work.open == 0:
                await self._finished(work)

    def _advance_bytes(self, size: int) -> None:
        self._task.advance(size=size)

    def _arrived(self, work: GroupWork, line: ChangeLine, brought: FetchResult) -> None:
        work.sizes.update(brought.sizes)
        work.origins.update(
            {(digest, origin.remote): origin for digest, origin in brought.origins.items()}
        )
        unit = Unit(line.type, line.key, {}, line.artifacts)
        work.arrived.append(
            IdentifiedUnit(
                Digest.parse(line.digest), bytes(line.body), unit, work.changes[0].head.name
            )
        )
        work.open -= 1
        self._task.advance(units=1)

    async def _finished(self, work: GroupWork) -> None:
        self._ready.append(work)
        self._ready_units += len(work.arrived) + 1
        if self._ready_units >= FLUSH:
            await self._flush()

    async def _flush(self) -> None:
        async with self._flushing:
            batch, self._ready, self._ready_units = self._ready, [], 0
            if batch:
                await self._write_batch(batch)

    async def _write_batch(self, batch: list[GroupWork]) -> None:
        """Record and stage finished groups: in a worker thread where the database is a server, on
        the loop where it is SQLite.

        SQLite lets go of the interpreter lock at every row, and beside a busy loop each row then
        costs a switch of threads: in one piece a first sync takes a tenth of its CPU less, and the
        loop is held up for some 30 ms.
        """
        if self._writer.in_process:
            self._record(batch)
        else:
            await asyncio.to_thread(self._record, batch)

    def _record(self, batch: list[GroupWork]) -> None:
        """Bytes are made durable before the rows that refer to them."""
        sizes = {digest: size for work in batch for digest, size in work.sizes.items()}
        if sizes:
            self._store.sync()
        units = [unit for work in batch for unit in work.arrived]
        origins: dict[str, dict[Digest, ArtifactOrigin]] = {}
        for work in batch:
            for (digest, remote), origin in work.origins.items():
                origins.setdefault(remote, {})[digest] = origin
        first, *others = origins.values() if origins else [{}]
        self._writer.record_units(units, sizes, first)
        for more in others:  # several remotes have the same bytes
            self._writer.record_units(units, sizes, more)
        changes = [(change, work) for work in batch for change in work.changes]
        self._stage.add(
            [_staged_group(*one) for one in changes],
            [member for one in changes for member in _staged_members(*one)],
        )
        reached(Checkpoint.ROWS_STAGED)


def _batches(content: ContentChanges) -> Iterator[list[GroupWork]]:
    """Groups of the spool, a few at a time: up to LOOK_UP of them, and not many more than LINES
    changes.
    """
    batch: list[GroupWork] = []
    lines = 0
    for _, changes in groupby(content.spool, key=lambda change: change.head.name):
        work = GroupWork(list(changes))
        batch.append(work)
        lines += sum(len(change.lines) for change in work.changes)
        if len(batch) >= LOOK_UP or lines >= LINES:
            yield batch
            batch, lines = [], 0
    if batch:
        yield batch


def _misstated(
    arrivals: Iterable[tuple[str, ChangeLine]], sizes: Mapping[Digest, int]
) -> set[Digest]:
    """Artifacts that have another size than somebody declares: that one has to be told, so that no
    page promises what does not come.
    """
    declared = (
        (Digest.parse(artifact.sha256), artifact.size)
        for _, line in arrivals
        for artifact in line.artifacts
        if artifact.size is not None
    )
    return {digest for digest, size in declared if sizes.get(digest, size) != size}


def _arrives(line: ChangeLine) -> bool:
    return line.op in (ADD, CHANGE) or (line.op == MOVE and bool(line.digest))


def _arrivals(work: GroupWork) -> list[tuple[str, ChangeLine]]:
    return [
        (change.head.source, line)
        for change in work.changes
        for line in change.lines
        if _arrives(line)
    ]


def _staged_group(change: GroupChange, work: GroupWork) -> StagedGroup:
    head = change.head
    was = Digest.parse(head.was) if head.was else None
    if not head.held and not work.failed:
        return StagedGroup(head.name, head.source, was, None)
    due = datetime.fromisoformat(head.reconsider_at) if head.reconsider_at else None
    if work.failed:
        return StagedGroup(
            head.name, head.source, was, CommittedGroup(head.name, None, UNSETTLED, due)
        )
    return StagedGroup(
        head.name,
        head.source,
        was,
        CommittedGroup(head.name, head.validator, Digest.parse(head.selection), due),
    )


def _staged_members(change: GroupChange, work: GroupWork) -> Iterator[StagedMember]:
    head = change.head
    for line in change.lines:
        if line.op == REFUSE or line.key in work.failed:
            continue
        if _arrives(line):
            yield StagedMember(head.name, Digest.parse(line.digest), head.source, joins=True)
        leaving = line.digest if line.op == REMOVE else line.before
        waits = bool(work.failed) and line.op == REMOVE
        if leaving and not waits:
            yield StagedMember(head.name, Digest.parse(leaving), head.source, joins=False)
