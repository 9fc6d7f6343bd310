"""A client that calls an ASGI application directly: what is sent is what the test sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Application = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class AsgiResponse:
    """A whole answer. `headers`: names in lower case; `sent_files`: paths that the server was asked
    to send by itself.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    pieces: int = 1
    sent_files: tuple[Path, ...] = ()

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(slots=True)
class Client:
    """`pathsend`: does this server offer to send files by itself? `root_path`: the prefix that a
    front end took care of.
    """

    application: Application
    pathsend: bool = False
    root_path: str = ""

    async def get(
        self,
        path: str,
        /,
        *,
        method: str = "GET",
        query: str = "",
        headers: Sequence[tuple[str, str]] = (),
    ) -> AsgiResponse:
        """One request; `path` is decoded, as servers hand it over."""
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.application(
            self.scope(path, method, query, headers=headers), _nothing_more, send
        )
        return _answer(sent)

    async def head(self, path: str, /, **more: Any) -> AsgiResponse:
        return await self.get(path, method="HEAD", **more)

    async def post(
        self,
        path: str,
        pieces: Iterable[bytes | BaseException],
        /,
        *,
        headers: Sequence[tuple[str, str]] = (),
        method: str = "POST",
    ) -> AsgiResponse:
        """Send a body in pieces; an EOFError among them is a client that leaves, any other error is
        raised by the server's side.
        """
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        coming = _coming(pieces)
        path, _, query = path.partition("?")

        async def receive() -> dict[str, Any]:
            return await anext(coming)

        await self.application(self.scope(path, method, query, headers=headers), receive, send)
        return _answer(sent)

    def scope(
        self,
        path: str,
        method: str = "GET",
        query: str = "",
        *,
        headers: Sequence[tuple[str, str]] = (),
    ) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": self.root_path + path,
            "raw_path": path.encode("utf-8", "surrogateescape"),
            "root_path": self.root_path,
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), value.encode("latin-1")) for name, value in headers
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "extensions": {"http.response.pathsend": {}} if self.pathsend else {},
        }


async def _coming(pieces: Iterable[bytes | BaseException]) -> AsyncIterator[dict[str, Any]]:
    for piece in pieces:
        if isinstance(piece, EOFError):
            yield {"type": "http.disconnect"}
        elif isinstance(piece, BaseException):
            raise piece
        else:
            yield {"type": "http.request", "body": piece, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}
    while True:
        yield {"type": "http.disconnect"}


async def _nothing_more() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def _answer(sent: Sequence[dict[str, Any]]) -> AsgiResponse:
    """Check the order of messages, as a server would, and put them together."""
    start, *rest = sent
    assert start["type"] == "http.response.start"
    names = [name for name, _ in start["headers"]]
    assert len(names) == len(set(names)), f"a header twice: {names}"
    assert all(isinstance(text, bytes) for header in start["headers"] for text in header)
    assert rest, "an answer without an end"
    assert [message.get("more_body", False) for message in rest] == [True] * (len(rest) - 1) + [
        False
    ]
    files = tuple(
        Path(message["path"]) for message in rest if message["type"] == "http.response.pathsend"
    )
    data = b"".join(message.get("body", b"") for message in rest) + b"".join(
        path.read_bytes() for path in files
    )
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    return AsgiResponse(start["status"], headers, data, len(rest), files)


async def live(application: Application, *events: str) -> list[dict[str, Any]]:
    """Send lifespan events; what the application answers."""
    coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    for event in events:
        coming.put_nowait({"type": event})
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application({"type": "lifespan", "asgi": {"version": "3.0"}}, coming.get, send)
    return sent
