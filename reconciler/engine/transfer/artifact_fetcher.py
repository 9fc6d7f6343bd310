"""Fetch the artifacts of a unit into the store.

In this order: bytes that the store has, bytes that the plan downloaded, bytes inside of a sibling
artifact, upstream; or not at all, where the remote's policy is `on-demand`.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from reconciler.database import ArtifactOrigin
from reconciler.engine.plugin_calls.conduits import CallWatch, plugin_faults, unwatched
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.engine.transfer.remotes import Remotes
from reconciler.engine.transfer.transfer_warnings import TransferWarnings, WarningKind
from reconciler.errors import (
    DigestMismatch,
    ForeignOrigin,
    Gone,
    Malformed,
    PluginFault,
    ReconcilerError,
    Refused,
    StateFault,
    Unreachable,
)
from reconciler.model import (
    DEFAULT_MAX_SIZE,
    Artifact,
    Digest,
    Remote,
    Unit,
    artifact_digest,
    stored_unit,
)
from reconciler.plan import ChangeLine
from reconciler.plugin.registry import Registry
from reconciler.remote import Fetcher, Mirrors, storable_url
from reconciler.remote.mirrors import LeftOut
from reconciler.retrying import RetryPolicy
from reconciler.store import Store

BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """Access to the files of one source.

    Attributes:
        fetcher: The connection to the remote.
        mirrors: Its mirrors, which are asked first.
        remote: The remote's name.
        concurrency: Requests in flight.
        retries: Further tries of a failed download.
        max_size: Bytes that are read of a file at most, unless a larger size is declared.
        later: Leave files upstream until a client asks for one.
        passing: Never store them, not even what was measured while planning (`policy: streamed`).
    """

    fetcher: Fetcher
    mirrors: Mirrors
    remote: str
    concurrency: int
    retries: int
    max_size: int = DEFAULT_MAX_SIZE
    later: bool = False
    passing: bool = False

    @classmethod
    def of(cls, remotes: Remotes, remote: Remote) -> SourceAccess:
        """Return access to the files of a remote through its connection."""
        return cls(
            remotes.fetcher(remote),
            remotes.mirrors(remote),
            remote.meta.name,
            remote.concurrency,
            remote.retries,
            remote.max_size,
            remote.leaves_upstream,
            remote.is_streamed,
        )

    def stays_upstream(self, artifact: Artifact, *, here: bool) -> bool:
        """Return True if the artifact is left upstream; its URL is known then.

        What lies inside of another artifact is small, and filters decide by it: it is fetched.
        `here`: the bytes were downloaded while planning.
        """
        leaves = self.later and (self.passing or not here)
        return leaves and bool(artifact.url) and not artifact.within

    def limit(self, artifact: Artifact) -> int:
        """Return how many bytes are read of the artifact.

        A declared size may raise the limit and never lowers it: it is advice, the digest decides.
        """
        return max(artifact.size or 0, self.max_size)


class BytesNowhere(StateFault):
    """Raised for bytes that are not stored, and that no remote is to be asked for."""


_UNAVAILABLE = (BytesNowhere, DigestMismatch, Gone, Malformed, Refused, Unreachable)


def origin_of(remote: str, url: str) -> ArtifactOrigin:
    """Return the origin to record: of its URL what may be stored."""
    return ArtifactOrigin(remote, *storable_url(url))


class InFlight:
    """Artifacts that are being fetched by any repository of a run.

    None is fetched twice at the same time.
    """

    def __init__(self) -> None:
        self._arriving: dict[Digest, asyncio.Event] = {}

    @asynccontextmanager
    async def alone(self, digest: Digest) -> AsyncIterator[None]:
        """Hold `digest` for the length of the block; others that want it wait."""
        while digest in self._arriving:
            await self._arriving[digest].wait()
        self._arriving[digest] = arrived = asyncio.Event()
        try:
            yield
        finally:
            del self._arriving[digest]
            arrived.set()


class LocalFiles(Protocol):
    """Files that this process has downloaded or received already, by digest."""

    def file(self, digest: Digest) -> Path | None:
        """Return the path of the file with this digest, or None."""
        ...

    def forget_measurement(self, remote: str, url: str) -> None:
        """Forget the digest measured for `url` of `remote`: its bytes are other ones."""
        ...


@dataclass(slots=True)
class FetchResult:
    """Outcome for the artifacts of a unit.

    Attributes:
        sizes: Bytes of each artifact that is in the store now.
        origins: Where the artifacts are that stay upstream.
    """

    sizes: dict[Digest, int] = field(default_factory=dict)
    origins: dict[Digest, ArtifactOrigin] = field(default_factory=dict)


class Place(NamedTuple):
    """An artifact to fetch, and the source and group that name it."""

    source: str
    group: str
    artifact: Artifact
    digest: Digest


class UrlsNow(Protocol):
    """Finds the URL of a file in the page that names it, which is read again."""

    async def __call__(
        self, source: str, group: str, *, digest: Digest, path: str
    ) -> str | None: ...


def may_have_run_out(error: ReconcilerError) -> bool:
    """Return True for an answer (401, 403, 404, 410) that another URL of the file may not give."""
    return isinstance(error, Gone | Refused) and not isinstance(error, ForeignOrigin)


class ArtifactFetcher:
    """Fetches the units of one repository.

    `progress` is called with the bytes since its last call, negative when a try is thrown away.
    """

    def __init__(  # noqa: PLR0913  # what a sync of one repository is made of
        self,
        store: Store,
        registry: Registry,
        sources: Mapping[str, SourceAccess],
        *,
        in_flight: InFlight,
        here: LocalFiles,
        progress: Callable[[int], None],
        warnings: TransferWarnings,
        watch: CallWatch = unwatched,
        urls: UrlsNow | None = None,
    ) -> None:
        self._store = store
        self._registry = registry
        self._sources = sources
        self._in_flight = in_flight
        self._local_files = here
        self._progress = progress
        self._warnings = warnings
        self._watch = watch
        self._urls = urls
        self._kept: dict[Digest, int] = {}  # in this run: many units share one metadata file

    def already_available(
        self, source: str, line: ChangeLine, recorded: frozenset[Digest]
    ) -> FetchResult | None:
        """Return the result of `fetch` if nothing has to be fetched for the unit, else None."""
        access = self._sources.get(source)
        result = FetchResult()
        for artifact in line.artifacts:
            digest = artifact_digest(artifact)
            if digest in recorded or digest in result.origins:  # two paths of one digest
                continue
            if access is None or not access.stays_upstream(artifact, here=self._is_here(digest)):
                return None
            result.origins[digest] = origin_of(access.remote, artifact.url)
        return result

    async def fetch(
        self, source: str, line: ChangeLine, recorded: frozenset[Digest], *, group: str = ""
    ) -> FetchResult:
        """Bring every artifact of the unit into the store, except the `recorded` ones.

        What the content type can make out of other artifacts may fail, with a warning. A URL that
        has run out is looked for once more in the page that names it, by `group`. Raises the first
        other failure: DigestMismatch, Malformed, StateFault, PluginFault or what the remote raises.
        """
        access = self._sources.get(source)
        result = FetchResult()
        for artifact in sorted(
            line.artifacts, key=lambda artifact: bool(artifact.within)
        ):  # containers first
            digest = artifact_digest(artifact)
            if digest in recorded or digest in result.origins:  # two paths of one digest
                continue
            if access is not None and access.stays_upstream(artifact, here=self._is_here(digest)):
                result.origins[digest] = origin_of(access.remote, artifact.url)
                continue
            try:
                async with self._in_flight.alone(digest):
                    place = Place(source, group, artifact, digest)
                    size = await self._artifact(access, line, place)
            except _UNAVAILABLE as error:
                if not self._is_help(line, artifact):
                    raise
                path = artifact.path
                self._warnings.add(source, WarningKind.NOT_BESIDE, path, detail=error.message)
                if access is not None:  # declared to be there, so the unit may join
                    result.origins[digest] = origin_of(access.remote, artifact.url)
                continue
            if artifact.size is not None and artifact.size != size:
                detail = f"{size:,} bytes instead of {artifact.size:,}"
                self._warnings.add(source, WarningKind.OTHER_SIZE, artifact.path, detail=detail)
            result.sizes[digest] = size
        return result

    def _is_here(self, digest: Digest) -> bool:
        return self._local_files.file(digest) is not None

    def _is_help(self, line: ChangeLine, artifact: Artifact) -> bool:
        """Return True if the content type can make the artifact out of others."""
        call = f"`extractable` of `{line.type}`"
        unit = stored_unit(bytes(line.body))
        with self._watch(f"{call} for unit `{line.key}`"), plugin_faults(call):
            extractable = self._registry.content_type(line.type).extractable(unit)
            return any(candidate.path == artifact.path for candidate in extractable)

    async def _artifact(self, access: SourceAccess | None, line: ChangeLine, place: Place) -> int:
        """Bring one artifact into the store and return its size in bytes."""
        artifact, digest = place.artifact, place.digest
        if digest in self._kept:
            return self._kept[digest]
        if self._store.claim(digest) is not None and await asyncio.to_thread(
            self._store.verify, digest
        ):  # left by a run that died, or no longer needed until now
            size = self._store.size(digest)
            self._progress(artifact.size or 0)
        elif (here := self._local_files.file(digest)) is not None:
            size = await asyncio.to_thread(self._copied, here, digest)
            self._progress(size)
        elif artifact.within and (size := await self._extracted(line, artifact, digest)):
            pass
        elif access is None or not artifact.url:
            raise BytesNowhere(
                f"the bytes of `{artifact.path}` are not in the store, or damaged there",
                hint="`reconciler verify` says what is damaged, `reconciler repair` fetches it",
            )
        else:
            size = await self._downloaded(access, place)
        self._kept[digest] = size
        reached(Checkpoint.BYTES_WRITTEN)
        return size

    async def _downloaded(self, access: SourceAccess, place: Place) -> int:
        """Download an artifact: from its URL, or from where the source names it now."""
        try:
            return await self._downloaded_from(access, place, place.artifact.url)
        except (Gone, Refused) as error:
            url = await self._url_now(place, error)
            if url is None:
                raise
            return await self._downloaded_from(access, place, url)

    async def _url_now(self, place: Place, error: Gone | Refused) -> str | None:
        """Return another URL of an artifact whose own may have run out.

        A page is not read again for what its container holds as well.
        """
        if self._urls is None or place.artifact.within or not may_have_run_out(error):
            return None
        with suppress(ReconcilerError):  # that the page cannot be read is not what went wrong
            url = await self._urls(
                place.source, place.group, digest=place.digest, path=place.artifact.path
            )
            return url if url != place.artifact.url else None
        return None

    async def _downloaded_from(self, access: SourceAccess, place: Place, url: str) -> int:
        try:
            return await access.mirrors.download(
                access.fetcher,
                self._store,
                url,
                expected=place.digest,
                limit=access.limit(place.artifact),
                retry=RetryPolicy(attempts=1 + access.retries),
                progress=self._progress,
                left_out=self._warn_of_mirror(place.source),
            )
        except (DigestMismatch, Malformed):
            self._local_files.forget_measurement(access.remote, url)
            raise

    def _warn_of_mirror(self, source: str) -> LeftOut:
        def warn(mirror: str, error: ReconcilerError) -> None:
            self._warnings.add(source, WarningKind.MIRROR, mirror, detail=error.message)

        return warn

    def _copied(self, path: Path, digest: Digest) -> int:
        """Copy a local file into the store and return its size."""
        incoming = self._store.incoming()
        try:
            with path.open("rb") as file:
                shutil.copyfileobj(file, incoming, BLOCK)
            incoming.keep(digest)
        finally:
            incoming.discard()
        return incoming.size

    async def _extracted(self, line: ChangeLine, artifact: Artifact, digest: Digest) -> int:
        """Extract the artifact from the sibling that contains it.

        Returns its size, or 0 if the sibling is not stored or does not yield the declared bytes.
        """
        container = next(
            (sibling for sibling in line.artifacts if sibling.path == artifact.within), None
        )
        digest_of_container = artifact_digest(container) if container is not None else digest
        if digest_of_container == digest or not self._store.has(
            digest_of_container
        ):  # within itself, or in what is not here
            return 0
        unit = Unit(line.type, line.key, stored_unit(bytes(line.body)).metadata, line.artifacts)
        call = f"`extract` of `{line.type}`"
        with (
            self._store.open(digest_of_container) as file,
            self._watch(f"{call} for `{artifact.path}` of unit `{line.key}`"),
            plugin_faults(call),
        ):
            body: Any = self._registry.content_type(line.type).extract(unit, artifact, file)
            if not isinstance(body, bytes | None):
                raise PluginFault(f"it returns bytes or None, not {type(body).__name__}")
        if not body:
            return 0
        try:
            self._store.put(body, digest)
        except DigestMismatch:
            return 0
        return len(body)
