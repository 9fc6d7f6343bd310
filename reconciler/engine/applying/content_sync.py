"""The content changes of one repository become a version: bytes, rows, one short transaction.

Units are fetched by a fixed number of workers; a group is staged once all of its files are there or
have failed. A file that fails is named and absent: the other additions of its group are committed,
the removals wait, and the validator is not recorded, so that the next run fetches that file only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.database import ArtifactOrigin, CommitResult, CommittedSource, Stage
from reconciler.engine.applying.staging import (
    FileFailure,
    PendingGroup,
    pending_groups,
)
from reconciler.engine.plugin_calls.plugin_errors import error_message
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.engine.run.progress import ProgressTask
from reconciler.engine.run.task_groups import task_group
from reconciler.engine.session.session import WritingSession
from reconciler.engine.transfer.artifact_fetcher import (
    ArtifactFetcher,
    FetchResult,
    SourceAccess,
    UrlsNow,
)
from reconciler.engine.transfer.stored_bytes import reliable_sizes
from reconciler.engine.transfer.transfer_warnings import TransferWarnings
from reconciler.errors import Conflict
from reconciler.model import Digest, artifact_digest, pluralize
from reconciler.plan import ChangeLine, ContentChanges
from reconciler.redaction import sanitize

QUEUED_JOBS = 64
FLUSH_UNITS = 500  # recorded at once
TRIES = 8  # commits, each without the groups that changed before it

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FetchJob:
    """One unit to fetch.

    Attributes:
        available: Artifacts that the database knows to be stored or to stay upstream.
    """

    group: PendingGroup
    source: str
    line: ChangeLine
    available: frozenset[Digest]


Jobs = asyncio.Queue[FetchJob | None]


class ContentSync:
    """Fetches and stages the content changes of one repository; `commit` makes them a version.

    Attributes:
        failures: Files that could not be fetched.
        warnings: About files that were fetched all the same.
        skipped: (group, source) of groups that another run changed meanwhile.
        clashes: The same of groups with a file that cannot lie beside another one; with the reason.
    """

    def __init__(
        self,
        session: WritingSession,
        repository_id: int,
        sources: Mapping[str, SourceAccess],
        *,
        remotes: Collection[str],
        task: ProgressTask,
        urls: UrlsNow | None = None,
    ) -> None:
        """
        Args:
            session: The run.
            repository_id: The repository.
            sources: Access to the files of remotes; units of other sources have their files.
            remotes: Where files that stay upstream may come from: see `DesiredState.remotes_of`.
            task: Where progress is told.
            urls: Finds URLs that have run out anew.
        """
        self._session = session
        self._writer = session.writer
        self._sources = sources
        self._remotes = frozenset(remotes)
        self._task = task
        self.warnings = TransferWarnings()
        self._fetcher = ArtifactFetcher(
            session.store,
            session.registry,
            sources,
            in_flight=session.in_flight,
            here=session.measurements,
            progress=self._advance_bytes,
            warnings=self.warnings,
            watch=session.watch,
            urls=urls,
        )
        self._stage: Stage = session.writer.stage(repository_id, session.clock())
        self._finished: list[PendingGroup] = []
        self._finished_units = 0
        self._flushing = asyncio.Lock()
        self.failures: list[FileFailure] = []
        self.skipped: set[tuple[str, str]] = set()
        self.clashes: dict[tuple[str, str], str] = {}

    async def fetch(self, content: ContentChanges) -> None:
        """Fetch every file and stage every row of `content`."""
        self._task.expect(content.counts.added + content.counts.changed, content.counts.download)
        jobs: Jobs = asyncio.Queue(maxsize=QUEUED_JOBS)
        workers = max((source.concurrency for source in self._sources.values()), default=1)
        async with task_group() as tasks:
            for _ in range(workers):
                tasks.create_task(self._work(jobs))
            for batch in pending_groups(content):
                await self._distribute(batch, jobs)
            for _ in range(workers):
                await jobs.put(None)
        await self._flush()

    async def commit(self, content: ContentChanges, provenance: dict[str, Any]) -> CommitResult:
        """Make a version of what is staged, in one short transaction.

        A group that another run changed meanwhile is left out, and is in `skipped`; so is one
        whose files cannot lie beside what came in or stays, and is in `clashes`. Scratchpads are
        recorded only with everything that the plugins brought, and a source with a failed file or
        a group that was left out keeps no validator.

        Raises:
            Conflict: Groups went on changing, or a scratchpad did.
        """
        reached(Checkpoint.BEFORE_FLIP)
        for _ in range(TRIES):
            try:
                result = await self._commit(content, provenance)
                break
            except Conflict:
                if not await asyncio.to_thread(self._leave_out, content):
                    raise
        else:
            result = await self._commit(content, provenance)
        reached(Checkpoint.AFTER_FLIP)
        return result

    async def discard(self) -> None:
        """Forget the staged rows; the bytes stay, verified, for the next run."""
        await asyncio.to_thread(self._stage.discard)

    def _leave_out(self, content: ContentChanges) -> bool:
        """Unstage what cannot be committed any more; return True if there was any."""
        skipped = self._stage.leave_out_moved()
        self.skipped |= skipped
        clashes = {}
        if content.tree is not None:
            clashes = self._stage.leave_out_clashing(content.tree.everything)
            self.clashes |= clashes
        logger.debug(
            "%s changed since the plan, %s cannot lie beside what is there",
            pluralize(len(skipped), "group"),
            pluralize(len(clashes), "group"),
        )
        return bool(skipped or clashes)

    async def _commit(self, content: ContentChanges, provenance: dict[str, Any]) -> CommitResult:
        incomplete = {failure.source for failure in self.failures}
        incomplete |= {source for _, source in (*self.skipped, *self.clashes)}
        sources = {
            name: CommittedSource(
                None if name in incomplete else validator,
                selection,
            )
            for name, (validator, selection) in content.sources.items()
        }
        scratchpads, seen = ({}, {}) if incomplete else (content.scratchpads, content.seen)
        return await asyncio.to_thread(
            self._stage.commit,
            provenance,
            sources,
            self._session.clock(),
            scratchpads=scratchpads,
            seen=seen,
            tree=content.tree.everything if content.tree and incomplete else content.tree,
        )

    async def _distribute(self, batch: list[PendingGroup], jobs: Jobs) -> None:
        """Queue a job for each unit that has to be fetched; the others are there already."""
        additions = [addition for group in batch for addition in group.additions()]
        available = await asyncio.to_thread(self._available, additions)
        for group in batch:
            waiting = self._add_available(group, available)
            if not waiting:
                await self._finish(group)
            for job in waiting:
                await jobs.put(job)

    def _add_available(self, group: PendingGroup, available: frozenset[Digest]) -> list[FetchJob]:
        """Add the units that need no fetching to the group; return the others."""
        additions = group.additions()
        group.open = len(additions)
        waiting = []
        for source, line in additions:
            fetched = self._fetcher.already_available(source, line, available)
            if fetched is None:
                waiting.append(FetchJob(group, source, line, available))
            else:
                self._add(group, line, fetched)
        return waiting

    def _available(self, additions: list[tuple[str, ChangeLine]]) -> frozenset[Digest]:
        """Return artifacts that need no fetching.

        They are stored, or, of a source that is no remote, recorded to stay upstream.
        """
        wanted = {artifact_digest(artifact) for _, line in additions for artifact in line.artifacts}
        stored = self._reliable(wanted) if wanted else set()
        missing = {
            artifact_digest(artifact)
            for source, line in additions
            if source not in self._sources
            for artifact in line.artifacts
        } - stored
        return frozenset(stored | self._upstream(missing) if missing else stored)

    def _upstream(self, digests: set[Digest]) -> set[Digest]:
        """Return those of the artifacts that a remote of this very repository has."""
        return {
            digest
            for digest, origins in self._writer.origins_of(digests).items()
            if any(origin.remote in self._remotes for origin in origins)
        }

    def _reliable(self, wanted: set[Digest]) -> set[Digest]:
        session = self._session
        sizes = reliable_sizes(session.store, self._writer, wanted, now=session.clock())
        return set(sizes)

    async def _work(self, jobs: Jobs) -> None:
        while (job := await jobs.get()) is not None:
            try:
                fetched = await self._fetcher.fetch(
                    job.source, job.line, job.available, group=job.group.name
                )
                logger.debug("%s: fetched `%s`", job.group.name, job.line.key)
                self._add(job.group, job.line, fetched)
            except Exception as error:  # the failure of one file; the others go on
                self._fail(job, error)
            if job.group.open == 0:
                await self._finish(job.group)

    def _add(self, group: PendingGroup, line: ChangeLine, fetched: FetchResult) -> None:
        group.add(line, fetched)
        self._task.advance(units=1)

    def _fail(self, job: FetchJob, error: Exception) -> None:
        is_system_error = isinstance(error, OSError)
        message = sanitize(str(error)) if is_system_error else error_message(error)
        job.group.fail(job.line)
        failure = FileFailure(job.source, job.group.name, job.line.key, message)
        self.failures.append(failure)
        logger.debug("%s", failure)
        self._task.advance(units=1)

    def _advance_bytes(self, size: int) -> None:
        self._task.advance(size=size)

    async def _finish(self, group: PendingGroup) -> None:
        self._finished.append(group)
        self._finished_units += len(group.units) + 1
        if self._finished_units >= FLUSH_UNITS:
            await self._flush()

    async def _flush(self) -> None:
        """Record and stage finished groups.

        In a worker thread where the database is a server, on the loop where it is SQLite, which
        lets go of the interpreter lock at every row: beside a busy loop each row then costs a
        switch of threads. In one piece a first sync takes a tenth of its CPU less, and the loop is
        held up for some 30 ms.
        """
        async with self._flushing:
            batch, self._finished, self._finished_units = self._finished, [], 0
            if not batch:
                return
            if self._writer.in_process:
                self._record(batch)
            else:
                await asyncio.to_thread(self._record, batch)

    def _record(self, batch: list[PendingGroup]) -> None:
        """Make bytes durable, then write the rows that refer to them."""
        sizes = {digest: size for group in batch for digest, size in group.sizes.items()}
        if sizes:
            self._session.store.sync()
        units = {group.name: group.units for group in batch}
        for origins in _origins_by_remote(batch):
            self._writer.record_units(units, sizes, origins)
        self._stage.add(
            [staged for group in batch for staged in group.staged_groups()],
            [member for group in batch for member in group.staged_members()],
        )
        logger.debug(
            "staged %s with %s",
            pluralize(len(batch), "group"),
            pluralize(sum(map(len, units.values())), "unit"),
        )
        reached(Checkpoint.ROWS_STAGED)


def _origins_by_remote(batch: list[PendingGroup]) -> list[dict[Digest, ArtifactOrigin]]:
    """Return the origins of each remote; at least one, possibly empty, mapping."""
    by_remote: dict[str, dict[Digest, ArtifactOrigin]] = {}
    for group in batch:
        for (digest, remote), origin in group.origins.items():
            by_remote.setdefault(remote, {})[digest] = origin
    return list(by_remote.values()) or [{}]
