"""What is published, in memory: the two ports that the serve room reads, for tests."""

from __future__ import annotations

import asyncio
import gzip
import io
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from reconciler.database.records import Entry, PageMoment, ServedContent, ServedPublication
from reconciler.errors import StateFault, Unreachable
from reconciler.model import GZIP_HEADER, Chunk, ChunkedBody, Digest, deflate, gzip_trailer

MODIFIED = datetime(2026, 11, 21, 12, tzinfo=UTC)
LAST_MODIFIED = "Sat, 21 Nov 2026 12:00:00 GMT"


@dataclass
class Published:
    """Implements `Publications` and `Files`. `folder`: where files are kept; None keeps them in
    memory. `lookups` counts what was asked.
    """

    folder: Path | None = None
    number_now: int = 1
    broken: bool = False
    modified: datetime = MODIFIED
    mounted: dict[str, ServedPublication] = field(default_factory=dict)
    table: dict[tuple[int, int, str], list[Entry]] = field(default_factory=dict)
    packed: dict[Digest, bytes] = field(default_factory=dict)
    chunked: dict[Digest, ChunkedBody] = field(default_factory=dict)
    kept_chunks: dict[bytes, bytes] = field(default_factory=dict)
    stored: dict[Digest, bytes] = field(default_factory=dict)
    lookups: dict[str, int] = field(default_factory=dict)
    held: threading.Event | None = None  # look-ups wait for it ...
    looking: threading.Event = field(default_factory=threading.Event)  # ... and say that they do

    def mount(
        self,
        path: str,
        *,
        id: int = 1,
        number: int = 1,
        publisher: str = "",
        base_url: str | None = None,
    ) -> ServedPublication:
        """Point `path` at a publication; a second call moves the pointer."""
        self.mounted[path] = ServedPublication(
            id, f"publication-{id}", path, number, publisher, base_url=base_url
        )
        self.number_now += 1
        return self.mounted[path]

    def page(
        self,
        served: ServedPublication,
        path: str,
        body: bytes,
        media_type: str = "text/html",
        *,
        aliases: tuple[str, ...] = (),
        immutable: bool = False,
        addressed: bool = False,
    ) -> Digest:
        digest = Digest.of(body)
        self.packed[digest] = gzip.compress(body)
        entry = Entry(path, media_type, "group", True, digest, len(body), aliases)
        self._add(served, replace(entry, immutable=immutable, addressed=addressed))
        return digest

    def chunked_page(
        self,
        served: ServedPublication,
        path: str,
        contents: list[bytes],
        *,
        gzip_file: bool = False,
    ) -> bytes:
        """Publish a large page in these chunks, or the gzip file of it; return its body."""
        kept = {sha256(content).digest(): deflate(content) for content in contents}
        self.kept_chunks.update(kept)
        chunks = [
            Chunk(digest, len(content), len(kept[digest]))
            for content in contents
            for digest in [sha256(content).digest()]
        ]
        body, crc = b"".join(contents), zlib.crc32(b"".join(contents))
        if gzip_file:
            deflated = b"".join(kept[chunk.digest] for chunk in chunks)
            body = GZIP_HEADER + deflated + gzip_trailer(crc, len(body))
        digest = Digest.of(body)
        self.chunked[digest] = ChunkedBody(digest, len(body), gzip_file, crc, chunks)
        media_type = "application/gzip" if gzip_file else "text/plain"
        self._add(served, Entry(path, media_type, "group", True, digest, len(body)))
        return body

    def file(
        self,
        served: ServedPublication,
        path: str,
        body: bytes,
        media_type: str = "application/octet-stream",
        *,
        size: int | None = None,
    ) -> Digest:
        """`size`: as it is published; -1 where it is unknown."""
        digest = Digest.of(body)
        self.store(body)
        shown = len(body) if size is None else size if size >= 0 else None
        self._add(served, Entry(path, media_type, "group", False, digest, shown))
        return digest

    def store(self, body: bytes) -> None:
        digest = Digest.of(body)
        self.stored[digest] = body
        if self.folder is not None:
            (self.folder / digest.hex).write_bytes(body)

    def _add(self, served: ServedPublication, entry: Entry) -> None:
        self.table.setdefault((served.publication_id, served.number, entry.path), []).append(entry)

    def _count(self, what: str) -> None:
        self.lookups[what] = self.lookups.get(what, 0) + 1
        if self.broken:
            raise OSError("the database is away")

    def generation(self) -> object:
        self._count("generation")
        return self.number_now

    def moment(self, served: ServedPublication) -> datetime:
        return self.modified

    def page_moments(
        self, served: ServedPublication, folder: str, media_type: str
    ) -> list[PageMoment]:
        here = (served.publication_id, served.number)
        return [
            PageMoment(entry.path, entry.group, self.modified)
            for key, entries in sorted(self.table.items())
            for entry in entries
            if key[:2] == here and entry.path.startswith(folder)
            if entry.page and entry.group is not None and entry.media_type == media_type
        ]

    def served(self) -> list[ServedPublication]:
        self._count("served")
        return list(self.mounted.values())

    def content(
        self, served: ServedPublication, path: str, *, now: datetime
    ) -> ServedContent | None:
        self._count("entries")
        if self.held is not None:
            self.looking.set()
            assert self.held.wait(10)
        entries = self.table.get((served.publication_id, served.number, path))
        return ServedContent(entries, self.modified) if entries else None

    def names_below(self, served: ServedPublication, folder: str, *, limit: int) -> list[str]:
        self._count("names_below")
        paths = [
            path
            for id_, number, path in self.table
            if (id_, number) == (served.publication_id, served.number)
        ]
        below = [path.removeprefix(folder) for path in paths if path.startswith(folder)]
        parts = [path.partition("/") for path in below if path]
        return sorted({name + slash for name, slash, _ in parts})[:limit]

    def chunked_bodies(self, digests: list[Digest]) -> dict[Digest, ChunkedBody]:
        return {digest: self.chunked[digest] for digest in digests if digest in self.chunked}

    def chunks(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        return {
            digest: self.kept_chunks[digest] for digest in digests if digest in self.kept_chunks
        }

    def pages(self, digests: list[Digest]) -> dict[Digest, bytes]:
        self._count("pages")
        return {digest: self.packed[digest] for digest in digests if digest in self.packed}

    def size(self, digest: Digest) -> int:
        return len(self._bytes(digest))

    def path(self, digest: Digest) -> Path | None:
        self._bytes(digest)
        return None if self.folder is None else self.folder / digest.hex

    def open(self, digest: Digest) -> BinaryIO:
        self._count("open")
        return io.BytesIO(self._bytes(digest))

    def _bytes(self, digest: Digest) -> bytes:
        if digest not in self.stored:
            raise StateFault(f"the bytes of {digest.short} are missing from the store")
        return self.stored[digest]


BLOCK = 64 * 1024


@dataclass
class FakeArtifactSource:
    """Implements `ArtifactSource`: brings what was taken out of `published`. `fault` is raised once
    `before` bytes were handed out.

    `held`: later blocks wait for it. `breaks`: breaks off after a block, once another file was
    asked for. `fetched`: what was asked for, in order.
    """

    published: Published
    known: dict[Digest, bytes] = field(default_factory=dict)
    fault: Exception | None = None
    announces: bool = True
    before: int = 0
    held: asyncio.Event | None = None
    breaks: dict[Digest, Digest] = field(default_factory=dict)
    fetched: list[Digest] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)  # something was asked for
    events: dict[Digest, asyncio.Event] = field(default_factory=dict)

    def lose(self, digest: Digest) -> None:
        """The store has these bytes no more; it is known where they can be had."""
        self.known[digest] = self.published.stored.pop(digest)

    def can_fetch(self, publication: str, digest: Digest) -> bool:
        return digest in self.known

    def _asked(self, digest: Digest) -> asyncio.Event:
        return self.events.setdefault(digest, asyncio.Event())

    async def fetch(
        self,
        publication: str,
        digest: Digest,
        size: int | None,
        *,
        announce: Callable[[int | None], None],
    ) -> AsyncIterator[bytes]:
        self.fetched.append(digest)
        self.begun.set()
        self._asked(digest).set()
        body = self.known[digest]
        announce(len(body) if self.announces else None)
        for start in range(0, len(body), BLOCK):
            if start and digest in self.breaks:
                await self._asked(self.breaks[digest]).wait()
                raise Unreachable("the connection broke")
            if self.fault is not None and start >= self.before:
                raise self.fault
            if self.held is not None and start >= self.before:
                await self.held.wait()
            if start + BLOCK >= len(body):
                self.published.store(body)
            yield body[start : start + BLOCK]
        self.published.store(body)
