"""What every answer is made of: the ASGI callables, whole bodies, and short plain texts for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from reconciler.errors import ReconcilerError
from reconciler.serve.representation import NOSNIFF, REVALIDATE, Header, Message, body, opening
from reconciler.serve.request import Request

EMPTY = body(b"")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def send_whole(request: Request, send: Send, start: Message, data: bytes) -> None:
    await send(start)
    await send(EMPTY if request.head else body(data))


async def say(
    request: Request, send: Send, status: int, text: str, headers: list[Header] | None = None
) -> None:
    """A short plain text for a person."""
    data = f"{text}\n".encode(errors="replace")
    fixed = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(data)),
        NOSNIFF,
        REVALIDATE,
    ]
    await send_whole(request, send, opening(status, [*fixed, *(headers or [])]), data)


def explained(error: ReconcilerError) -> str:
    """An error and what to do about it."""
    return f"{error.message}\nhint: {error.hint}" if error.hint else error.message
