"""The catalogue: publications by path, resources by URL path, small bodies by digest.

Everything is looked up when it is first asked for and kept within bounds. Each request looks at the
mark of the database, which costs nothing: what was committed before the request came is in its
response, whichever worker committed it, so that no page is older than one that a client has seen.
Where there is no mark, and in case one was missed, the database is asked twice a second. A
publication that moved gets a new `Mount`, and what was found below the old one is dropped; requests
that hold a resource of the old one may finish with it. What lingers is looked up each time: it ends
without a new generation.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Callable, Coroutine, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import Any, BinaryIO, TypeVar

from reconciler.database.generation import NO_MARK, Mark
from reconciler.database.page_bodies import page_body, present
from reconciler.database.records import Entry, ServedPublication
from reconciler.errors import StateFault
from reconciler.model import (
    SMALL_BODY,
    ChunkedBody,
    Digest,
    read_body,
    safe_path,
    with_base_url,
)
from reconciler.serve.bounded_cache import BoundedCache
from reconciler.serve.folder_lists import folder_list
from reconciler.serve.ports import Files, Publications
from reconciler.serve.representation import BodyKey, Representation, Resource
from reconciler.serve.verified_files import AT_ONCE, ReportDamage, StoredFile, VerifiedFiles

CHECK_EVERY = 0.5  # seconds between two reads of the generation where no mark moves
CHECK_TIMEOUT = 0.25  # seconds that a request waits for such a read, and then uses what is cached
MOVED_TIMEOUT = 10.0  # seconds that it waits where the mark says that something was committed
KEPT_PATHS = 16_384
KEPT_ABSENT = 4_096
KEPT_BYTES = 64 * 1024 * 1024
KEPT_LIST_BYTES = 4 * 1024 * 1024
LIST_WEIGHT = 200  # bytes of an empty list, with its path
MAX_NAMES = 5_000  # of a folder in its list
LOOKUP_THREADS = 4
ADDRESSED_LEVEL = 6  # of gzip, for pages that say their address: once for each address
UNSEEN = object()

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Mount:
    """A publication under its path, until its pointer moves. Compared by identity."""

    served: ServedPublication


@dataclass(frozen=True, slots=True)
class PublishedPath:
    """Result of looking up a URL path below a publication.

    path: within the publication; None for the publication's path itself, without its slash.
    resource: the content at the path; None where there is none.
    """

    mount: Mount
    path: str | None
    resource: Resource | None


class Catalogue:
    """Lookups of publications, resources and bodies, as the module describes.

    Belongs to one event loop; lookups run in worker threads. `mark`: of the database behind
    `publications`. `damaged` is told of stored files that are missing or not what they should be.
    `kept_bytes`: bound of the bodies in memory.
    """

    def __init__(
        self,
        publications: Publications,
        files: Files,
        mark: Mark = NO_MARK,
        *,
        damaged: ReportDamage | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        check_every: float = CHECK_EVERY,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self.publications = publications
        self._publications = publications
        self._stored = files
        self._files = VerifiedFiles(files, damaged)
        self._mark = mark
        self._clock = clock
        self._check_every = check_every
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="serve")
        self._mounts: dict[str, Mount] = {}
        self._generation: object = UNSEEN
        self._seen: int | None = None  # the mark, even, before the last read of the database
        self._due = 0.0
        self._present: BoundedCache[str, PublishedPath] = BoundedCache(KEPT_PATHS)
        self._absent: BoundedCache[str, PublishedPath] = BoundedCache(KEPT_ABSENT)
        self._bodies: BoundedCache[BodyKey, bytes] = BoundedCache(kept_bytes, len)
        self._lists = _new_lists()
        self._running: dict[Hashable, asyncio.Future[Any]] = {}

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function that may touch a disk or a database."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    # What is served

    def served(self) -> list[ServedPublication]:
        """Return what is served now, by path."""
        return [self._mounts[path].served for path in sorted(self._mounts)]

    @property
    def generation(self) -> object:
        """Return the generation that is served now."""
        return self._generation

    async def catch_up(self) -> None:
        """Read the publications again if something was committed, or if a look is due.

        Every request begins with it. A database that fails, or is slower than the timeouts, stops
        none: what is cached is served meanwhile.
        """
        if self._is_new():
            return
        moved = self._mark.value() != self._seen
        if moved and (running := self._running.get("refresh")):
            # it may have read the database before the commit that this client knows of
            await asyncio.wait([running], timeout=MOVED_TIMEOUT)
            if self._is_new():
                return
        refreshing = self._shared("refresh", self._refresh_logged)
        loaded = self._generation is not UNSEEN
        timeout = (MOVED_TIMEOUT if moved else CHECK_TIMEOUT) if loaded else None
        done, _ = await asyncio.wait([refreshing], timeout=timeout)
        self._due = monotonic() + self._check_every
        if moved and (not done or refreshing.exception() is not None):
            self._seen = self._mark.value()  # what is cached is served until the next look is due
        if not loaded:
            refreshing.result()

    def _is_new(self) -> bool:
        return self._mark.value() == self._seen and monotonic() < self._due

    async def refresh(self) -> None:
        """Read what is served now.

        A request that begins after this returned is answered from it (read after write).
        """
        if running := self._running.get("refresh"):  # it may have read before the caller's write
            await asyncio.wait([running])
        await asyncio.shield(self._shared("refresh", self._load_if_changed))

    async def _refresh_logged(self) -> None:
        try:
            await self._load_if_changed()
        except Exception as error:  # whatever a database raises
            logger.warning("cannot read what is to be served: %s", error)
            raise

    async def _load_if_changed(self) -> None:
        mark, generation = await self.in_thread(self._look)
        if generation != self._generation:
            self._set_publications(await self.in_thread(self._publications.served))
            self._generation = generation
        self._seen = None if mark % 2 else mark

    def _look(self) -> tuple[int, object]:
        """Return the mark and the generation, read in this order."""
        self._mark.tend()
        mark = self._mark.value()
        return mark, self._publications.generation()

    def _set_publications(self, served: Sequence[ServedPublication]) -> None:
        kept = {mount.served: mount for mount in self._mounts.values()}
        if {record.path for record in served} != self._mounts.keys():
            # a path may lie below another: what was found below the shorter one may belong to the
            # new one now
            kept = {}
        self._mounts = {record.path: kept.get(record) or Mount(record) for record in served}
        self._lists = _new_lists()
        self._present.keep_only(self._is_current)
        self._absent.keep_only(self._is_current)

    def _is_current(self, location: PublishedPath) -> bool:
        return self.is_current(location.mount)

    # What is there

    def cached(self, url_path: str) -> PublishedPath | None:
        """Return the earlier result of `find`, if it is still current."""
        return self._present.get(url_path) or self._absent.get(url_path)

    async def find(self, url_path: str) -> PublishedPath | None:
        """Return where a URL path (decoded, with its leading slash) leads.

        None where it is malformed, or below no publication.
        """
        if location := self.cached(url_path):
            return location
        target = self.resolve(url_path)
        if target is None:
            return None
        mount, path = target
        resource = None
        if path is not None:
            resource = await asyncio.shield(
                self._shared((mount, path), lambda: self._load_resource(mount, path))
            )
        location = PublishedPath(mount, path, resource)
        if self._is_current(location) and not (resource is not None and resource.lingers):
            (self._absent if resource is None else self._present).put(url_path, location)
        return location

    def resolve(self, url_path: str) -> tuple[Mount, str | None] | None:
        """Return the publication with the longest prefix of a URL path, and the rest.

        Returns None where the path is malformed or below no publication.
        """
        if not url_path.startswith("/") or not safe_path(url_path[1:].removesuffix("/")):
            return None
        end = len(url_path)
        while end > 0:
            if mount := self._mounts.get(url_path[1:end]):
                return mount, url_path[end + 1 :] if end < len(url_path) else None
            end = url_path.rfind("/", 0, end)
        return None

    async def _load_resource(self, mount: Mount, path: str) -> Resource | None:
        look_up = partial(self._publications.content, mount.served, path, now=self._clock())
        content = await self.in_thread(look_up)
        return Resource(content, private=mount.served.private) if content is not None else None

    def is_current(self, mount: Mount) -> bool:
        """Return True until the publication moves."""
        return self._mounts.get(mount.served.path) is mount

    def resource(self, served: ServedPublication, path: str) -> Resource | None:
        """Return what a publication holds at a path. In a worker thread."""
        if not safe_path(path.removesuffix("/")):
            return None
        content = self._publications.content(served, path, now=self._clock())
        return None if content is None else Resource(content, private=served.private)

    def page_bytes(self, entry: Entry, address: str) -> bytes:
        """Return the body of a page, which may say its address. In a worker thread."""
        chunked = self._publications.chunked_bodies([entry.digest]).get(entry.digest)
        if chunked is not None:
            return b"".join(read_body(chunked, self._publications.chunks, as_gzip=False, part=None))
        return self._read_page(
            Representation(
                entry,
                modified=None,
                gzip=False,
                vary=b"",
                address=address if entry.addressed else None,
            )
        )

    def file_bytes(self, digest: Digest, *, limit: int) -> bytes | None:
        """Return a file; None where the store has none, or more than `limit` bytes. In a thread."""
        try:
            if self._stored.size(digest) > limit:
                return None
        except StateFault:
            return None
        return self._files.read(digest)

    async def folder_list(self, location: PublishedPath) -> bytes | None:
        """Return a page of the names in a folder that has no page; None where there is none."""
        path = location.path
        if path is None or location.resource is not None or (path and not path.endswith("/")):
            return None
        key = location.mount, path
        page = self._lists.get(key)
        if page is None:
            page = await self.in_thread(self._list, location.mount.served, path)
            if self._is_current(location):
                self._lists.put(key, page)
        return page or None

    def _list(self, served: ServedPublication, path: str) -> bytes:
        names = self._publications.names_below(served, path, limit=MAX_NAMES)
        return folder_list(f"/{served.path}/{path}", names, limit=MAX_NAMES) if names else b""

    # Bodies

    def body(self, representation: Representation) -> bytes | None:
        """Return the body if it is in memory."""
        return self._bodies.get(representation.key)

    async def load(self, representation: Representation) -> bytes:
        """Return the whole body, kept in memory from then on. Raises StateFault without it."""
        return await asyncio.shield(
            self._shared(representation.key, lambda: self._load(representation))
        )

    async def _load(self, representation: Representation) -> bytes:
        read = self._read_page if representation.entry.page else self._read_file
        data = await self.in_thread(read, representation)
        self._bodies.put(representation.key, data)
        return data

    async def chunked(self, representation: Representation) -> ChunkedBody | None:
        """Return the body where it is a large page in chunks, which is streamed."""
        entry = representation.entry
        if not entry.page or (entry.size or 0) <= SMALL_BODY:
            return None
        bodies = await self.in_thread(self._publications.chunked_bodies, [entry.digest])
        return bodies.get(entry.digest)

    async def read(self, pieces: Iterator[bytes]) -> bytes:
        """Return the next piece of a body, empty after the last one. Raises StateFault."""
        return await self.in_thread(next, pieces, b"")

    def pieces(
        self, representation: Representation, chunked: ChunkedBody, part: range | None
    ) -> Iterator[bytes]:
        """Return a page in chunks, or a part of it, in the coding of the representation."""
        chunks = self._publications.chunks
        return read_body(chunked, chunks, as_gzip=representation.gzip, part=part)

    async def stored_size(self, representation: Representation) -> int:
        """Return the bytes of a stored file. Raises StateFault where it is missing.

        What a publication says of a size may be what a source declared, and wrong.
        """
        return await self.in_thread(self._files.size, representation.entry.digest)

    async def open(self, representation: Representation, *, partly: bool) -> StoredFile:
        """Open a stored file, to be streamed. Raises StateFault where it is missing or damaged."""
        opening = partial(self._files.open, partly=partly)
        return await self.in_thread(opening, representation.entry.digest)

    async def complete(self, representation: Representation, file: BinaryIO, actual: bytes) -> None:
        """Take note of the digest of a file that is sent; raises StateFault for a wrong one."""
        digest = representation.entry.digest
        await self.in_thread(self._files.complete, digest, file, actual)

    async def path(self, representation: Representation) -> str | None:
        """Return the path of a verified file on this machine; None where it has to be streamed.

        Raises StateFault where it is missing or damaged.
        """
        path = await self.in_thread(self._files.path, representation.entry.digest)
        return None if path is None else str(path)

    def _read_page(self, representation: Representation) -> bytes:
        entry = representation.entry
        packed = present(entry, self._publications.pages([entry.digest]).get(entry.digest))
        address = representation.address
        if address is None and representation.gzip and (entry.size or 0) > AT_ONCE:
            return packed  # its checksum is the client's to compare
        body = page_body(entry, packed)
        if address is not None:
            body = with_base_url(body, address)
            return gzip.compress(body, ADDRESSED_LEVEL, mtime=0) if representation.gzip else body
        return packed if representation.gzip else body

    def _read_file(self, representation: Representation) -> bytes:
        return self._files.read(representation.entry.digest)

    def _shared(
        self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]
    ) -> asyncio.Future[T]:
        """Share one run of `start` among all concurrent requests with the same key."""
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.ensure_future(start())
            running.add_done_callback(lambda done: self._forget(key, done))
        return running

    def _forget(self, key: Hashable, done: asyncio.Future[Any]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # retrieved: waiting requests raise it, and there may be none


def _new_lists() -> BoundedCache[tuple[Mount, str], bytes]:
    return BoundedCache(KEPT_LIST_BYTES, lambda page: len(page) + LIST_WEIGHT)
