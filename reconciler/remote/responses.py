"""Responses: errors for statuses, delays for headers, plain bytes for compressed bodies."""

from __future__ import annotations

import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from io import BytesIO

from reconciler.errors import (
    Gone,
    Malformed,
    NotAcceptable,
    ReconcilerError,
    Refused,
    Unreachable,
)
from reconciler.redaction import sanitize
from reconciler.remote.body_blocks import SMALL
from reconciler.remote.page_budget import current_lease
from reconciler.remote.urls import display_url
from reconciler.threads import in_thread

_LATER = frozenset({408, 425, 429})
_GONE = frozenset({404, 410})
_CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
_PAGE_HINT = "`page_memory` in `reconciler.toml` is the limit of a page"
_SLICE = 256 * 1024  # plain bytes of one step
_PACKED_SLICE = 64 * 1024  # compressed bytes that are looked at in one piece
_LATEST = 30 * 86_400.0  # seconds of a `Retry-After`
_MOST_MEMBERS = 10_000  # of one gzip body: tools that write many give each some 64 KiB


def check_status(status: int, url: str, retry_after: str | None, *, ranged: bool = False) -> None:
    """Raise unless a response is usable: 2xx with a whole body, 304, and 206 or 416 if `ranged`."""
    if (
        status == 304
        or (200 <= status < 300 and status != 206)
        or (ranged and status in (206, 416))
    ):
        return
    raise _error_of(status, url, retry_after)


def is_refusal(status: int) -> bool:
    """Return True for 4xx that will be the same next time."""
    return 400 <= status < 500 and status not in _LATER


def is_conditional(headers: Mapping[str, str] | None) -> bool:
    """Return True for headers of a request whose response may be 304 (RFC 9110 13.1)."""
    return headers is not None and not _CONDITIONS.isdisjoint(name.lower() for name in headers)


def is_ranged(headers: Mapping[str, str] | None) -> bool:
    """Return True for headers of a request for a part (RFC 9110 14.2)."""
    return headers is not None and any(name.lower() == "range" for name in headers)


def header_text(value: str) -> str:
    """Return a header as text that can be recorded: bytes that are no UTF-8 as escapes.

    HTTP allows any bytes there (RFC 9110 5.5), and no two of them become the same text.
    """
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def seconds_until(retry_after: str | None) -> float | None:
    """Return the seconds from now of a `Retry-After` (RFC 9110 10.2.3: seconds, or a date).

    None where there is none, or it makes no sense; at most `_LATEST`, which is finite.
    """
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return min(float(retry_after), _LATEST)
    try:
        seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), _LATEST)


async def whole_body(
    chunks: AsyncIterator[bytes], encoding: str | None, limit: int, *, url: str
) -> bytes:
    """Return at most `limit` bytes, decompressed.

    Raises Malformed beyond that, be it of what arrives or of what it unpacks to: a small body may
    unpack to anything, and a large one to nothing. The bytes count against the page budget.
    """
    inflater = _inflater(encoding, url)
    lease = current_lease()
    body, arrived = BytesIO(), 0
    try:
        async for chunk in chunks:
            arrived += len(chunk)
            async for part in _plain(inflater, chunk, body.tell):
                if max(arrived, body.tell() + len(part)) > limit:
                    raise too_large(url, limit, hint=_PAGE_HINT)
                await lease.take(len(part))
                body.write(part)
    except BaseException:
        lease.give_back()
        raise
    if inflater is not None and not inflater.finished:
        lease.give_back()
        raise Unreachable(f"`{display_url(url)}` ended before its compressed body was whole")
    return body.getvalue()  # without a copy of its bytes


async def _plain(
    inflater: _Inflater | None, chunk: bytes, unpacked: Callable[[], int]
) -> AsyncIterator[bytes]:
    """Yield the plain bytes of a chunk, in parts; what unpacks to much, in a worker thread."""
    if inflater is None:
        yield chunk
        return
    parts = inflater.parts(chunk)
    while True:
        part = next(parts, None) if unpacked() < SMALL else await in_thread(next, parts, None)
        if part is None:
            return
        yield part


def too_large(url: str, limit: int, *, hint: str | None = None) -> Malformed:
    """Return the error of a body beyond a limit."""
    return Malformed(f"`{display_url(url)}` is larger than the limit of {limit:,} bytes", hint=hint)


class _Inflater:
    """Decompressor of gzip (also of several members) or deflate, a bounded slice at a time."""

    def __init__(self, url: str, gzip: bool) -> None:
        self._url = url
        self._gzip = gzip
        self._stream = zlib.decompressobj(wbits=31) if gzip else None
        self._members = 1
        self.finished = True  # nothing at all is a whole empty body

    def parts(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the plain bytes of a chunk, at most a slice each; an empty one where it is long.

        Raises Malformed for what cannot be unpacked, and for what goes on behind its end.
        """
        try:
            for start in range(0, len(chunk), _PACKED_SLICE):  # each end copies what follows it
                data = chunk[start : start + _PACKED_SLICE]
                while data:
                    stream = self._next(data)
                    yield stream.decompress(data, _SLICE)
                    data = stream.unconsumed_tail or stream.unused_data
                    self.finished = stream.eof
        except zlib.error as error:
            raise self._unusable(f"cannot be unpacked: {error}") from None

    def _next(self, data: bytes) -> zlib._Decompress:
        """Return the stream that `data` belongs to. Raises Malformed where it belongs to none."""
        if self._stream is None:  # RFC 9110 8.4.1.2 says zlib, some servers send the bare stream
            self._stream = zlib.decompressobj(wbits=15 if data[0] & 0x0F == 8 else -15)
        elif self._stream.eof:
            self._members += 1
            if not self._gzip:
                raise self._unusable("goes on behind its end")
            if self._members > _MOST_MEMBERS:
                raise self._unusable(f"has more than {_MOST_MEMBERS:,} members")
            self._stream = zlib.decompressobj(wbits=31)
        return self._stream

    def _unusable(self, reason: str) -> Malformed:
        return Malformed(f"`{display_url(self._url)}` has a compressed body that {reason}")


def _inflater(encoding: str | None, url: str) -> _Inflater | None:
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        return None
    if name in ("gzip", "x-gzip", "deflate"):
        return _Inflater(url, gzip=name != "deflate")
    raise Malformed(
        f"`{display_url(url)}` came with the content encoding `{sanitize(name, 40)}`, which was not"
        " asked for"
    )


def _error_of(status: int, url: str, retry_after: str | None) -> ReconcilerError:
    place = f"`{display_url(url)}` answered {status} {_phrase(status)}".rstrip()
    if status in _GONE:
        return Gone(place)
    if status >= 500 or status in _LATER:
        return Unreachable(place, retry_after=seconds_until(retry_after))
    if status in (401, 403):
        return Refused(
            place,
            hint=(
                "check `auth` of the remote; its credentials are sent to the remote's own host only"
            ),
        )
    if status == 406:
        return NotAcceptable(place)
    if status == 407:
        return Refused(
            place, hint="the proxy wants credentials: put them into the variable that names it"
        )
    if status < 400:
        return Malformed(f"{place}, which was not asked for")
    return Refused(place)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
