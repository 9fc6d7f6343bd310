"""What a server needs of the engine: it takes files in, and brings bytes that were left upstream.
One for each server process.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from reconciler.database import Database, Writer
from reconciler.engine.plugin_calls.call_timeouts import CallLimits
from reconciler.engine.plugin_calls.worker_pool import WorkerPool, WorkerSlot
from reconciler.engine.session.disabled_plugins import unusable_error
from reconciler.engine.session.home import Home
from reconciler.engine.session.session import WritingSession
from reconciler.engine.transfer.measurements import Measurements
from reconciler.engine.transfer.remotes import Remotes
from reconciler.engine.uploads.authentication import proven, unreadable
from reconciler.engine.uploads.receiving import UploadResult, Uploads
from reconciler.errors import Gone, ReconcilerError, StateFault, UsageFault
from reconciler.manifest import Recorded, recorded
from reconciler.model import DesiredState, Digest, Kind, Ref, Remote
from reconciler.plugin import UploadedFile, UploadForm
from reconciler.plugin.registry import Registry
from reconciler.remote import Fetcher, open_fetcher, relay

FRESH = 1.0  # seconds for which what is recorded is not looked up again


class Service:
    """Works on what the last apply recorded; nothing is opened before it is needed. `take` and
    `bring` belong to one event loop.

    `overrides`: as of `reconciler.manifest.recorded_state`, for all that is taken. `limits`: how
    long plugins may keep an upload waiting.
    """

    def __init__(
        self,
        home: Home,
        registry: Registry,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        overrides: Sequence[str] = (),
        limits: CallLimits | None = None,
    ) -> None:
        self._home = home
        self._registry = registry
        self._clock = clock
        self._overrides = overrides
        self._crew = WorkerPool((limits or CallLimits()).call)
        self._opening = threading.Lock()
        self._database: Database | None = None
        self._known: tuple[float, Recorded] | None = None
        self._fetchers: dict[str, tuple[Remote, Fetcher]] = {}

    def authenticate(self, publication: str, authorization: str | None) -> str | None:
        """The name of the uploader that a header proves, or None. From any thread.

        Raises Gone where the publication takes no files, and Temporary where what was recorded of
        it cannot be used now.
        """
        known = self._recorded()
        target = known.desired.publications.get(publication)
        if target is None and (
            fault := unusable_error(known.faults, Ref(Kind.PUBLICATION, publication))
        ):
            raise fault
        if target is None or not target.uploaders:
            raise Gone(
                f"publication `{publication}` takes no files",
                hint="`access.upload` in its manifest says who may send some",
            )
        return proven(target.uploaders, authorization)

    def unauthenticated_uploaders(self) -> list[str]:
        """Uploaders that nobody can be: their secrets cannot be read here, and why."""
        found = []
        for publication in self.desired().publications.values():
            for problem in unreadable(publication.uploaders):
                found.append(
                    f"publication `{publication.meta.name}` cannot know one of its uploaders: {problem}"
                )
        return found

    def unusable_resources(self) -> list[ReconcilerError]:
        """Repositories and publications that were recorded and cannot be used: nothing is taken for
        them, nor published anew.
        """
        faults = self._recorded().faults
        found = [
            unusable_error(faults, ref)
            for ref in sorted(faults)
            if ref.kind in (Kind.REPOSITORY, Kind.PUBLICATION)
        ]
        return [one for one in found if one is not None]

    async def receive(
        self,
        publication: str,
        path: str,
        fields: Mapping[str, str],
        file: UploadedFile,
        principal: str,
    ) -> UploadResult:
        """A file that was sent to a publication. Raises as `Uploads.receive`."""
        target = (await asyncio.to_thread(self.desired)).publications.get(publication)
        async with self._shift(target.repository if target is not None else "") as uploads:
            return await uploads.receive(publication, UploadForm(path, fields), file, principal)

    async def upload(
        self, repository: str, file: UploadedFile, fields: Mapping[str, str], principal: str
    ) -> UploadResult:
        """A file for a repository, in the generic way. Raises as `Uploads.take`."""
        async with self._shift(repository) as uploads:
            return await uploads.take(repository, file, fields, principal)

    async def remove(self, repository: str, keys: list[str], principal: str) -> UploadResult:
        """Uploaded units go. Raises as `Uploads.remove`."""
        async with self._shift(repository) as uploads:
            return await uploads.remove(repository, keys, principal)

    def can_fetch(self, digest: Digest) -> bool:
        """Is it known where these bytes can be had? From any thread."""
        return bool(self._writer().artifact_origins(digest))

    async def fetch(self, digest: Digest, size: int) -> AsyncIterator[bytes]:
        """The bytes in blocks, on their way into the store; the last one comes once the digest was
        right.

        Remotes that know them are asked one after the other, until one has begun to answer. Raises
        what the last one raised.
        """
        failure: ReconcilerError = StateFault(
            f"{digest.short} is not in the store, and no declared remote has it"
        )
        for remote, url in await asyncio.to_thread(self._places, digest):
            begun = False
            try:
                async with aclosing(
                    relay(self._fetcher(remote), self._home.store(), url, digest, size)
                ) as blocks:
                    async for block in blocks:
                        begun = True
                        yield block
            except ReconcilerError as error:
                if begun:
                    raise
                failure = error
                continue
            await asyncio.to_thread(self._stored, digest, size)
            return
        raise failure

    def desired(self) -> DesiredState:
        """What the last apply recorded, as far as it can be understood today. From any thread."""
        return self._recorded().desired

    async def close(self) -> None:
        """May be called any number of times."""
        for _, fetcher in self._fetchers.values():
            await fetcher.close()
        self._fetchers.clear()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _writer(self) -> Writer:
        with self._opening:
            if self._database is None:
                self._database = self._home.database(read_only=False)
        return self._database.writer()

    def _recorded(self) -> Recorded:
        known = self._known
        if known is None or known[0] < monotonic() - FRESH:
            known = self._known = (
                monotonic(),
                recorded(self._writer().actual_state(), self._registry),
            )
        return known[1]

    @asynccontextmanager
    async def _shift(self, repository: str) -> AsyncIterator[Uploads]:
        """One upload or removal: its plugins hold up nobody else."""
        async with self._crew.shift(repository) as shift:
            yield await asyncio.to_thread(self._uploads, shift)

    def _uploads(self, shift: WorkerSlot) -> Uploads:
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
            watch=shift.watch,
            in_thread=shift.in_thread,
        )
        known = recorded(writer.actual_state(), registry, self._overrides)
        return Uploads(session, known.desired, known.faults)

    def _places(self, digest: Digest) -> list[tuple[Remote, str]]:
        remotes = self.desired().remotes
        return [
            (remotes[origin.remote], origin.url)
            for origin in self._writer().artifact_origins(digest)
            if origin.remote in remotes
        ]

    def _fetcher(self, remote: Remote) -> Fetcher:
        """A remote that was declared anew is opened anew; whoever still reads through the old one
        finishes with it.
        """
        known = self._fetchers.get(remote.meta.name)
        if known is None or known[0] != remote:
            remotes = Remotes(self._registry, self._home.caches())
            known = self._fetchers[remote.meta.name] = (
                remote,
                open_fetcher(remote, remotes.url(remote)),
            )
        return known[1]

    def _stored(self, digest: Digest, size: int) -> None:
        """Bytes are durable before the row that says so."""
        self._home.store().sync()
        self._writer().artifact_stored(digest, size)


def uploaded_file(path: Path) -> UploadedFile:
    """A local file, as if somebody had sent it. Raises UsageFault where it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return UploadedFile(path.name, path, path.stat().st_size, digest)
    except OSError as error:
        raise UsageFault(f"`{path}` cannot be read: {error.strerror}") from None
