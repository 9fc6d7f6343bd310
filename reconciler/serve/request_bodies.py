"""Bodies of requests, as they come in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from reconciler.serve.request import Request
from reconciler.serve.responses import Receive

PIECE = 256 * 1024  # bytes that are gathered, so that a worker thread is worth calling
PATIENCE = 60.0  # seconds in which something more must arrive
LINGER = 30.0  # seconds that a client has to send the rest of what nobody wants, and then read why


class BodyFault(Exception):
    """A body cannot be read on, and why; `status` says so to the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Body:
    """One request's body; a client that waits for `100 Continue` gets it with the first read."""

    def __init__(self, request: Request, receive: Receive) -> None:
        self._receive = receive
        self._wanted = (request.header(b"expect") or "").lower() != "100-continue"
        self._over = False

    async def pieces(self, limit: int, patience: float = PATIENCE) -> AsyncIterator[bytes]:
        """All of it, in pieces of about `PIECE` bytes.

        Raises BodyFault: more than `limit` bytes, `patience` seconds of silence, a client that
        left.
        """
        self._wanted = True
        gathered: list[bytes] = []
        held = total = 0
        while not self._over:
            piece = await self._next(patience)
            held, total = held + len(piece), total + len(piece)
            if total > limit:
                raise BodyFault(413, f"more than {limit:,} bytes are not taken")
            gathered.append(piece)
            if held >= PIECE or self._over:
                yield b"".join(gathered)
                gathered, held = [], 0

    async def discard(self) -> None:
        """Read what is left, once it was answered: a client that still sends may not read before it
        is through.

        One that waits to be told whether it should send needs none of this.
        """
        if not self._wanted:
            return
        try:
            async with asyncio.timeout(LINGER):
                while not self._over:
                    await self._next(LINGER)
        except (BodyFault, TimeoutError):
            return

    async def _next(self, patience: float) -> bytes:
        try:
            async with asyncio.timeout(patience):
                message = await self._receive()
        except TimeoutError:
            self._over = True
            raise BodyFault(408, f"nothing more arrived for {patience:g} seconds") from None
        if message["type"] == "http.disconnect":
            self._over = True
            raise BodyFault(400, "the connection ended before the body did")
        self._over = not message.get("more_body", False)
        data: bytes = message.get("body", b"")
        return data
