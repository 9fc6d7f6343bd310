"""The fetcher port: bytes from elsewhere. Decorators (retries, limits) wrap another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Protocol

import msgspec


class Trust(Enum):
    """Evidence for an answer, which decides the hosts that may give it; see `OriginRule`.

    Attributes:
        ORIGIN: The remote's own origin, and nothing else: pages, and files without a digest.
        HOST: The origin that the URL names as well: parts of a file with a declared digest, which
            cannot be verified by it; redirects to other hosts are refused.
        DIGEST: The caller verifies the bytes by a declared digest: any host may send them.
    """

    ORIGIN = 1
    HOST = 2
    DIGEST = 3


class Response(msgspec.Struct, frozen=True):
    """A whole response, never 4xx or 5xx. url: after redirects; header names in lower case."""

    status: int
    url: str
    headers: dict[str, str]
    body: bytes


class StreamedResponse(Protocol):
    """An open response whose body is still to come. length: the declared Content-Length, or None.

    `status`: 304, which has no body, where the request was conditional and nothing changed; 206, or
    416 with a body of no interest, where it asked for a part; any other 2xx otherwise. `headers`:
    names in any case, looked up in any case.
    """

    status: int
    headers: Mapping[str, str]
    length: int | None

    @property
    def url(self) -> str:
        """URL of the response, after redirects."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces of up to 1 MiB. Raises Unreachable when it ends too early."""
        ...


class Fetcher(Protocol):
    """HTTP (or a local folder) as far as importers need it.

    Raises (both methods, on entering): Gone for 404 and 410; Refused for other 4xx, for a redirect
    loop, for an untrusted certificate; Unreachable for 5xx, 408, 429 (with `retry_after`),
    time-outs, broken connections, names that do not resolve; Malformed for a body larger than
    `limit`. Messages name the URL without credentials, and never a secret. Credentials and extra
    headers of the remote are sent to the remote's own host only, never along a redirect to another.
    What a declared digest does not verify comes from the remote's own origin: ForeignOrigin.
    """

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """Return one whole body of at most `limit` bytes (after decompression)."""
        ...

    def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trust: Trust = Trust.ORIGIN,
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Open a body, to be read piece by piece, as the server stores it (`identity`).

        headers: a condition (`If-None-Match`, `If-Modified-Since`), whose response may be a 304, or
        one `Range` (RFC 9110 14.2), which a server may ignore. trust: see `Trust`. Raises Malformed
        for a 304 and a 206 that were not asked for.
        """
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
