"""The port: bytes from elsewhere. Decorators (retry, limit) implement the same port and wrap
another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec


class Response(msgspec.Struct, frozen=True):
    """A whole answer. `url`: after redirects; header names in lower case. 304 is an answer; 4xx and
    5xx are raised as errors.
    """

    status: int
    url: str
    headers: dict[str, str]
    body: bytes


class Stream(Protocol):
    """An open answer whose body is still to come. `length`: the declared Content-Length, or None.

    `status`: 304, which has no body, where the request was conditional and nothing changed; 206, or
    416 with a body of no interest, where it asked for a part; any other 2xx otherwise. `headers`:
    names in any case, looked up in any case.
    """

    status: int
    headers: Mapping[str, str]
    length: int | None

    @property
    def url(self) -> str: ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces of up to 1 MiB. Raises Unreachable when it ends before its declared
        length.
        """
        ...


class Fetcher(Protocol):
    """HTTP (or a local folder) as far as importers need it.

    Raises (both methods, on entering): Gone for 404 and 410; Refused for other 4xx, for a redirect
    loop, for an untrusted certificate; Unreachable for 5xx, 408, 429 (with `retry_after`),
    time-outs, broken connections, names that do not resolve; Malformed for a body larger than
    `limit`. Messages name the URL without credentials, and never a secret. Credentials and extra
    headers of the remote are sent to the remote's own host only, never along a redirect to another.
    """

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """One whole body of at most `limit` bytes (after decompression)."""
        ...

    def stream(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Stream]:
        """A body piece by piece, as it is on disk there: `Accept-Encoding: identity`.

        `headers`: a condition (`If-None-Match`, `If-Modified-Since`), to be answered with `status`
        304, or one `Range` (RFC 9110 14.2), which a server may ignore. Raises Malformed for a 304
        and a 206 that nobody asked for.
        """
        ...

    async def close(self) -> None: ...
