"""Ranges: request headers (RFC 9110 14.1.2), response headers, and parts cut from whole bodies."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from typing import NamedTuple

from reconciler.errors import Malformed
from reconciler.remote.file_cache import FilePart
from reconciler.remote.page_budget import current_lease
from reconciler.remote.responses import too_large

LONGEST_BODY = 2 * 1024 * 1024 * 1024  # bytes of a whole body that are read for a part of it
# bytes that a tail may be too long by: cutting it with every piece would move it with every piece
_SLACK = 4 * 1024 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_CONTENT_RANGE = re.compile(
    r"bytes\s+(?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19})", re.ASCII | re.IGNORECASE
)


def range_header(offset: int, length: int) -> dict[str, str]:
    """Return the header that asks for up to `length` bytes from `offset`, negative from the end."""
    return {"Range": f"bytes={offset}" if offset < 0 else f"bytes={offset}-{offset + length - 1}"}


def requested_range(headers: Mapping[str, str], size: int) -> tuple[int, int] | None:
    """Return start and end of what a request asks for of a body of `size` bytes; None for all.

    Start is `size` where the body ends before.
    """
    request = _RANGE.fullmatch(_header(headers, "range"))
    if request is None or request[0] == "bytes=-":
        return None
    if not request[1]:
        return max(0, size - int(request[2])), size
    return min(int(request[1]), size), min(int(request[2]) + 1, size) if request[2] else size


class ContentRange(NamedTuple):
    """A `Content-Range` (RFC 9110 14.4): bytes `start` to `end` of `total`; no start for none."""

    start: int | None
    end: int
    total: int


def parse_content_range(headers: Mapping[str, str]) -> ContentRange | None:
    """Parse `Content-Range`; None where it is absent, incomplete, or makes no sense."""
    match = _CONTENT_RANGE.fullmatch(_header(headers, "content-range"))
    if match is None:
        return None
    total = int(match[3])
    if match[1] is None:
        return ContentRange(None, 0, total)
    start, end = int(match[1]), int(match[2]) + 1
    return ContentRange(start, end, total) if start < end <= total else None


async def read_all(pieces: AsyncIterator[bytes], too_long: Malformed, limit: int) -> bytes:
    """Return all of a body, of at most `limit` bytes. Raises `too_long` beyond that.

    The bytes count against the page budget.
    """
    lease = current_lease()
    body = BytesIO()
    async for piece in pieces:
        if body.tell() + len(piece) > limit:
            raise too_long
        await lease.take(len(piece))
        body.write(piece)
    return body.getvalue()  # without a copy of its bytes


async def cut_part(
    pieces: AsyncIterator[bytes], declared: int | None, url: str, *, offset: int, length: int
) -> FilePart:
    """Return a part of a whole body, and hold little more than the part.

    The body is read as far as that needs: to its end where its length is not `declared`. The bytes
    of the part count against the page budget.
    """
    await current_lease().take(length if declared is None else min(length, declared))
    if declared is None:
        return await (_from_start if offset >= 0 else _from_end)(pieces, url, offset, length=length)
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


async def _from_start(
    pieces: AsyncIterator[bytes], url: str, offset: int, *, length: int
) -> FilePart:
    """Read to the end, which says how long the body is."""
    held = bytearray()
    position = 0
    async for piece in pieces:
        held += piece[max(0, offset - position) :][: length - len(held)]
        position = _advance(position, piece, url)
    return FilePart(min(offset, position), position, bytes(held))


async def _from_end(
    pieces: AsyncIterator[bytes], url: str, offset: int, *, length: int
) -> FilePart:
    tail = bytearray()
    position = 0
    async for piece in pieces:
        tail += piece
        position = _advance(position, piece, url)
        if len(tail) > _SLACK - offset:
            del tail[:offset]
    del tail[:offset]
    return FilePart(position - len(tail), position, bytes(tail[:length]))


def _advance(position: int, piece: bytes, url: str) -> int:
    if position + len(piece) > LONGEST_BODY:
        raise too_large(url, LONGEST_BODY)
    return position + len(piece)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value.strip() for given, value in headers.items() if given.lower() == name), "")
