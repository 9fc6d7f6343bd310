"""The port of requests that send something: a body, and what is answered to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec


class RequestBody(Protocol):
    """Body of a request, which may be sent more than once: after a redirect, or a broken try."""

    @property
    def media_type(self) -> str: ...

    @property
    def length(self) -> int: ...

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body from its beginning."""
        ...


class Answer(msgspec.Struct, frozen=True):
    """An answer: 2xx, or a refusal of 400 to 499. `reason`: of its status line."""

    status: int
    reason: str
    body: bytes

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300


class Sender(Protocol):
    """Sends bodies to a remote, by the same rules as a `Fetcher` asks.

    Raises Unreachable for 5xx, 408, 425, 429 (with `retry_after`), time-outs and broken
    connections: it is not known then whether the body has arrived.
    """

    async def post(self, url: str, body: RequestBody) -> Answer:
        """Return what is answered to a POST."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
