"""Fetching ahead: the files of a version that were left upstream come into the store, verified.

Each file is on its own: one that fails holds up no other, and what came is recorded, so that the
next run asks for what is still missing only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from typing import NamedTuple

from reconciler.engine.plugin_calls.plugin_errors import error_message
from reconciler.engine.run.progress import ProgressTask
from reconciler.engine.run.task_groups import task_group
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.source_urls import SourceUrls
from reconciler.engine.transfer.artifact_fetcher import SourceAccess
from reconciler.engine.transfer.transfer_warnings import TransferWarnings, WarningKind
from reconciler.engine.upstream.file_places import FilePlace, FilePlaces
from reconciler.errors import ReconcilerError, StateFault, UsageFault
from reconciler.model import (
    ActualState,
    DesiredState,
    Digest,
    Kind,
    Ref,
    Remote,
    SourceKind,
    StoredUnit,
)
from reconciler.plan import natural_sort_key
from reconciler.retrying import RetryPolicy

GROUPS_AT_ONCE = 500
FILES_AT_ONCE = 50  # files that are made durable and recorded together

logger = logging.getLogger(__name__)


class MissingFile(NamedTuple):
    """A file that a version holds and the store does not. `size`: as declared, or None."""

    group: str
    path: str
    digest: Digest
    size: int | None


class FailedFile(NamedTuple):
    """A file that could not be fetched, and why."""

    file: MissingFile
    reason: str


@dataclass(slots=True)
class FetchReport:
    """Outcome of a run.

    Attributes:
        repository: Whose files they are.
        present: Files that were in the store before.
        missing: Files that were not, and may be stored.
        missing_size: Bytes of these, as far as they are declared.
        fetched: Files that came now.
        size: Bytes of these.
        streamed: Files that are never stored, since `policy: streamed` says so.
        failed: What could not be fetched, by group and path.
        warnings: Lines about mirrors that were left out.
    """

    repository: str
    present: int = 0
    missing: int = 0
    missing_size: int = 0
    fetched: int = 0
    size: int = 0
    streamed: int = 0
    failed: list[FailedFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Scope(NamedTuple):
    """A version of a repository to fetch; `shown`: only these files of it."""

    repository: str
    id: int
    number: int
    shown: frozenset[Digest] | None = None

    def holds(self, digest: Digest) -> bool:
        """Return True for a file that is meant."""
        return self.shown is None or digest in self.shown


class FetchAhead:
    """Fetches what is missing of one repository, or of what a publication shows.

    `desired`: what the last apply recorded.
    """

    def __init__(self, session: WritingSession, desired: DesiredState, actual: ActualState) -> None:
        self._session = session
        self._writer = session.writer
        self._desired = desired
        self._actual = actual
        self._warnings = TransferWarnings()
        self._arrived: dict[Digest, int] = {}
        self._recording = asyncio.Lock()

    async def run(self, ref: Ref, names: Sequence[str], *, dry_run: bool) -> FetchReport:
        """Fetch the files of `ref`; `names`: globs of groups, keys or paths, all without any.

        `dry_run`: count what is missing, and ask no host.

        Raises UsageFault where `ref` holds no files, or nothing of it has such a name.
        """
        scope = await asyncio.to_thread(self._scope, ref)
        report = FetchReport(scope.repository)
        missing = await asyncio.to_thread(self._missing, scope, names, report)
        if names and not missing and not report.present:
            raise UsageFault(
                f"no file of {ref} matches {' or '.join(f'`{name}`' for name in names)}",
                hint="names are globs of projects, of files, or of their paths: `django`, `*.whl`",
            )
        if missing:
            await self._fetch_all(scope, missing, report, dry_run=dry_run)
        report.warnings = list(self._warnings.lines())
        report.failed.sort(key=lambda failed: natural_sort_key(failed.file.path))
        return report

    def _scope(self, ref: Ref) -> Scope:
        repositories, publications = self._actual.repositories, self._actual.publications
        if ref.kind is Kind.REPOSITORY and ref.name in repositories:
            held = repositories[ref.name]
            return Scope(ref.name, held.id, held.number)
        if ref.kind is Kind.PUBLICATION and ref.name in publications:
            return self._scope_of_publication(ref)
        if ref.kind in (Kind.REPOSITORY, Kind.PUBLICATION):
            raise UsageFault(
                f"there is no {ref}",
                hint=f"`reconciler get {ref.kind.lower()}` lists what there is",
            )
        raise UsageFault(f"{ref} holds no files", hint="name a repository or a publication")

    def _scope_of_publication(self, ref: Ref) -> Scope:
        record = self._writer.publication(self._actual.publications[ref.name].id)
        declared = self._desired.publications.get(ref.name)
        if record is None or declared is None:
            raise StateFault(f"{ref} shows nothing yet", hint="`reconciler apply` publishes it")
        entries = self._writer.all_entries(self._actual.publications[ref.name].id, record.number)
        shown = frozenset(entry.digest for entry in entries if not entry.page)
        held = self._actual.repositories[declared.repository]
        return Scope(declared.repository, held.id, record.version, shown)

    def _missing(
        self, scope: Scope, names: Sequence[str], report: FetchReport
    ) -> list[MissingFile]:
        """Return the files that the store lacks; count the others."""
        missing: dict[Digest, MissingFile] = {}
        groups = self._writer.group_names(scope.id, scope.number)
        while batch := list(islice(groups, GROUPS_AT_ONCE)):
            held = self._writer.units(scope.id, scope.number, batch)
            files = {
                file.digest: file
                for units in held.values()
                for file in _files(units, names)
                if scope.holds(file.digest)
            }
            stored = self._writer.stored(files)
            report.present += len(stored)
            missing |= {digest: file for digest, file in files.items() if digest not in stored}
        return sorted(missing.values(), key=lambda file: (file.group, natural_sort_key(file.path)))

    async def _fetch_all(
        self, scope: Scope, missing: Sequence[MissingFile], report: FetchReport, *, dry_run: bool
    ) -> None:
        places = FilePlaces(
            self._writer, self._desired, repository=scope.repository, urls=self._source_urls()
        )
        digests = [file.digest for file in missing]
        recorded = await asyncio.to_thread(places.recorded, digests)
        streamed = {digest for digest, at in recorded.items() if _is_streamed(at)}
        report.streamed = len(streamed)
        missing = [file for file in missing if file.digest not in streamed]
        report.missing, report.missing_size = len(missing), sum(file.size or 0 for file in missing)
        if dry_run:
            return
        task = self._session.progress.task(f"fetching {scope.repository}", "files")
        task.expect(report.missing, report.missing_size)
        waiting = iter(missing)
        try:
            async with task_group() as tasks:
                for _ in range(self._workers(recorded.values())):
                    tasks.create_task(
                        self._work(waiting, places, recorded=recorded, report=report, task=task)
                    )
        finally:
            await self._record()
            task.done()

    def _workers(self, recorded: Iterable[Sequence[FilePlace]]) -> int:
        """Return how many files are fetched at once: each remote bounds its own requests."""
        remotes = {place.remote.meta.name: place.remote for each in recorded for place in each}
        return sum(remote.concurrency for remote in remotes.values()) or 1

    def _source_urls(self) -> Callable[[], SourceUrls]:
        urls = SourceUrls(self._session, self._desired)
        return lambda: urls

    async def _work(
        self,
        waiting: Iterator[MissingFile],
        places: FilePlaces,
        *,
        recorded: dict[Digest, list[FilePlace]],
        report: FetchReport,
        task: ProgressTask,
    ) -> None:
        for file in waiting:
            try:
                size = await self._fetch(file, places, recorded.get(file.digest, []), task=task)
            except Exception as error:  # of this file, whatever a plugin raises: the others go on
                report.failed.append(FailedFile(file, error_message(error)))
                logger.info("`%s` cannot be fetched: %s", file.path, error)
            else:
                report.fetched, report.size = report.fetched + 1, report.size + size
                self._arrived[file.digest] = size
                if len(self._arrived) >= FILES_AT_ONCE:
                    await self._record()
            task.advance(units=1)

    async def _fetch(
        self,
        file: MissingFile,
        places: FilePlaces,
        recorded: Sequence[FilePlace],
        *,
        task: ProgressTask,
    ) -> int:
        """Bring a file into the store and return its size. Raises what the first remote raised."""
        if (left := await asyncio.to_thread(self._left_behind, file.digest)) is not None:
            return left
        failure: ReconcilerError = StateFault(
            "no remote of the repository is recorded to have it",
            hint="`reconciler repair` reads the pages of its sources for what was lost",
        )
        stored = [place for place in recorded if not place.remote.is_streamed]
        for number, place in enumerate(stored):
            try:
                return await self._fetch_from(file, places, place, task=task)
            except ReconcilerError as error:
                failure = failure if number else error
        asked = {place.remote.meta.name for place in recorded}
        async with aclosing(places.of_other_sources(file.digest, asked)) as others:
            async for remote, url in others:
                if remote.is_streamed:
                    continue
                try:
                    return await self._download(file, remote, url, task=task)
                except ReconcilerError as error:
                    logger.info("remote `%s`: %s", remote.meta.name, error)
        raise failure

    def _left_behind(self, digest: Digest) -> int | None:
        """Return the size of bytes that a run which ended early has stored."""
        store = self._session.store
        if store.claim(digest) is None or not store.verify(digest):
            return None
        return store.size(digest)

    async def _fetch_from(
        self, file: MissingFile, places: FilePlaces, place: FilePlace, *, task: ProgressTask
    ) -> int:
        async with aclosing(places.urls_of(place, file.digest)) as attempts:
            async for attempt in attempts:
                try:
                    return await self._download(file, place.remote, attempt.url, task=task)
                except ReconcilerError as error:
                    attempt.failed(error)
        raise StateFault(f"`{file.path}` is nowhere")  # not reached: `urls_of` raises

    async def _download(
        self, file: MissingFile, remote: Remote, url: str, *, task: ProgressTask
    ) -> int:
        access = SourceAccess.of(self._session.remotes, remote)
        return await access.mirrors.download(
            access.fetcher,
            self._session.store,
            url,
            expected=file.digest,
            limit=max(file.size or 0, access.max_size),
            retry=RetryPolicy(attempts=1 + access.retries),
            progress=lambda size: task.advance(size=size),
            left_out=partial(self._warn_of_mirror, remote),
        )

    def _warn_of_mirror(self, remote: Remote, mirror: str, error: ReconcilerError) -> None:
        source = f"{SourceKind.REMOTE.value}:{remote.meta.name}"
        self._warnings.add(source, WarningKind.MIRROR, mirror, detail=error.message)

    async def _record(self) -> None:
        """Record what has arrived, after it is durable."""
        async with self._recording:
            arrived, self._arrived = self._arrived, {}
            if arrived:
                await asyncio.to_thread(self._store_records, arrived)

    def _store_records(self, arrived: dict[Digest, int]) -> None:
        self._session.store.sync()
        self._writer.artifacts_stored(arrived)


def _is_streamed(places: Sequence[FilePlace]) -> bool:
    """Return True for a file of which no remote may store anything."""
    return all(place.remote.is_streamed for place in places)


def _files(units: Iterable[StoredUnit], names: Sequence[str]) -> Iterator[MissingFile]:
    """Yield the files of units that one of the globs names; all of them without any."""
    patterns = [name.casefold() for name in names]
    for unit in units:
        for artifact in unit.artifacts:
            texts = [text.casefold() for text in (unit.group, unit.key, artifact.path)]
            if not patterns or any(
                fnmatchcase(text, pattern) for text in texts for pattern in patterns
            ):
                digest = Digest(bytes.fromhex(artifact.sha256))
                yield MissingFile(unit.group, artifact.path, digest, artifact.size)
