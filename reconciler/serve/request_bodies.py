"""Bodies of requests: read within limits of time and size, or drained."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PIECE = 256 * 1024  # bytes that are gathered, so that a worker thread is worth calling
SILENCE = 60.0  # seconds in which something more must arrive
SLOWEST = 1024  # bytes a second, on average, once SILENCE is over
MOST_DIGITS = 15  # of a `Content-Length`: what comes close is far beyond every limit
LINGER = 30.0  # seconds that a client has to send what is not read, before it reads the response


class BodyFault(Exception):
    """Error that ends the reading of a body.

    status: of the response.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def declared_length(request: Request) -> int:
    """Return the declared length of a body, 0 without one. Raises BodyFault for no number."""
    text = request.headers.get("content-length", "0").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise BodyFault(400, "the `Content-Length` is no length")
    return int(text)


async def body_pieces(
    request: Request, limit: int, *, silence: float = SILENCE, slowest: float = SLOWEST
) -> AsyncIterator[bytes]:
    """Yield a whole body in pieces of about `PIECE` bytes.

    Raises BodyFault: for more than `limit` bytes, `silence` seconds without any, fewer than
    `slowest` bytes a second after that, a client that disconnects.
    """
    stream = request.stream()
    gathered: list[bytes] = []
    held = total = 0
    begun = monotonic()
    while piece := await _next(
        stream, min(silence, begun + silence - monotonic() + total / slowest)
    ):
        held, total = held + len(piece), total + len(piece)
        if total > limit:
            raise BodyFault(413, f"more than {limit:,} bytes are not taken")
        gathered.append(piece)
        if held >= PIECE:
            yield b"".join(gathered)
            gathered, held = [], 0
    if gathered:
        yield b"".join(gathered)


async def _next(stream: AsyncIterator[bytes], silence: float) -> bytes:
    """Return the next bytes, none at the end of the body."""
    try:
        async with asyncio.timeout(silence):
            return await anext(stream)
    except TimeoutError:
        raise BodyFault(408, "too little arrived in too much time") from None
    except ClientDisconnect:
        raise BodyFault(400, "the connection ended before the body did") from None


class DrainBody:
    """ASGI middleware that reads the rest of a body after the response.

    A client that still sends may not read before it has sent everything. A client that waits for
    `100 Continue` and was not told to send needs none of this.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in ("GET", "HEAD"):
            await self._application(scope, receive, send)
            return
        body = _TrackedBody(scope, receive)
        await self._application(scope, body.receive, send)
        await body.drain()


class _TrackedBody:
    """A body, and whether there is more of it to come."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._coming = (b"expect", b"100-continue") not in [
            (name, value.lower()) for name, value in scope["headers"]
        ]

    async def receive(self) -> Message:
        """Receive the next message; the first one tells a waiting client to send."""
        self._coming = False  # also when this is cancelled: then the client is silent
        message = await self._receive()
        self._coming = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read what is left."""
        try:
            async with asyncio.timeout(LINGER):
                while self._coming:
                    await self.receive()
        except TimeoutError:
            return
