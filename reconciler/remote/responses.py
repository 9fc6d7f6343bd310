"""Responses: errors for statuses, delays for headers, plain bytes for compressed bodies."""

from __future__ import annotations

import time
import zlib
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from reconciler.errors import Gone, Malformed, ReconcilerError, Refused, Unreachable
from reconciler.remote.urls import display_url

_LATER = frozenset({408, 425, 429})
_GONE = frozenset({404, 410})
_CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
_SLICE = 1 << 20


def check_status(status: int, url: str, retry_after: str | None, *, ranged: bool = False) -> None:
    """Raise unless a response is usable: 2xx with a whole body, 304, and 206 or 416 if `ranged`."""
    if (
        status == 304
        or (200 <= status < 300 and status != 206)
        or (ranged and status in (206, 416))
    ):
        return
    raise _error_of(status, url, retry_after)


def is_conditional(headers: Mapping[str, str] | None) -> bool:
    """Return True for headers of a request whose response may be 304 (RFC 9110 13.1)."""
    return headers is not None and not _CONDITIONS.isdisjoint(name.lower() for name in headers)


def is_ranged(headers: Mapping[str, str] | None) -> bool:
    """Return True for headers of a request for a part (RFC 9110 14.2)."""
    return headers is not None and any(name.lower() == "range" for name in headers)


def seconds_until(retry_after: str | None) -> float | None:
    """Return the seconds from now of a `Retry-After` (RFC 9110 10.2.3: seconds, or a date).

    None where there is none, or it makes no sense.
    """
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


async def whole_body(
    chunks: AsyncIterator[bytes], encoding: str | None, limit: int, *, url: str
) -> bytes:
    """Return at most `limit` bytes, decompressed.

    Raises Malformed beyond that: a small body may unpack to anything.
    """
    decoder = _decoder(encoding, url)
    parts: list[bytes] = []
    left = limit
    async for chunk in chunks:
        for part in decoder.feed(chunk, left) if decoder else (chunk,):
            left -= len(part)
            if left < 0:
                raise too_large(url, limit)
            parts.append(part)
    if decoder is not None and not decoder.finished:
        raise Unreachable(f"`{display_url(url)}` ended before its compressed body was whole")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large(url: str, limit: int) -> Malformed:
    """Return the error of a body beyond a limit."""
    return Malformed(f"`{display_url(url)}` is larger than the limit of {limit:,} bytes")


class _Inflater:
    """Decompressor of gzip (also of several members) or deflate, a bounded slice at a time."""

    def __init__(self, url: str, gzip: bool) -> None:
        self._url = url
        self._gzip = gzip
        self._stream = zlib.decompressobj(wbits=31) if gzip else None
        self.finished = True  # nothing at all is a whole empty body

    def feed(self, data: bytes, left: int) -> list[bytes]:
        """Return the plain bytes of `data`, at most one slice more than `left` allows."""
        parts: list[bytes] = []
        try:
            while data and left >= 0:
                stream = self._current(data)
                part = stream.decompress(data, min(_SLICE, left + 1))
                parts.append(part)
                left -= len(part)
                data = stream.unconsumed_tail or stream.unused_data
                self.finished = stream.eof
        except zlib.error as error:
            raise Malformed(
                f"`{display_url(self._url)}` has a compressed body that cannot be unpacked: {error}"
            ) from None
        return parts

    def _current(self, data: bytes) -> zlib._Decompress:
        if self._stream is None:  # RFC 9110 8.4.1.2 says zlib, some servers send the bare stream
            self._stream = zlib.decompressobj(wbits=15 if data[0] & 0x0F == 8 else -15)
        elif self._stream.eof and self._gzip:
            self._stream = zlib.decompressobj(wbits=31)
        return self._stream


def _decoder(encoding: str | None, url: str) -> _Inflater | None:
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        return None
    if name in ("gzip", "x-gzip", "deflate"):
        return _Inflater(url, gzip=name != "deflate")
    raise Malformed(
        f"`{display_url(url)}` came with the content encoding `{name[:40]}`, which was not asked"
        " for"
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
