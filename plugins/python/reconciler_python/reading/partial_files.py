"""Files upstream of which only requested parts are fetched.

A part cannot be verified, so a file is never refused because of its parts: anything that they seem
to lack is looked for again in the whole file, whose digest is known.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable
from typing import BinaryIO, Final, TypeVar, cast

from reconciler.plugin import Artifact, Malformed, UpstreamConduit
from reconciler_python.reading.archives import UnreadableArchive

_TAIL: Final = (
    # Bytes from the end of a zip file: most have their whole directory in it, and METADATA just
    # before.
    64 * 1024
)
_HEAD: Final = 64 * 1024  # bytes from the start of anything else
_GROWTH: Final = 4
_MOST: Final = 48 * 1024 * 1024  # bytes of parts of one file

T = TypeVar("T")
Look = Callable[[BinaryIO], T]
"""Finds something in an open file. Raises UnreadableArchive where it is not what it should be."""


async def inspect_partially(conduit: UpstreamConduit, artifact: Artifact, look: Look[T]) -> T:
    """Return the result of `look` for a file upstream, of which only parts are fetched.

    `look` may be called several times, from the start each time. Raises UnreadableArchive where the
    declared bytes are not such an archive, and what `conduit` raises.
    """
    if not artifact.sha256:
        return await _looked(look, io.BytesIO((await conduit.get(artifact.url)).body))
    try:
        return await _seen_in_parts(conduit, artifact, look)
    except (UnreadableArchive, Malformed):
        return await _looked(
            look, io.BytesIO(await conduit.get_file(artifact.url, sha256=artifact.sha256))
        )


async def _seen_in_parts(conduit: UpstreamConduit, artifact: Artifact, look: Look[T]) -> T:
    zipped = artifact.path.endswith((".whl", ".zip"))
    part = await conduit.get_part(
        artifact.url,
        sha256=artifact.sha256,
        offset=-_TAIL if zipped else 0,
        length=_TAIL if zipped else _HEAD,
    )
    file = _PartialFile(part.total)
    file.add(part.start, part.body)
    length = _HEAD
    while True:
        try:
            return await _looked(look, file)
        except _Lacking as lacking:
            length = max(_HEAD if zipped else length * _GROWTH, lacking.length)
            if file.held + lacking.length > _MOST:
                raise UnreadableArchive(
                    f"what says its dependencies is not among {_MOST >> 20} MiB of it"
                ) from None
            affordable = min(length, _MOST - file.held)
            part = await conduit.get_part(
                artifact.url, sha256=artifact.sha256, offset=lacking.offset, length=affordable
            )
            if part.start != lacking.offset or not part.body:
                raise UnreadableArchive("it has another length than its parts say") from None
            file.add(part.start, part.body)


async def _looked(look: Look[T], file: io.BytesIO | _PartialFile) -> T:
    """Call `look` from the start of the file, in a thread: little may unpack to much."""
    file.seek(0)
    return await asyncio.to_thread(look, cast(BinaryIO, file))


class _Lacking(Exception):
    """Raised when bytes are needed that were not fetched yet."""

    def __init__(self, offset: int, length: int) -> None:
        super().__init__(f"{length} bytes from {offset}")
        self.offset = offset
        self.length = length


class _PartialFile(io.RawIOBase):
    """A file that knows some of its bytes; asking for others raises _Lacking."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._place = 0
        self._parts: list[tuple[int, bytes]] = []
        self.held = 0

    def add(self, start: int, body: bytes) -> None:
        self._parts.append((start, body))
        self.held += len(body)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._total}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        end = self._total if size < 0 else min(self._total, self._place + size)
        pieces = []
        while self._place < end:
            piece = self._piece(self._place, end)
            pieces.append(piece)
            self._place += len(piece)
        return b"".join(pieces)

    def _piece(self, start: int, end: int) -> bytes:
        for offset, body in self._parts:
            if offset <= start < offset + len(body):
                return body[start - offset : end - offset]
        raise _Lacking(start, end - start)
