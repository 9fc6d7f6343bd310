"""The engine for servers and the upload command: receives files, fetches bytes left upstream."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from reconciler.database import ArtifactOrigin, Database, Writer
from reconciler.engine.access.authentication import authenticate
from reconciler.engine.planning.recorded_rules import ReadRecorded
from reconciler.engine.plugin_calls.call_timeouts import CallLimits
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.plugin_calls.worker_pool import WorkerPool, WorkerSlot
from reconciler.engine.run.fingerprints import SecretFingerprints
from reconciler.engine.run.lease import NO_PATIENCE, LeasePatience
from reconciler.engine.session.disabled_plugins import unusable_error
from reconciler.engine.session.home import Home
from reconciler.engine.session.session import Session, WritingSession
from reconciler.engine.sources.source_urls import SourceUrls
from reconciler.engine.transfer.artifact_fetcher import may_have_run_out
from reconciler.engine.transfer.measurements import Measurements
from reconciler.engine.transfer.remotes import Remotes
from reconciler.engine.uploads.plugin_results import check_answer
from reconciler.engine.uploads.receiving import UploadResult, Uploads
from reconciler.errors import Gone, ReconcilerError, Refused, StateFault, UsageFault
from reconciler.model import (
    ActualResource,
    ActualState,
    DesiredState,
    Digest,
    Grant,
    Kind,
    Publication,
    RecordedState,
    Ref,
    Remote,
)
from reconciler.plugin import Answer, ReceivedRequest, UploadedFile
from reconciler.plugin.endpoints import Matched, matched_endpoints
from reconciler.plugin.registry import Registry
from reconciler.remote import Fetcher, open_fetcher, relay

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The record of the last apply, as of one generation of the database."""

    generation: Hashable
    actual: ActualState
    state: RecordedState


@dataclass(frozen=True, slots=True)
class OpenRemote:
    """A connection to a remote, with the declaration and the secrets that it was opened with."""

    remote: Remote
    fingerprints: Mapping[str, str]
    fetcher: Fetcher


@dataclass(frozen=True, slots=True)
class OpenSources:
    """Sources that can be asked again where files are, and the resources they were opened with."""

    resources: Mapping[Ref, ActualResource]
    remotes: Remotes
    urls: SourceUrls


class Service:
    """Uploads, removals and on-demand downloads, based on what the last apply recorded.

    One for each server process. Nothing is opened before it is needed. What is kept in memory is
    read again once the generation of the database differs: a token that an apply took away, in
    whatever process, is worth nothing in the next request. Coroutines belong to one event loop.
    `read_recorded`: turns recorded resources, with overrides, into a desired state. `overrides`:
    values of `--override` for all uploads. `limits`: how long plugins may keep an upload waiting;
    `patience`: how long other runs may.
    """

    def __init__(
        self,
        home: Home,
        registry: Registry,
        read_recorded: ReadRecorded,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
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
        self._opening = threading.Lock()
        self._database: Database | None = None
        self._cached: Recorded | None = None
        self._remotes: dict[str, OpenRemote] = {}
        self._replaced: list[Fetcher] = []
        self._sources: OpenSources | None = None
        self._outdated: list[Remotes] = []

    def authenticate(self, publication: str, authorization: str | None) -> Grant | None:
        """Return what an `Authorization` header lets an uploader do, or None. Thread-safe.

        Raises Gone if the publication takes no files, and Temporary if what was recorded of it
        cannot be used now.
        """
        target = self._usable_publication(publication)
        if target is None or not target.uploaders:
            raise Gone(
                f"publication `{publication}` takes no files",
                hint="`access.upload` in its manifest says who may send some",
            )
        return authenticate(target.uploaders, authorization, now=self._clock())

    def read_grant(self, publication: str, authorization: str | None) -> Grant | None:
        """Return what an `Authorization` header lets a reader see, or None. Thread-safe.

        Raises Temporary if what was recorded of the publication cannot be used now.
        """
        target = self._usable_publication(publication)
        if target is None:
            return None
        if target.readers is None:
            return Grant("public")
        return authenticate(target.readers, authorization, now=self._clock())

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
        cls: Any = self._registry.publisher(target.publisher).cls
        return matched_endpoints(cls.endpoints, path)

    async def receive(
        self, publication: str, request: ReceivedRequest, grant: Grant
    ) -> UploadResult:
        """Take a request that was sent to a publication. Raises as `Uploads.receive`."""
        target = (await asyncio.to_thread(self.desired)).publications.get(publication)
        async with self._slot(target.repository if target is not None else "") as uploads:
            return await uploads.receive(publication, request, grant)

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
        async with self._slot(repository) as uploads:
            return await uploads.upload(repository, file, fields, principal=principal)

    async def remove(self, repository: str, keys: list[str], principal: str) -> UploadResult:
        """Remove uploaded units by key. Raises as `Uploads.remove`."""
        async with self._slot(repository) as uploads:
            return await uploads.remove(repository, keys, principal)

    def can_fetch(self, publication: str, digest: Digest) -> bool:
        """Return True if a source of the publication's repository has these bytes. Thread-safe."""
        return bool(self._origins_of(publication, digest))

    async def fetch(
        self,
        publication: str,
        digest: Digest,
        size: int | None,
        *,
        announce: Callable[[int | None], None] = lambda length: None,
    ) -> AsyncIterator[bytes]:
        """Yield the bytes in blocks while storing them; `size` and `announce` as for `serve`.

        The last block comes once the digest was right.

        Remotes are asked one after the other until one begins to answer. Rule: only remotes that
        are sources of the repository that the publication shows; what another repository's remote
        has is no permission to use its credentials. Raises the last remote's error, and StateFault
        if none of them has the bytes.
        """
        failure: ReconcilerError = StateFault(
            f"{digest.short} is not in the store, and no remote of publication `{publication}` has"
            " it"
        )
        for remote, origin in await asyncio.to_thread(self._origins_of, publication, digest):
            begun, count = False, 0
            try:
                async with aclosing(
                    self._relayed(remote, origin, digest, size=size, announce=announce)
                ) as blocks:
                    async for block in blocks:
                        begun = True
                        count += len(block)
                        yield block
            except ReconcilerError as error:
                if begun:
                    raise
                failure = error
                continue
            if size not in (None, count):
                logger.warning(
                    "%s has %d bytes instead of the %d that were declared for it",
                    digest.short,
                    count,
                    size,
                )
            await asyncio.to_thread(self._stored, digest, count)
            return
        raise failure

    async def _relayed(
        self,
        remote: Remote,
        origin: ArtifactOrigin,
        digest: Digest,
        *,
        size: int | None,
        announce: Callable[[int | None], None],
    ) -> AsyncGenerator[bytes, None]:
        """Yield bytes from their recorded URL, else from where the page names them now.

        The page is read again where no whole URL is recorded, and where that has run out.
        """
        failure: ReconcilerError | None = None
        if not origin.needs_page:
            try:
                async with aclosing(
                    self._relay(remote, origin.url, digest, size=size, announce=announce)
                ) as blocks:
                    async for block in blocks:
                        yield block
                return
            except (Gone, Refused) as error:  # raised on opening, before any block
                if not may_have_run_out(error):
                    raise
                failure = error
        url = await self._url_now(remote, origin, digest, failure=failure)
        async with aclosing(
            self._relay(remote, url, digest, size=size, announce=announce)
        ) as blocks:
            async for block in blocks:
                yield block

    async def _url_now(
        self,
        remote: Remote,
        origin: ArtifactOrigin,
        digest: Digest,
        *,
        failure: ReconcilerError | None,
    ) -> str:
        """Return where the page names a file now. Raises `failure`, if any, where that is no news.

        Raises Gone where the page names the file no more, and what the page's reading raised.
        """
        try:
            urls = await asyncio.to_thread(self._urls_now)
            url = await urls.of_recorded(digest, remote.meta.name)
        except ReconcilerError as error:
            raise failure or error from None
        if url is not None and (failure is None or url != origin.url):
            return url
        raise failure or Gone(
            f"remote `{remote.meta.name}` names {digest.short} no more",
            hint="its URL holds a query, which is not stored: the page has to name it",
        )

    def _relay(
        self,
        remote: Remote,
        url: str,
        digest: Digest,
        *,
        size: int | None,
        announce: Callable[[int | None], None],
    ) -> AsyncGenerator[bytes, None]:
        return relay(
            self._fetcher(remote),
            self._home.store(),
            url,
            expected=digest,
            limit=max(size or 0, remote.max_size),
            announce=announce,
        )

    def _urls_now(self) -> SourceUrls:
        """Return what asks sources again; another one once resources were recorded anew."""
        desired = self.desired()
        resources = self._cached.actual.resources if self._cached is not None else {}
        if self._sources is None or self._sources.resources != resources:
            if self._sources is not None:
                self._outdated.append(self._sources.remotes)
            remotes = Remotes(self._registry, self._home.caches())
            urls = SourceUrls(self._reading_session(remotes), desired)
            self._sources = OpenSources(resources, remotes, urls)
        return self._sources.urls

    def _reading_session(self, remotes: Remotes) -> Session:
        return Session(
            reader=self._writer(),
            store=self._home.store(),
            registry=self._registry,
            remotes=remotes,
            workdirs=self._home.workdirs(),
            measurements=Measurements(),
            clock=self._clock,
            now=self._clock(),
        )

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
        """Close connections and database. May be called any number of times."""
        for fetcher in (*self._replaced, *(opened.fetcher for opened in self._remotes.values())):
            await fetcher.close()
        self._replaced.clear()
        self._remotes.clear()
        for remotes in (*self._outdated, *([self._sources.remotes] if self._sources else [])):
            await remotes.close()
        self._outdated.clear()
        self._sources = None
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

    def _uploads(self, slot: WorkerSlot) -> Uploads:
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
        state = self._read_recorded(writer.actual_state(), registry, self._overrides)
        return Uploads(session, state.desired, state.faults, folder=self._home.arriving_folder)

    def _origins_of(self, publication: str, digest: Digest) -> list[tuple[Remote, ArtifactOrigin]]:
        desired = self.desired()
        shown = desired.publications.get(publication)
        allowed = desired.remotes_of(shown.repository) if shown is not None else set()
        return [
            (desired.remotes[origin.remote], origin)
            for origin in self._writer().artifact_origins(digest)
            if origin.remote in allowed and origin.remote in desired.remotes
        ]

    def _fetcher(self, remote: Remote) -> Fetcher:
        """Return the connection to a remote, opened anew once it or its secrets were recorded anew.

        Downloads that use the earlier connection may finish with it.
        """
        name, known = remote.meta.name, self._cached
        recorded = known.actual.resources.get(remote.meta.ref) if known is not None else None
        fingerprints = recorded.secrets if recorded is not None else {}
        opened = self._remotes.get(name)
        if opened is None or (opened.remote, opened.fingerprints) != (remote, fingerprints):
            if opened is not None:
                self._replaced.append(opened.fetcher)
            remotes = Remotes(self._registry, self._home.caches())
            fetcher = open_fetcher(remote, remotes.url(remote))
            opened = self._remotes[name] = OpenRemote(remote, fingerprints, fetcher)
        return opened.fetcher

    def _stored(self, digest: Digest, size: int) -> None:
        """Record that bytes are stored, after they are durable."""
        self._home.store().sync()
        self._writer().artifact_stored(digest, size)


def _error_answer(slot: WorkerSlot, call: str, tell: Callable[[], Any]) -> Answer | None:
    with slot.watch(call), plugin_faults(call):
        answer = tell()
        check_answer(answer)
    return cast("Answer | None", answer)


def uploaded_file(path: Path) -> UploadedFile:
    """Return a local file as an upload. Raises UsageFault if it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return UploadedFile(path.name, path, path.stat().st_size, digest)
    except OSError as error:
        raise UsageFault(f"`{path}` cannot be read: {error.strerror}") from None
