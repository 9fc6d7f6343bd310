"""Parts of files: asking for one (RFC 9110 14.1.2), understanding the answer, and cutting it out of
a whole body where that is what came.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from reconciler.errors import Malformed
from reconciler.remote.file_cache import FilePart
from reconciler.remote.responses import too_large

LONGEST_BODY = 2 * 1024 * 1024 * 1024  # bytes of a whole body that are read for a part of it
_SLACK = (
    4 * 1024 * 1024
    # bytes that a tail may be too long by: cutting it with every piece would move it with every piece
)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_CONTENT_RANGE = re.compile(
    r"bytes\s+(?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19})", re.ASCII | re.IGNORECASE
)


def asking_for(offset: int, length: int) -> dict[str, str]:
    """The header that asks for up to `length` bytes from `offset`; a negative one counts from the
    end.
    """
    return {"Range": f"bytes={offset}" if offset < 0 else f"bytes={offset}-{offset + length - 1}"}


def window(headers: Mapping[str, str], size: int) -> tuple[int, int] | None:
    """Start and end of what a request asks for of a body of `size` bytes; None for all of it. Start
    is `size` where there is nothing of it.
    """
    asked = _RANGE.fullmatch(_header(headers, "range"))
    if asked is None or asked[0] == "bytes=-":
        return None
    if not asked[1]:
        return max(0, size - int(asked[2])), size
    return min(int(asked[1]), size), min(int(asked[2]) + 1, size) if asked[2] else size


class Placed(NamedTuple):
    """What `Content-Range` says (RFC 9110 14.4): of a file of `total` bytes, those from `start` up
    to `end`; `start` is None for none of them.
    """

    start: int | None
    end: int
    total: int


def placed(headers: Mapping[str, str]) -> Placed | None:
    """None where that is not said in full, or makes no sense."""
    said = _CONTENT_RANGE.fullmatch(_header(headers, "content-range"))
    if said is None:
        return None
    total = int(said[3])
    if said[1] is None:
        return Placed(None, 0, total)
    start, end = int(said[1]), int(said[2]) + 1
    return Placed(start, end, total) if start < end <= total else None


async def collected(pieces: AsyncIterator[bytes], too_long: Malformed, limit: int) -> bytes:
    """All of a body, of at most `limit` bytes. Raises `too_long` beyond that."""
    held: list[bytes] = []
    left = limit
    async for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise too_long
        held.append(piece)
    return held[0] if len(held) == 1 else b"".join(held)


async def cut_out(
    pieces: AsyncIterator[bytes], declared: int | None, url: str, offset: int, length: int
) -> FilePart:
    """A part of a whole body, which is read as far as it takes: to its end where its length is not
    `declared`. Holds little more than the part.
    """
    if declared is None:
        return await (_from_start if offset >= 0 else _from_end)(pieces, url, offset, length)
    start = min(offset, declared) if offset >= 0 else max(0, declared + offset)
    wanted = min(length, declared - start)
    if start + wanted > LONGEST_BODY:
        raise too_large(url, LONGEST_BODY)
    held = bytearray()
    position = 0
    if wanted:
        async for piece in pieces:
            held += piece[max(0, start - position) :][: wanted - len(held)]
            position += len(piece)
            if len(held) == wanted:
                break
    return FilePart(start, declared, bytes(held))


async def _from_start(pieces: AsyncIterator[bytes], url: str, offset: int, length: int) -> FilePart:
    """Only its end says how long a body is."""
    held = bytearray()
    position = 0
    async for piece in pieces:
        held += piece[max(0, offset - position) :][: length - len(held)]
        position = _counted(position, piece, url)
    return FilePart(min(offset, position), position, bytes(held))


async def _from_end(pieces: AsyncIterator[bytes], url: str, offset: int, length: int) -> FilePart:
    tail = bytearray()
    position = 0
    async for piece in pieces:
        tail += piece
        position = _counted(position, piece, url)
        if len(tail) > _SLACK - offset:
            del tail[:offset]
    del tail[:offset]
    return FilePart(position - len(tail), position, bytes(tail[:length]))


def _counted(position: int, piece: bytes, url: str) -> int:
    if position + len(piece) > LONGEST_BODY:
        raise too_large(url, LONGEST_BODY)
    return position + len(piece)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value.strip() for given, value in headers.items() if given.lower() == name), "")
