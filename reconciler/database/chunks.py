"""Large rendered bodies, in chunks that are kept once by their digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, func, select

from reconciler.database.bulk import Row, batches, ignoring, listed
from reconciler.database.schema import chunk, chunked_page, publication_entry
from reconciler.database.session import Reading
from reconciler.errors import Conflict, StateFault
from reconciler.model import ChunkedBody, Digest, inflate, pack_chunks, unpack_chunks

CHUNKS_AT_ONCE = 50  # a few megabytes

_BODIES = select(
    chunked_page.c.digest,
    chunked_page.c.size,
    chunked_page.c.gzip,
    chunked_page.c.crc,
    chunked_page.c.chunks,
).where(chunked_page.c.digest.in_(listed("digests")))
_CHUNKS = select(chunk.c.digest, chunk.c.deflated).where(chunk.c.digest.in_(listed("digests")))
_PRESENT = select(chunk.c.digest).where(chunk.c.digest.in_(listed("digests")))
_WRITE_CHUNKS = ignoring(chunk, "digest", "deflated", "size")
_WRITE_BODIES = ignoring(chunked_page, "digest", "size", "gzip", "crc", "chunks")
_FORGET_BODIES = delete(chunked_page).where(chunked_page.c.digest.in_(listed("digests")))
_FORGET_CHUNK = delete(chunk).where(chunk.c.digest == bindparam("digest"))
_SHOWN = chunked_page.c.digest.in_(
    select(publication_entry.c.digest).where(publication_entry.c.page)
)
_COUNT_UNUSED_BODIES = select(func.count()).select_from(chunked_page).where(~_SHOWN)
_REMOVE_UNUSED_BODIES = delete(chunked_page).where(~_SHOWN)
_SHOWN_LISTS = select(chunked_page.c.chunks).where(_SHOWN)
_ALL_CHUNKS = select(chunk.c.digest)

Chunks = Mapping[bytes, tuple[bytes, int]]  # by digest: as they are kept, bytes of their content


class ChunkReads(Reading):
    """Lists of chunks, and chunks."""

    def chunked_bodies(self, digests: Iterable[Digest]) -> dict[Digest, ChunkedBody]:
        """Return those of `digests` that are bodies in chunks."""
        with self._reading.connect() as connection:
            return chunked_bodies(connection, digests)

    def chunks(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return chunks as they are kept, by digest; missing ones are left out."""
        kept: dict[bytes, bytes] = {}
        with self._reading.connect() as connection:
            for batch in batches(digests, CHUNKS_AT_ONCE):
                rows = connection.execute(_CHUNKS, {"digests": batch})
                kept.update((row[0], row[1]) for row in rows)
        return kept


def chunked_bodies(connection: Connection, digests: Iterable[Digest]) -> dict[Digest, ChunkedBody]:
    """Return those of `digests` that are bodies in chunks."""
    bodies: dict[Digest, ChunkedBody] = {}
    for batch in batches(digest.raw for digest in digests):
        for raw, size, gzip, crc, chunks in connection.execute(_BODIES, {"digests": batch}):
            digest = Digest(raw)
            bodies[digest] = ChunkedBody(digest, size, bool(gzip), crc, unpack_chunks(chunks))
    return bodies


def write_chunks(connection: Connection, chunks: Chunks) -> None:
    """Write chunks; those that are there stay as they are."""
    _WRITE_CHUNKS(connection, [(digest, *kept) for digest, kept in chunks.items()])


def write_chunked_bodies(connection: Connection, bodies: Iterable[ChunkedBody]) -> None:
    """Write lists of chunks.

    Raises Conflict where a chunk is missing: what no list named was collected meanwhile.
    """
    rows: list[Row] = []
    named: set[bytes] = set()
    for body in bodies:
        named.update(held.digest for held in body.chunks)
        packed = pack_chunks(body.chunks)
        rows.append((body.digest.raw, body.size, body.gzip, body.crc, packed))
    for batch in batches(named):
        if len(connection.execute(_PRESENT, {"digests": batch}).all()) < len(batch):
            raise Conflict("parts of a page were collected meanwhile", hint="publish again")
    _WRITE_BODIES(connection, rows)


def forget_chunked_bodies(connection: Connection, digests: Iterable[Digest]) -> None:
    """Forget bodies, and those of their chunks that are damaged, so that they are made anew."""
    for digest, body in chunked_bodies(connection, digests).items():
        for held in body.chunks:
            rows = connection.execute(_CHUNKS, {"digests": [held.digest]}).all()
            try:
                inflate(held, rows[0][1] if rows else None)
            except StateFault:
                connection.execute(_FORGET_CHUNK, {"digest": held.digest})
        connection.execute(_FORGET_BODIES, {"digests": [digest.raw]})


def remove_unused_bodies(connection: Connection, *, dry_run: bool) -> tuple[int, int]:
    """Remove lists that no publication shows, and chunks that no list names; return their numbers.

    With `dry_run` only count them.
    """
    bodies = connection.execute(_COUNT_UNUSED_BODIES).scalar_one()
    lists = connection.execute(_SHOWN_LISTS).scalars()
    needed = {held.digest for packed in lists for held in unpack_chunks(packed)}
    unused = [raw for raw in connection.execute(_ALL_CHUNKS).scalars() if raw not in needed]
    if not dry_run:
        connection.execute(_REMOVE_UNUSED_BODIES)
        for raw in unused:
            connection.execute(_FORGET_CHUNK, {"digest": raw})
    return int(bodies), len(unused)
