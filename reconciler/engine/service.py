"""The engine for servers and the upload command: receives files, fetches bytes left upstream."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from reconciler.database import Database, Writer
from reconciler.engine.access.authentication import authenticate
from reconciler.engine.access.identity_tokens import IdentityTokens
from reconciler.engine.planning.recorded_rules import ReadRecorded
from reconciler.engine.plugin_calls.call_timeouts import CallLimits
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.plugin_calls.worker_pool import WorkerPool, WorkerSlot
from reconciler.engine.pull_through.pull_through import PullThroughs
from reconciler.engine.run.fingerprints import SecretFingerprints
from reconciler.engine.run.lease import NO_PATIENCE, LeasePatience
from reconciler.engine.session.disabled_plugins import unusable_error
from reconciler.engine.session.home import Home
from reconciler.engine.session.session import WritingSession
from reconciler.engine.transfer.measurements import Measurements
from reconciler.engine.transfer.remotes import Remotes
from reconciler.engine.uploads.decided_changes import UploadResult
from reconciler.engine.uploads.group_commits import GroupCommits
from reconciler.engine.uploads.management import (
    REMOVE,
    action_of,
    content_of,
    endpoints_of,
    mark_answer,
    mark_request,
    removal_answer,
)
from reconciler.engine.uploads.marking import Marking, MarkRequest
from reconciler.engine.uploads.plugin_results import check_answer
from reconciler.engine.uploads.receiving import Uploads
from reconciler.engine.upstream.relayed_files import Recorded, RelayedFiles, Wanted
from reconciler.errors import Gone, ReconcilerError, UsageFault
from reconciler.model import (
    AccessRule,
    DesiredState,
    Digest,
    Grant,
    Kind,
    Publication,
    RecordedState,
    Ref,
    pluralize,
)
from reconciler.plugin import Answer, ReceivedRequest, UploadedFile
from reconciler.plugin.endpoints import Matched, matched_endpoints
from reconciler.plugin.registry import Registry

logger = logging.getLogger(__name__)


class Service:
    """Uploads, removals and on-demand downloads, based on what the last apply recorded.

    One for each server process. Nothing is opened before it is needed. What is kept in memory is
    read again once the generation of the database differs: a token that an apply took away, in
    whatever process, is worth nothing in the next request. Coroutines belong to one event loop.
    `read_recorded`: turns recorded resources, with overrides, into a desired state. `overrides`:
    values of `--override` for all uploads. `pulled_by`:
    the time by which fetched pages age. `limits`: how long plugins may keep an upload waiting;
    `patience`: how long other runs may.
    """

    def __init__(
        self,
        home: Home,
        registry: Registry,
        read_recorded: ReadRecorded,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pulled_by: Callable[[], datetime] | None = None,
        overrides: Sequence[str] = (),
        limits: CallLimits | None = None,
        patience: LeasePatience = NO_PATIENCE,
    ) -> None:
        self._home = home
        self._registry = registry
        self._read_recorded = read_recorded
        self._clock = clock
        self._overrides = overrides
        self._patience = patience
        self._worker_pool = WorkerPool((limits or CallLimits()).call)
        self._commits = GroupCommits(self._slot)
        self._identity_tokens = IdentityTokens()
        self._opening = threading.Lock()
        self._database: Database | None = None
        self._cached: Recorded | None = None
        self._files = RelayedFiles(
            home, registry, recorded=self._read, writer=self._writer, clock=clock
        )
        self.pull_through = PullThroughs(
            home,
            registry,
            recorded=self._read,
            writer=self._writer,
            with_session=self._with_session,
            clock=pulled_by or clock,
        )

    def authenticate(
        self, publication: str, authorization: str | None, path: str = ""
    ) -> Grant | None:
        """Return what an `Authorization` header lets a client do at a path, or None. Thread-safe.

        Raises Gone if the publication takes no files, or is not managed over HTTP, and Temporary
        if what was recorded of it cannot be used now.
        """
        target = self._usable_publication(publication)
        if action_of(path):
            if target is None or not target.managers:
                raise Gone(
                    f"publication `{publication}` is not managed over HTTP",
                    hint="`access.manage` in its manifest says who may do that",
                )
            return self._grant(target.managers, authorization)
        if target is None or not target.uploaders:
            raise Gone(
                f"publication `{publication}` takes no files",
                hint="`access.upload` in its manifest says who may send some",
            )
        return self._grant(target.uploaders, authorization)

    def read_grant(self, publication: str, authorization: str | None) -> Grant | None:
        """Return what an `Authorization` header lets a reader see, or None. Thread-safe.

        Raises Temporary if what was recorded of the publication cannot be used now.
        """
        target = self._usable_publication(publication)
        if target is None:
            return None
        if target.readers is None:
            return Grant("public")
        return self._grant(target.readers, authorization)

    def _grant(self, rules: Sequence[AccessRule], authorization: str | None) -> Grant | None:
        now = self._clock()
        grant = authenticate(rules, authorization, now=now)
        return grant or self._identity_tokens.authenticate(rules, authorization, now=now)

    def _usable_publication(self, name: str) -> Publication | None:
        """Return a recorded publication, None if there is none.

        Raises Temporary if what was recorded of it cannot be used now.
        """
        state = self._recorded()
        target = state.desired.publications.get(name)
        if target is None and (fault := unusable_error(state.faults, Ref(Kind.PUBLICATION, name))):
            raise fault
        return target

    def unusable_resources(self) -> list[ReconcilerError]:
        """Return an error for each recorded repository and publication that cannot be used."""
        faults = self._recorded().faults
        errors = [
            unusable_error(faults, ref)
            for ref in sorted(faults)
            if ref.kind in (Kind.REPOSITORY, Kind.PUBLICATION)
        ]
        return [error for error in errors if error is not None]

    def endpoints(self, publication: str, path: str) -> dict[str, Matched]:
        """Return which endpoints of a publisher are about a path, by method. Thread-safe.

        Raises Temporary if what was recorded of the publication cannot be used now.
        """
        target = self._usable_publication(publication)
        if target is None:
            return {}
        if actions := endpoints_of(path):
            return actions
        cls: Any = self._registry.publisher(target.publisher).cls
        return matched_endpoints(cls.endpoints, path)

    async def receive(
        self, publication: str, request: ReceivedRequest, grant: Grant
    ) -> UploadResult:
        """Take a request that was sent to a publication. Raises as `Uploads.receive`."""
        target = (await asyncio.to_thread(self.desired)).publications.get(publication)
        repository = target.repository if target is not None else ""
        if action := action_of(request.path):
            return await self._manage(repository, action, request, grant=grant)
        return await self._commits.change(
            repository,
            lambda uploads: uploads.receive(publication, request, grant),
            what=f"{_named(request)} by {grant.principal}",
        )

    async def error_answer(
        self, publication: str, request: ReceivedRequest, status: int, *, error: ReconcilerError
    ) -> Answer | None:
        """Return how the publisher tells a client of an error; None for a sentence. Never raises.

        It may take as long as an upload, in slots of its own: those of uploads may all be waiting.
        """
        call = f"`error_answer` of publication `{publication}`"
        try:
            target = (await asyncio.to_thread(self.desired)).publications[publication]
            cls: Any = self._registry.publisher(target.publisher).cls
            tell = partial(cls.error_answer, request, status, error)
            async with self._worker_pool.slot(f"{target.repository} (errors)") as slot:
                return await slot.in_thread(_error_answer, slot, call, tell)
        except Exception as fault:  # the client is told of the first error, whatever this one is
            logger.warning("%s was not to be had: %s", call, fault)
            return None

    async def upload(
        self, repository: str, file: UploadedFile, fields: Mapping[str, str], *, principal: str
    ) -> UploadResult:
        """Take a file for a repository, in the generic way. Raises as `Uploads.upload`."""
        return await self._commits.change(
            repository,
            lambda uploads: uploads.upload(repository, file, fields, principal=principal),
            what=f"upload of `{file.name}` by {principal}",
        )

    async def remove(self, repository: str, keys: list[str], principal: str) -> UploadResult:
        """Remove uploaded units by key. Raises as `Uploads.remove`."""
        return await self._remove(repository, keys, Grant(principal))

    async def _remove(self, repository: str, keys: list[str], grant: Grant) -> UploadResult:
        return await self._commits.change(
            repository,
            lambda uploads: uploads.remove(repository, keys, grant),
            what=f"removal of {pluralize(len(keys), 'unit')} by {grant.principal}",
        )

    async def restore(self, repository: str, number: int, principal: str) -> UploadResult:
        """Bring the uploads of a version back. Raises as `Uploads.restore`."""
        return await self._commits.change(
            repository,
            lambda uploads: uploads.restore(repository, number, Grant(principal)),
            what=f"uploads of version {number} restored by {principal}",
        )

    async def _manage(
        self, repository: str, action: str, request: ReceivedRequest, *, grant: Grant
    ) -> UploadResult:
        """Do what a form asks for that was sent below `manage/`."""
        if action == REMOVE:
            result = await self._remove(repository, content_of(request.fields), grant)
            return replace(result, answer=removal_answer(request, result))
        mark = mark_request(action, request.fields)
        result = await self.mark(repository, mark, grant)
        return replace(result, answer=mark_answer(request, result, mark))

    async def mark(self, repository: str, request: MarkRequest, grant: Grant) -> UploadResult:
        """Mark content by hand, or drop such marks. Raises as `Marking.mark`."""
        async with self._worker_pool.slot(repository) as slot:
            session, state = await asyncio.to_thread(self._writing, slot)
            marking = Marking(session, state.desired, state.faults)
            return await marking.mark(repository, request, grant)

    def can_fetch(self, publication: str, digest: Digest) -> bool:
        """Return True if a source of the publication's repository has these bytes. Thread-safe."""
        return self._files.can_fetch(publication, digest)

    async def fetch(
        self,
        publication: str,
        digest: Digest,
        size: int | None,
        *,
        announce: Callable[[int | None], None] = lambda length: None,
    ) -> AsyncIterator[bytes]:
        """Yield the bytes in blocks while storing them, as `serve` wants it."""
        async with aclosing(
            self._files.fetch(publication, Wanted(digest, size, announce))
        ) as blocks:
            async for block in blocks:
                yield block

    def record_damage(self, digest: Digest, problem: str) -> None:
        """Set damaged bytes aside and record that they are missing, if they should be there.

        Never raises: the client hears of damage, whether it can be recorded or not. Thread-safe.
        """
        try:
            writer = self._writer()
            if writer.stored([digest]) and not self._home.store().verify(digest):
                writer.record_damage({digest: problem}, self._clock())
        except Exception as error:  # a full disk, a locked database
            logger.error("the damage of %s cannot be recorded: %s", digest, error)

    def desired(self) -> DesiredState:
        """Return what the last apply recorded, as far as it can be used today. Thread-safe."""
        return self._recorded().desired

    async def close(self) -> None:
        """Close connections and database. May be called any number of times.

        What was pulled through enters its versions before.
        """
        await self.pull_through.close()
        await self._files.close()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _writer(self) -> Writer:
        with self._opening:
            if self._database is None:
                self._database = self._home.database(read_only=False)
        return self._database.writer()

    def _recorded(self) -> RecordedState:
        return self._read().state

    def _read(self) -> Recorded:
        writer, cached = self._writer(), self._cached
        generation = writer.generation()
        if cached is None or cached.generation != generation:
            actual = writer.actual_state()
            if cached is not None and cached.actual.resources == actual.resources:
                state = cached.state  # an upload, as most generations are: nothing was applied
            else:
                state = self._read_recorded(actual, self._registry, ())
            cached = self._cached = Recorded(generation, actual, state)
        return cached

    @asynccontextmanager
    async def _slot(self, repository: str) -> AsyncIterator[Uploads]:
        """Provide a worker slot for one upload or removal.

        Plugins that hang in one repository hold up no other.
        """
        async with self._worker_pool.slot(repository) as slot:
            yield await asyncio.to_thread(self._uploads, slot)

    async def _with_session(
        self, repository: str, change: Callable[[WritingSession], Awaitable[None]]
    ) -> None:
        async with self._worker_pool.slot(repository) as slot:
            session, _ = await asyncio.to_thread(self._writing, slot)
            await change(session)

    def _uploads(self, slot: WorkerSlot) -> Uploads:
        session, state = self._writing(slot)
        return Uploads(session, state.desired, state.faults, folder=self._home.arriving_folder)

    def _writing(self, slot: WorkerSlot) -> tuple[WritingSession, RecordedState]:
        """Return the session of one change, and the record that it is based on."""
        writer, registry = self._writer(), self._registry
        remotes = Remotes(registry, self._home.caches(), offline=True)
        session = WritingSession(
            reader=writer,
            writer=writer,
            store=self._home.store(),
            registry=registry,
            remotes=remotes,
            workdirs=self._home.workdirs(),
            measurements=Measurements(),
            clock=self._clock,
            now=self._clock(),
            watch=slot.watch,
            in_thread=slot.in_thread,
            patience=self._patience,
            secrets=SecretFingerprints(partial(self._home.key, create=False)),
        )
        if not self._overrides:
            return session, self._recorded()
        return session, self._read_recorded(writer.actual_state(), registry, self._overrides)


def _error_answer(slot: WorkerSlot, call: str, tell: Callable[[], Any]) -> Answer | None:
    with slot.watch(call), plugin_faults(call):
        answer = tell()
        check_answer(answer)
    return cast("Answer | None", answer)


def _named(request: ReceivedRequest) -> str:
    files = ", ".join(f"`{file.name}`" for file in request.files)
    return f"upload of {files}" if files else f"{request.method} `{request.path}`"


def uploaded_file(path: Path) -> UploadedFile:
    """Return a local file as an upload. Raises UsageFault if it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return UploadedFile(path.name, path, path.stat().st_size, digest)
    except OSError as error:
        raise UsageFault(f"`{path}` cannot be read: {error.strerror}") from None
