"""The publications of a sandbox, served on loopback by the real application.

The HTTP side is a small server of the standard library in this process: it starts in a millisecond,
and real clients may be run against it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from reconciler.engine import Home
from reconciler.plugin.registry import Registry
from reconciler.plugin.testing.upstream import QuietServer
from reconciler.serve_adapter import assembled

Application = Any
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@contextmanager
def served_publications(home: Home, registry: Registry) -> Iterator[str]:
    """Serve the publications of a home within the block; yield the URL, with a slash at the end.

    What is published meanwhile is served at once.
    """
    with _event_loop() as loop:
        application = assembled(home, registry)
        _run(loop, _live(application, "lifespan.startup"))
        server = QuietServer(("127.0.0.1", 0), _handler(application, loop))
        try:
            with _serving(server):
                yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            _run(loop, _live(application, "lifespan.shutdown"))


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="publications")
    thread.start()
    try:
        yield loop
    finally:
        _run(loop, loop.shutdown_default_executor())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def _serving(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _run(loop: asyncio.AbstractEventLoop, coroutine: Any) -> Any:
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


async def _live(application: Application, event: str) -> None:
    """Start the application, or stop it."""
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        if sent:  # it has started, and waits for its end
            raise asyncio.CancelledError
        return {"type": event}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])
        assert not message["type"].endswith("failed"), message

    with suppress(asyncio.CancelledError):
        await application({"type": "lifespan"}, receive, send)


def _handler(
    application: Application, loop: asyncio.AbstractEventLoop
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = _run(loop, _response(application, _scope(self), body))
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name.decode("latin-1"), value.decode("latin-1"))
            if not any(name.lower() == b"content-length" for name, _ in headers):
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Print no access log."""

    for method in _METHODS:
        setattr(Handler, f"do_{method}", Handler.answer)
    return Handler


async def _response(
    application: Application, scope: dict[str, Any], body: bytes
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of the application's answer."""
    coming = iter([{"type": "http.request", "body": body, "more_body": False}])
    status, headers, content = 500, [], bytearray()

    async def receive() -> dict[str, Any]:
        return next(coming, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        else:
            content.extend(message.get("body", b""))

    await application(scope, receive, send)
    return status, headers, bytes(content)


def _scope(request: BaseHTTPRequestHandler) -> dict[str, Any]:
    address = urlsplit(request.path)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.command,
        "scheme": "http",
        "path": unquote(address.path),
        "raw_path": address.path.encode(),
        "root_path": "",
        "query_string": address.query.encode(),
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in request.headers.items()
        ],
        "client": request.client_address,
        "server": request.server.server_address,
        "extensions": {},
    }
