"""Bodies of indexes: cut into chunks, compressed and hashed while they are rendered.

Content decides where a chunk ends: a piece whose CRC-32 is small, in proportion to its length. So
an entry that changes changes its own chunk, and the chunks before and after it are what they were.
They are found by their digests, and neither compressed nor written again.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from reconciler.database import GzipPage, PublicationStage
from reconciler.errors import PluginFault
from reconciler.model import (
    GZIP_HEADER,
    SMALL_BODY,
    Chunk,
    ChunkedBody,
    Digest,
    deflate,
    gzip_trailer,
    holds_placeholder,
)
from reconciler.plugin import IndexFile

TARGET = 128 * 1024  # bytes of a chunk, on average
SMALLEST = 16 * 1024
LARGEST = 512 * 1024
PENDING_BYTES = 2 * 1024 * 1024  # of chunks that are looked up and written at once
SLICE = 256 * 1024  # bytes of a chunk of a body that is compressed as a whole
AHEAD = 8  # chunks that wait for the thread that compresses them
ZSTD_LEVEL = 10
STORED = 0  # the level of deflate that copies

ReadChunks = Callable[[Sequence[bytes]], Mapping[bytes, bytes]]


class RenderedBody(NamedTuple):
    """A body, as a whole or in chunks, with its digests in hex by algorithm."""

    digest: Digest
    size: int
    checksums: Mapping[str, str]
    kept: GzipPage | ChunkedBody


def cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces joined to chunks.

    Raises PluginFault for a piece that is not bytes.
    """
    if isinstance(pieces, (bytes, str)) or not isinstance(pieces, Iterable):
        raise PluginFault(
            f"`render_index` returns {type(pieces).__name__}, no pieces of a body",
            hint="yield bytes, or return a list of them",
        )
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        if type(piece) is not bytes:
            raise PluginFault(
                f"`render_index` yields {type(piece).__name__}, not bytes",
                hint="encode a text: `.encode()`; yield whole entries",
            )
        length = len(piece)
        waiting.append(piece)
        size += length
        if size >= LARGEST or (size >= SMALLEST and zlib.crc32(piece) * TARGET < length << 32):
            yield from _pieces_of(b"".join(waiting))
            waiting, size = [], 0
    if waiting:
        yield from _pieces_of(b"".join(waiting))


def _pieces_of(chunk: bytes) -> Iterator[bytes]:
    """Yield a chunk; what is far too large in pieces, so that no body has to fit into memory."""
    if len(chunk) <= 2 * LARGEST:
        yield chunk
        return
    for start in range(0, len(chunk), LARGEST):
        yield chunk[start : start + LARGEST]


class _Coding:
    """Takes note of a body while it is made: its digests, its size, and all of it up to `limit`."""

    def __init__(self, algorithms: Iterable[str], limit: int = SMALL_BODY) -> None:
        names = {"sha256", *algorithms}
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        self.size = 0
        self._limit = limit
        self._whole: list[bytes] | None = []

    def add(self, data: bytes) -> None:
        for hash in self._hashes.values():
            hash.update(data)
        self.size += len(data)
        if self._whole is not None:
            self._whole.append(data)
            if self.size > self._limit:
                self._whole = None

    def body(self, *, gzip_file: bool, crc: int, chunks: Sequence[Chunk]) -> RenderedBody:
        """Return the body once it is complete. `chunks`: its own, or those of a gzip file."""
        digest = Digest(self._hashes["sha256"].digest())
        kept: GzipPage | ChunkedBody
        if self._whole is None:
            kept = ChunkedBody(digest, self.size, gzip_file, crc, chunks)
        else:
            kept = GzipPage(gzip.compress(b"".join(self._whole), mtime=0), self.size)
        checksums = {name: hash.hexdigest() for name, hash in sorted(self._hashes.items())}
        return RenderedBody(digest, self.size, checksums, kept)


class BodyWriter:
    """Writes the chunks of one index, plain and in the compressions that its file declares.

    Runs plugin code while it reads the pieces. `read_chunks`: of what is kept already. `alive`:
    called with each chunk.
    """

    def __init__(
        self,
        stage: PublicationStage,
        read_chunks: ReadChunks,
        file: IndexFile,
        *,
        algorithms: Iterable[str],
        alive: Callable[[], None],
    ) -> None:
        self._stage = stage
        self._read_chunks = read_chunks
        self._alive = alive
        self._plain = _Coding(algorithms)
        # a small body that cannot be compressed is a little longer as a gzip file
        gzip_file = _Coding(algorithms, 2 * SMALL_BODY)
        self._gzip = gzip_file if "gz" in file.compressions else None
        self._streams = {
            name: _Stream(stage, _Coding(algorithms), make())
            for name, make in _COMPRESSORS.items()
            if name in file.compressions
        }
        self._crc = 0
        self._chunks: list[Chunk] = []
        self._pending: list[tuple[bytes, bytes]] = []  # (digest, content)
        self._pending_bytes = 0

    def write(self, pieces: Iterable[bytes]) -> dict[str, RenderedBody]:
        """Return the body by compression; the plain one is that of the empty name."""
        try:
            if self._gzip is not None:
                self._gzip.add(GZIP_HEADER)
            for content in cut(pieces):
                self._add(content)
            return self._bodies()
        finally:
            for stream in self._streams.values():
                stream.close()

    def _add(self, content: bytes) -> None:
        self._alive()
        if holds_placeholder(content):
            raise PluginFault(
                "an index holds the base URL, which would have to be replaced in all of it each"
                " time that it is served",
                hint="list relative paths",
            )
        self._plain.add(content)
        self._crc = zlib.crc32(content, self._crc)
        for stream in self._streams.values():
            stream.feed(content)
        self._pending.append((hashlib.sha256(content).digest(), content))
        self._pending_bytes += len(content)
        if self._pending_bytes >= PENDING_BYTES:
            self._keep()

    def _keep(self) -> None:
        """Write the pending chunks that are not there, unless all of the body is small."""
        contents = dict(self._pending)
        small = self._plain.size <= SMALL_BODY
        deflated = {} if small else dict(self._read_chunks(list(contents)))
        new = {
            digest: deflate(content)
            for digest, content in contents.items()
            if digest not in deflated
        }
        if new and not small:
            self._stage.write_chunks({key: (made, len(contents[key])) for key, made in new.items()})
        deflated.update(new)
        for digest, content in self._pending:
            self._chunks.append(Chunk(digest, len(content), len(deflated[digest])))
            if self._gzip is not None:
                self._gzip.add(deflated[digest])
        self._pending, self._pending_bytes = [], 0

    def _bodies(self) -> dict[str, RenderedBody]:
        self._keep()
        chunks, crc = self._chunks, self._crc
        bodies = {"": self._plain.body(gzip_file=False, crc=crc, chunks=chunks)}
        if self._gzip is not None:
            self._gzip.add(gzip_trailer(crc, self._plain.size))
            bodies["gz"] = self._gzip.body(gzip_file=True, crc=crc, chunks=chunks)
        for name, stream in self._streams.items():
            bodies[name] = stream.body()
        return bodies


class _Compressor(Protocol):
    """Compresses a body chunk by chunk. `separate`: what it yields stands for itself."""

    separate: bool

    def feed(self, content: bytes) -> Iterable[bytes]: ...

    def finish(self) -> Iterable[bytes]: ...

    def close(self) -> None: ...


class _Xz:
    """One stream over the whole body, made in a thread of its own beside the rendering."""

    separate = False

    def __init__(self) -> None:
        self._compressor = lzma.LZMACompressor(preset=6)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="xz")
        self._waiting: deque[Future[bytes]] = deque()

    def feed(self, content: bytes) -> Iterator[bytes]:
        self._waiting.append(self._thread.submit(self._compressor.compress, content))
        while len(self._waiting) > AHEAD:
            yield self._waiting.popleft().result()

    def finish(self) -> Iterator[bytes]:
        self._waiting.append(self._thread.submit(self._compressor.flush))
        while self._waiting:
            yield self._waiting.popleft().result()

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)


class _Zstd:
    """A frame for each chunk: frames one after the other are one body (RFC 8878, 3.1)."""

    separate = True

    def __init__(self) -> None:
        try:
            module: Any = import_module("compression.zstd")
        except ModuleNotFoundError:  # before Python 3.14
            module = import_module("backports.zstd")
        self._compress: Callable[..., bytes] = module.compress

    def feed(self, content: bytes) -> Iterator[bytes]:
        yield self._compress(content, level=ZSTD_LEVEL)

    def finish(self) -> Iterator[bytes]:
        yield from ()

    def close(self) -> None:
        pass


_COMPRESSORS: Mapping[str, Callable[[], _Compressor]] = {"xz": _Xz, "zst": _Zstd}


class _Stream:
    """A body that is compressed otherwise than with deflate: its chunks are slices of it."""

    def __init__(self, stage: PublicationStage, coding: _Coding, compressor: _Compressor) -> None:
        self._stage = stage
        self._coding = coding
        self._compressor = compressor
        self._pending = bytearray()
        self._chunks: list[Chunk] = []
        self._slices: list[bytes] = []

    def feed(self, content: bytes) -> None:
        for data in self._compressor.feed(content):
            self._add(data)

    def body(self) -> RenderedBody:
        for data in self._compressor.finish():
            self._add(data)
        if self._pending:
            self._end_slice()
        if self._coding.size > SMALL_BODY:
            self._write()
        return self._coding.body(gzip_file=False, crc=0, chunks=self._chunks)

    def close(self) -> None:
        self._compressor.close()

    def _add(self, data: bytes) -> None:
        self._coding.add(data)
        self._pending += data
        while len(self._pending) >= SLICE or (self._pending and self._compressor.separate):
            self._end_slice()

    def _end_slice(self) -> None:
        size = len(self._pending) if self._compressor.separate else SLICE
        self._slices.append(bytes(self._pending[:size]))
        del self._pending[:size]
        if sum(map(len, self._slices)) >= PENDING_BYTES:
            self._write()

    def _write(self) -> None:
        made = {}
        for data in self._slices:
            digest, kept = hashlib.sha256(data).digest(), deflate(data, STORED)
            self._chunks.append(Chunk(digest, len(data), len(kept)))
            made[digest] = kept, len(data)
        self._stage.write_chunks(made)
        self._slices = []
