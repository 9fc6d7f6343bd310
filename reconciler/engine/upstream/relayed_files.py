"""Relayed files: bytes left upstream, to a client and, unless streamed, into the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from reconciler.database import Writer
from reconciler.engine.session.home import Home
from reconciler.engine.session.session import Session, reading_session
from reconciler.engine.sources.source_urls import SourceUrls
from reconciler.engine.transfer.remotes import Remotes
from reconciler.engine.upstream.file_places import FilePlace, FilePlaces
from reconciler.errors import ReconcilerError, StateFault, Temporary
from reconciler.model import (
    ActualResource,
    ActualState,
    Digest,
    RecordedState,
    Ref,
    Remote,
)
from reconciler.plugin.registry import Registry
from reconciler.remote import MIRROR_FAILURES, Fetcher, Mirrors, open_fetcher, relay
from reconciler.store import UnstoredBytes

logger = logging.getLogger(__name__)

LEFT_OUT = 600.0  # seconds for which a mirror that failed is not asked
AVOIDED = 60.0  # seconds for which a remote that failed is asked after the others


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
    mirrors: Mirrors


@dataclass(frozen=True, slots=True)
class OpenSources:
    """Sources that can be asked again where files are, and the resources they were opened with."""

    resources: Mapping[Ref, ActualResource]
    remotes: Remotes
    urls: SourceUrls


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that a client asks for. `size`, `announce`: as for `serve`."""

    digest: Digest
    size: int | None
    announce: Callable[[int | None], None]


class RelayedFiles:
    """Asks remotes for files while clients wait. Coroutines belong to one event loop.

    A remote that failed is asked after the others for a while: a client that comes back because its
    response broke off gets another source's bytes. `recorded`, `writer`: the record of the last
    apply and the database, as of now.
    """

    def __init__(
        self,
        home: Home,
        registry: Registry,
        *,
        recorded: Callable[[], Recorded],
        writer: Callable[[], Writer],
        clock: Callable[[], datetime],
    ) -> None:
        self._home = home
        self._registry = registry
        self._recorded = recorded
        self._writer = writer
        self._clock = clock
        self._remotes: dict[str, OpenRemote] = {}
        self._replaced: list[Fetcher | Mirrors] = []
        self._sources: OpenSources | None = None
        self._outdated: list[Remotes] = []
        self._failures = RecentFailures()

    def can_fetch(self, publication: str, digest: Digest) -> bool:
        """Return True if a source of the publication's repository has these bytes. Thread-safe."""
        return bool(self._places(publication).recorded([digest]))

    async def fetch(self, publication: str, wanted: Wanted) -> AsyncGenerator[bytes, None]:
        """Yield the bytes in blocks while storing them. The last one comes once all were right.

        What comes from a remote that is streamed is verified and not stored.

        Remotes are asked one after the other until one begins to answer; what comes after a block
        that was given out comes from the same URL, or not at all. Raises an error of a remote that
        may have the bytes later, else of the first one; StateFault if no remote is known.
        """
        places = await asyncio.to_thread(self._places, publication)
        failures: list[ReconcilerError] = []
        async with aclosing(self._attempts(places, wanted)) as attempts:
            async for remote, blocks in attempts:
                count = 0
                try:
                    async with aclosing(blocks):
                        async for block in blocks:
                            count += len(block)
                            yield block
                except ReconcilerError as error:
                    self._failures.add(remote, wanted.digest, error)
                    if count:
                        raise
                    failures.append(error)
                    continue
                _check_size(wanted, count)
                if not remote.is_streamed:
                    await asyncio.to_thread(self._stored, wanted.digest, count)
                return
        raise _of_all(failures) or StateFault(
            f"{wanted.digest.short} is not in the store, and no remote of publication"
            f" `{publication}` has it"
        )

    async def close(self) -> None:
        """Close connections. May be called any number of times."""
        for opened in self._remotes.values():
            self._replaced += opened.fetcher, opened.mirrors
        for connection in self._replaced:
            await connection.close()
        self._replaced.clear()
        self._remotes.clear()
        for remotes in (*self._outdated, *([self._sources.remotes] if self._sources else [])):
            await remotes.close()
        self._outdated.clear()
        self._sources = None

    async def _attempts(
        self, places: FilePlaces, wanted: Wanted
    ) -> AsyncGenerator[tuple[Remote, AsyncGenerator[bytes, None]], None]:
        """Yield a stream of each remote that may have the file: those that failed just now last."""
        digest = wanted.digest
        recorded = (await asyncio.to_thread(places.recorded, [digest])).get(digest, [])
        failed = [place for place in recorded if self._failures.is_recent(place.remote, digest)]
        for place in recorded:
            if place not in failed:
                yield place.remote, self._relayed(places, place, wanted)
        asked = {place.remote.meta.name for place in recorded}
        async with aclosing(places.of_other_sources(digest, asked)) as others:
            async for remote, url in others:
                yield remote, self._relay(remote, url, wanted)
        for place in failed:
            yield place.remote, self._relayed(places, place, wanted)

    async def _relayed(
        self, places: FilePlaces, place: FilePlace, wanted: Wanted
    ) -> AsyncGenerator[bytes, None]:
        """Yield bytes from their recorded URL, else from where the page names them now."""
        async with aclosing(places.urls_of(place, wanted.digest)) as attempts:
            async for attempt in attempts:
                begun = False
                try:
                    async with aclosing(self._relay(place.remote, attempt.url, wanted)) as blocks:
                        async for block in blocks:
                            begun = True
                            yield block
                    return
                except ReconcilerError as error:
                    if begun:
                        raise
                    attempt.failed(error)

    async def _relay(self, remote: Remote, url: str, wanted: Wanted) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a URL, of the first mirror that has them, else of the remote itself.

        A mirror that fails after a block was given out ends it, and is left out for a while.
        """
        opened = self._opened(remote)
        for mirror, mirrored in opened.mirrors.places(url):
            begun = False
            try:
                blocks = self._relay_from(mirror.fetcher, remote, mirrored, wanted=wanted)
                async with aclosing(blocks):
                    async for block in blocks:
                        begun = True
                        yield block
            except MIRROR_FAILURES as error:
                opened.mirrors.failed(mirror, error)
                if begun:
                    raise
            else:
                opened.mirrors.succeeded(mirror)
                return
        async with aclosing(self._relay_from(opened.fetcher, remote, url, wanted=wanted)) as blocks:
            async for block in blocks:
                yield block

    def _relay_from(
        self, fetcher: Fetcher, remote: Remote, url: str, *, wanted: Wanted
    ) -> AsyncGenerator[bytes, None]:
        return relay(
            fetcher,
            UnstoredBytes() if remote.is_streamed else self._home.store(),
            url,
            expected=wanted.digest,
            limit=max(wanted.size or 0, remote.max_size),
            announce=wanted.announce,
        )

    def _places(self, publication: str) -> FilePlaces:
        desired = self._recorded().state.desired
        shown = desired.publications.get(publication)
        repository = shown.repository if shown is not None else ""
        return FilePlaces(self._writer(), desired, repository=repository, urls=self._urls_now)

    def _urls_now(self) -> SourceUrls:
        """Return what asks sources again; another one once resources were recorded anew."""
        recorded = self._recorded()
        resources = recorded.actual.resources
        if self._sources is None or self._sources.resources != resources:
            if self._sources is not None:
                self._outdated.append(self._sources.remotes)
            remotes = Remotes(self._registry, self._home.caches())
            urls = SourceUrls(self._reading_session(remotes), recorded.state.desired)
            self._sources = OpenSources(resources, remotes, urls)
        return self._sources.urls

    def _reading_session(self, remotes: Remotes) -> Session:
        return reading_session(
            self._home, self._registry, self._writer(), remotes=remotes, clock=self._clock
        )

    def _opened(self, remote: Remote) -> OpenRemote:
        """Return the connection to a remote, opened anew once it or its secrets were recorded anew.

        Downloads that use the earlier connection may finish with it.
        """
        name = remote.meta.name
        resource = self._recorded().actual.resources.get(remote.meta.ref)
        fingerprints = resource.secrets if resource is not None else {}
        opened = self._remotes.get(name)
        if opened is None or (opened.remote, opened.fingerprints) != (remote, fingerprints):
            if opened is not None:
                self._replaced += opened.fetcher, opened.mirrors
            remotes = Remotes(self._registry, self._home.caches())
            url = remotes.url(remote)
            fetcher, mirrors = open_fetcher(remote, url), Mirrors(remote, url, again_after=LEFT_OUT)
            opened = self._remotes[name] = OpenRemote(remote, fingerprints, fetcher, mirrors)
        return opened

    def _stored(self, digest: Digest, size: int) -> None:
        """Record that bytes are stored, after they are durable."""
        self._home.store().sync()
        self._writer().artifact_stored(digest, size)


class RecentFailures:
    """Remotes that failed a moment ago: one that could not be reached, for whatever it has."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failed: dict[tuple[str, Digest | None], float] = {}

    def add(self, remote: Remote, digest: Digest, error: ReconcilerError) -> None:
        """Note a failure."""
        now = self._clock()
        self._failed = {key: at for key, at in self._failed.items() if at > now - AVOIDED}
        self._failed[remote.meta.name, None if isinstance(error, Temporary) else digest] = now

    def is_recent(self, remote: Remote, digest: Digest) -> bool:
        """Return True for a remote that is asked after the others."""
        name, since = remote.meta.name, self._clock() - AVOIDED
        return any(self._failed.get((name, key), since) > since for key in (None, digest))


def _check_size(wanted: Wanted, count: int) -> None:
    if wanted.size not in (None, count):
        logger.warning(
            "%s has %d bytes instead of the %d that were declared for it",
            wanted.digest.short,
            count,
            wanted.size,
        )


def _of_all(failures: Sequence[ReconcilerError]) -> ReconcilerError | None:
    """Return the error to tell of: one after which it is worth to come back, else the first."""
    temporary = (error for error in failures if isinstance(error, Temporary))
    return next(temporary, failures[0] if failures else None)
