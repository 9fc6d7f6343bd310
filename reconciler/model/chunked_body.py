"""A large rendered body as a list of chunks, each kept once by its digest.

A chunk is kept as raw deflate that ends at a full flush, so that chunks can be joined in any order:
a gzip file is a header, the chunks of its content as they are kept, and a trailer (RFC 1952 with a
single member, as `pigz` writes it). One changed chunk costs one compression, in all bodies that
hold it.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from struct import Struct
from typing import NamedTuple

import msgspec

from reconciler.errors import StateFault
from reconciler.model.digest import Digest

LEVEL = 6  # of deflate; beyond it bodies grow slower to make than smaller to send
SMALL_BODY = 64 * 1024  # bytes up to which a body is kept as a whole
READ_AT_ONCE = 8  # chunks in memory while a body is read

# no name, no time, no flags; an unknown system
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK = b"\x03\x00"
_TRAILER = Struct("<II")
_ROW = Struct("<32sII")
_WINDOW = -15


class Chunk(NamedTuple):
    """A part of a body: sha256 and bytes of its content, and the bytes that it is kept in."""

    digest: bytes
    size: int
    deflated: int


class ChunkedBody(msgspec.Struct, frozen=True):
    """A body that is kept in chunks.

    `digest`, `size`: of the body. `gzip`: the body is a gzip file, and the chunks are its content;
    else they are the body itself. `crc`: CRC-32 of what the chunks hold.
    """

    digest: Digest
    size: int
    gzip: bool
    crc: int
    chunks: Sequence[Chunk]

    @property
    def gzip_size(self) -> int:
        """Return the bytes of the gzip file of the chunks."""
        held = sum(chunk.deflated for chunk in self.chunks)
        return len(GZIP_HEADER) + held + len(_LAST_BLOCK) + _TRAILER.size

    @property
    def gzip_trailer(self) -> bytes:
        """Return what follows the chunks in their gzip file."""
        return gzip_trailer(self.crc, sum(chunk.size for chunk in self.chunks))


ReadChunks = Callable[[Sequence[bytes]], Mapping[bytes, bytes]]
"""Returns chunks as they are kept, by digest; missing ones are left out."""


def gzip_trailer(crc: int, size: int) -> bytes:
    """Return the end of a gzip file of `size` bytes of content with this CRC-32."""
    return _LAST_BLOCK + _TRAILER.pack(crc, size & 0xFFFFFFFF)


def deflate(content: bytes, level: int = LEVEL) -> bytes:
    """Return a chunk as it is kept."""
    packer = zlib.compressobj(level, zlib.DEFLATED, _WINDOW)
    return packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)


def inflate(chunk: Chunk, deflated: bytes | None) -> bytes:
    """Return the content of a chunk. Raises StateFault where it is missing or damaged."""
    content = b""
    try:
        if deflated is not None and len(deflated) == chunk.deflated:
            content = zlib.decompressobj(_WINDOW).decompress(deflated, chunk.size + 1)
    except zlib.error:
        pass
    if hashlib.sha256(content).digest() != chunk.digest:
        raise StateFault(
            f"a part of a page ({Digest(chunk.digest).short}) is"
            f" {'missing' if deflated is None else 'damaged'} in the database",
            hint="`reconciler repair` renders it anew",
        )
    return content


def pack_chunks(chunks: Iterable[Chunk]) -> bytes:
    """Return a list of chunks as one value."""
    return b"".join(_ROW.pack(*chunk) for chunk in chunks)


def unpack_chunks(packed: bytes) -> list[Chunk]:
    """Return the list that `pack_chunks` packed."""
    return [Chunk(*row) for row in _ROW.iter_unpack(packed)]


def read_body(
    body: ChunkedBody, read: ReadChunks, *, as_gzip: bool = False, part: range | None = None
) -> Iterator[bytes]:
    """Yield a body, or a part of it, some chunks at a time.

    Each chunk is compared with its digest before anything of it is yielded.

    Args:
        as_gzip: Yield the gzip file of the body.
        part: Offsets within what is yielded otherwise.

    Raises:
        StateFault: A chunk is missing or damaged.
    """
    packed = as_gzip or body.gzip
    pieces: list[Chunk | bytes] = [*body.chunks]
    if packed:
        pieces = [GZIP_HEADER, *pieces, body.gzip_trailer]
    waiting: list[tuple[Chunk | bytes, slice]] = []
    for piece, wanted in _overlapping(pieces, packed=packed, part=part):
        waiting.append((piece, wanted))
        if len(waiting) >= READ_AT_ONCE:
            yield _joined(waiting, read, packed=packed)
            waiting = []
    if waiting:
        yield _joined(waiting, read, packed=packed)


def _overlapping(
    pieces: Iterable[Chunk | bytes], *, packed: bool, part: range | None
) -> Iterator[tuple[Chunk | bytes, slice]]:
    """Yield the pieces that a part takes anything of, with what it takes."""
    start = 0
    for piece in pieces:
        size = len(piece) if isinstance(piece, bytes) else piece.deflated if packed else piece.size
        if part is None:
            yield piece, slice(None)
        elif part.start < start + size and start < part.stop:
            yield piece, slice(max(part.start - start, 0), part.stop - start)
        start += size


def _joined(
    pieces: Sequence[tuple[Chunk | bytes, slice]], read: ReadChunks, *, packed: bool
) -> bytes:
    kept = read([piece.digest for piece, _ in pieces if isinstance(piece, Chunk)])
    return b"".join(_bytes_of(piece, kept, packed=packed)[wanted] for piece, wanted in pieces)


def _bytes_of(piece: Chunk | bytes, kept: Mapping[bytes, bytes], *, packed: bool) -> bytes:
    if isinstance(piece, bytes):
        return piece
    deflated = kept.get(piece.digest)
    content = inflate(piece, deflated)
    return content if deflated is None or not packed else deflated
