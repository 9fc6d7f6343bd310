"""Sync: carry out the content changes of one repository. Bytes, then rows, then one short transaction.

Units of content are fetched by a fixed number of workers; a group is staged when all of its files are there or have
failed. A file that fails is named and absent: the group's other additions go in, its removals wait, its validator is
not committed, so that the next run asks for that file only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, islice

from reconciler.database import CommittedGroup, CommittedSource, Stage, StagedGroup, StagedMember, Writer
from reconciler.engine.progress import Task
from reconciler.engine.steps import Step, reached
from reconciler.engine.together import together
from reconciler.errors import DigestMismatch, PluginFault, ReconcilerError
from reconciler.model import Artifact, Digest, Sealed, Unit, stored_unit
from reconciler.plan import ADD, CHANGE, MOVE, REFUSE, REMOVE, ChangeLine, ContentChanges, GroupChange
from reconciler.plugin import Registry
from reconciler.remote import Fetcher, download
from reconciler.store import Store

LOOK_UP = 100  # groups whose artifacts are looked up at once
FLUSH = 500  # units recorded at once


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """How the files of one source are fetched."""

    fetcher: Fetcher
    concurrency: int
    retries: int


class InFlight:
    """Bytes that are being brought in right now, by any repository of a run: who wants the same ones waits for them."""

    def __init__(self) -> None:
        self._arriving: dict[Digest, asyncio.Event] = {}

    @asynccontextmanager
    async def alone(self, digest: Digest) -> AsyncIterator[None]:
        """Nobody else brings in `digest` within the block."""
        while digest in self._arriving:
            await self._arriving[digest].wait()
        self._arriving[digest] = arrived = asyncio.Event()
        try:
            yield
        finally:
            del self._arriving[digest]
            arrived.set()


@dataclass(slots=True)
class GroupWork:
    """One touched group on its way, with the changes of each source: what is fetched, what failed, how many units are still open."""

    changes: list[GroupChange]
    open: int = 0
    arrived: list[Sealed] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # key -> message
    sizes: dict[Digest, int] = field(default_factory=dict)


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
        repository_id: int,
        task: Task,
    ) -> None:
        self._writer = writer
        self._store = store
        self._registry = registry
        self._sources = sources
        self._in_flight = in_flight
        self._task = task
        self._stage: Stage = writer.stage(repository_id)
        self._ready: list[GroupWork] = []
        self._ready_units = 0
        self._flushing = asyncio.Lock()
        self._kept: dict[Digest, int] = {}  # in this run: many units share one metadata file
        self.failures: list[FileFailure] = []

    async def fetch(self, content: ContentChanges) -> None:
        """Bring in every byte and stage every row of `content`. Failed files end up in `failures`."""
        self._task.expect(content.counts.added + content.counts.changed, content.counts.download)
        jobs: Jobs = asyncio.Queue(maxsize=64)
        width = max((source.concurrency for source in self._sources.values()), default=1)
        async with together() as tasks:
            for _ in range(width):
                tasks.create_task(self._work(jobs))
            await self._produce(content, jobs)
            for _ in range(width):
                await jobs.put(None)
        await self._flush()

    async def commit(self, content: ContentChanges, provenance: dict[str, object], now: datetime) -> tuple[int, Digest, bool]:
        """One short transaction: (number, digest, is it new?). Raises Conflict when a touched group moved meanwhile."""
        sources = {
            name: CommittedSource(validator, Digest.parse(selection) if selection else None)
            for name, (validator, selection) in content.sources.items()
        }
        reached(Step.BEFORE_FLIP)
        result = await asyncio.to_thread(self._stage.commit, provenance, sources, now)
        reached(Step.AFTER_FLIP)
        return result.number, result.digest, result.created

    async def discard(self) -> None:
        """Forget the staged rows; the bytes stay, verified, for the next try."""
        await asyncio.to_thread(self._stage.discard)

    async def _produce(self, content: ContentChanges, jobs: Jobs) -> None:
        spool = (GroupWork(list(changes)) for _, changes in groupby(content.spool, key=lambda change: change.head.name))
        while batch := list(islice(spool, LOOK_UP)):
            wanted = {Digest.parse(artifact.sha256) for work in batch for _, line in _arrivals(work) for artifact in line.artifacts}
            recorded = frozenset(await asyncio.to_thread(self._writer.stored, wanted)) if wanted else frozenset()
            for work in batch:
                arrivals = _arrivals(work)
                work.open = len(arrivals)
                if not arrivals:
                    await self._finished(work)
                for source, line in arrivals:
                    await jobs.put(Job(work, source, line, recorded))

    async def _work(self, jobs: Jobs) -> None:
        while (job := await jobs.get()) is not None:
            work = job.work
            try:
                await self._unit(job)
            except Exception as error:  # whatever spoils one file is that file's failure and nobody else's
                message = str(error) if isinstance(error, ReconcilerError | OSError) else f"{type(error).__name__}: {error}"
                work.failed[job.line.key] = message
                self.failures.append(FileFailure(job.source, work.changes[0].head.name, job.line.key, message))
            work.open -= 1
            self._task.advance(units=1)
            if work.open == 0:
                await self._finished(work)

    async def _unit(self, job: Job) -> None:
        work, line = job.work, job.line
        for artifact in sorted(line.artifacts, key=lambda one: bool(one.within)):  # containers first
            digest = Digest.parse(artifact.sha256)
            if digest not in job.recorded:
                async with self._in_flight.alone(digest):
                    work.sizes[digest] = await self._artifact(job.source, line, artifact, digest)
        unit = Unit(line.type, line.key, {}, line.artifacts)
        work.arrived.append(Sealed(Digest.parse(line.digest), bytes(line.body), unit, work.changes[0].head.name))

    async def _artifact(self, source: str, line: ChangeLine, artifact: Artifact, digest: Digest) -> int:
        """The artifact's bytes are in the store when this returns; how many they are."""
        if digest in self._kept:
            return self._kept[digest]
        if self._store.has(digest) and await asyncio.to_thread(self._store.verify, digest):  # left by a run that died
            size = self._store.size(digest)
            self._task.advance(size=artifact.size or 0)
        elif artifact.within and (size := await self._extracted(line, artifact, digest)):
            pass
        else:
            access = self._sources[source]
            size = await download(
                access.fetcher, self._store, artifact.url, digest, artifact.size, retries=access.retries, progress=self._advance_bytes
            )
        self._kept[digest] = size
        reached(Step.BYTES_WRITTEN)
        return size

    def _advance_bytes(self, size: int) -> None:
        self._task.advance(size=size)

    async def _extracted(self, line: ChangeLine, artifact: Artifact, digest: Digest) -> int:
        """Take the bytes out of a sibling that contains them; 0 when that does not give the promised ones."""
        container = next((one for one in line.artifacts if one.path == artifact.within), None)
        if container is None:
            return 0
        unit = Unit(line.type, line.key, stored_unit(bytes(line.body)).metadata, line.artifacts)
        with self._store.open(Digest.parse(container.sha256)) as file:
            try:
                body = self._registry.content_type(line.type).extract(unit, artifact, file)
            except Exception as error:  # a plugin on hostile bytes
                raise PluginFault(f"`extract` of `{line.type}` failed: {type(error).__name__}: {error}") from error
        if not body:
            return 0
        try:
            self._store.put(body, digest)
        except DigestMismatch:
            return 0
        return len(body)

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
        """Record and stage finished groups: in a worker thread where the database is a server, on the loop where it is SQLite.

        SQLite lets go of the interpreter lock at every row, and beside a busy loop each row then costs a switch of threads:
        in one piece a first sync takes a tenth of its CPU less, and the loop is held up for some 30 ms.
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
        self._writer.record_units([unit for work in batch for unit in work.arrived], sizes)
        changes = [(change, work) for work in batch for change in work.changes]
        self._stage.add([_staged_group(*one) for one in changes], [member for one in changes for member in _staged_members(*one)])
        reached(Step.ROWS_STAGED)


def _arrives(line: ChangeLine) -> bool:
    return line.op in (ADD, CHANGE) or (line.op == MOVE and bool(line.digest))


def _arrivals(work: GroupWork) -> list[tuple[str, ChangeLine]]:
    return [(change.head.source, line) for change in work.changes for line in change.lines if _arrives(line)]


def _staged_group(change: GroupChange, work: GroupWork) -> StagedGroup:
    head = change.head
    was = Digest.parse(head.was) if head.was else None
    if not head.held and not work.failed:
        return StagedGroup(head.name, head.source, was, None)
    due = datetime.fromisoformat(head.reconsider_at) if head.reconsider_at else None
    validator = None if work.failed else head.validator
    return StagedGroup(head.name, head.source, was, CommittedGroup(head.name, validator, Digest.parse(head.selection), due))


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
