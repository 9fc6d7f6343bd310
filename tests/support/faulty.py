"""A loopback HTTP server that lies and stumbles on demand, and remembers who asked for what.

In a test that runs a loop of its own:

    async with FaultyServer() as server:
        # first a fault, then the page, which stays
        server.on("/simple/", status(503, retry_after="1"), body(b"hello"))
        await fetcher.get(server.url("/simple/"), ...)
        assert [request.path for request in server.requests] == ["/simple/", "/simple/"]

For programs that run beside the test (a subprocess, synchronous code):

    with running(lambda server: server.on("/simple/", body(b"hello"))) as server:
        subprocess.run([..., server.url("/simple/")])

Answers: `body`, `status`, `truncated`, `broken_chunks`, `corrupted`, `late`, `dripping`, `huge`,
`gzip_bomb`, `redirect`, `hang_up`, `not_http`. A wrong content type or broken JSON is `body(b"{",
content_type="application/json")`. A path without an answer is a 404. Hosts that vanish:
`closed_port()` for a port that nobody listens on, and `http://host.invalid/` for a name that never
resolves (RFC 6761). `server.url(path, host="localhost")` is the same server under another host
name. `FaultyServer(tls=True)` speaks TLS with the certificate in `CERTIFICATE` (self-signed for
localhost and 127.0.0.1, its throw-away key in the same file).
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from aiohttp import web

CERTIFICATE = Path(__file__).with_name("localhost.pem")

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. `headers`: names in lower case; `host`: as the client wrote it."""

    method: str
    path: str
    host: str
    headers: dict[str, str]


class FaultyServer:
    """Answers by path. Async context manager; `on` may be called at any time."""

    def __init__(
        self, *, tls: bool = False, client_certificates: bool = False, address: str = "127.0.0.1"
    ) -> None:
        self.requests: list[Request] = []
        self.port = 0
        self._address = address
        self._tls = _server_context(client_certificates) if tls else None
        self._answers: dict[str, list[Answer]] = {}
        self._runner: web.AppRunner | None = None

    def on(self, path: str, *answers: Answer) -> None:
        """Answer requests for `path` with each of `answers` in turn; the last one stays."""
        self._answers[path] = list(answers)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def asked(self, path: str) -> list[Request]:
        """The requests for one path, in order."""
        return [request for request in self.requests if request.path == path]

    async def __aenter__(self) -> FaultyServer:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        listener = socket.create_server((self._address, 0))
        self.port = listener.getsockname()[1]
        await web.SockSite(self._runner, listener, ssl_context=self._tls).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Request(request.method, request.raw_path, request.host, headers))
        answers = self._answers.get(request.raw_path) or self._answers.get(request.path)
        if not answers:
            return web.Response(status=404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return await answer(request)


@contextmanager
def running(
    prepare: Callable[[FaultyServer], None], *, tls: bool = False
) -> Iterator[FaultyServer]:
    """A FaultyServer in a thread of its own; `prepare` gives it its answers."""
    server = FaultyServer(tls=tls)
    prepare(server)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        try:
            async with server:
                ready.set()
                await stop.wait()
        finally:
            ready.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def closed_port() -> int:
    """A port on loopback that was free a moment ago and that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def body(
    data: bytes,
    *,
    content_type: str = "application/octet-stream",
    headers: dict[str, str] | None = None,
    conditional: bool = False,
) -> Answer:
    """An honest answer. `conditional`: with an ETag, and 304 for whoever has it already."""
    etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'

    async def answer(request: web.Request) -> web.StreamResponse:
        sent = {"Content-Type": content_type, **(headers or {})}
        if conditional:
            sent["ETag"] = etag
            if request.headers.get("If-None-Match") == etag:
                return web.Response(status=304, headers=sent)
        return web.Response(body=data, headers=sent)

    return answer


def status(
    code: int, *, retry_after: str | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """A bare status."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=code,
            headers={**(headers or {}), **({"Retry-After": retry_after} if retry_after else {})},
        )

    return answer


def truncated(data: bytes, content_type: str = "application/octet-stream") -> Answer:
    """Promises all of `data`, sends half, hangs up."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Length": str(len(data)), "Content-Type": content_type}
        )
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        _hang_up(request)
        return response

    return answer


def broken_chunks(data: bytes) -> Answer:
    """Sends `data` in chunked encoding and hangs up before the last chunk."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(data)
        _hang_up(request)
        return response

    return answer


def corrupted(data: bytes) -> Answer:
    """The right length with one wrong byte in the middle."""
    middle = len(data) // 2
    return body(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])


def late(gate: asyncio.Event, then: Answer) -> Answer:
    """Says nothing until `gate` is set."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return await then(request)

    return answer


def dripping(size: int, pause: float) -> Answer:
    """One byte every `pause` seconds, `size` in all: never silent, never done."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(size)})
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(size):
                await response.write(b"x")
                await asyncio.sleep(pause)
        return response

    return answer


def huge(size: int, *, declared: bool = False) -> Answer:
    """`size` zeros, streamed; with a Content-Length only when `declared`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(size)} if declared else None)
        await response.prepare(request)
        block = bytes(64 * 1024)
        with suppress(ConnectionError):
            for start in range(0, size, len(block)):
                await response.write(block[: size - start])
        return response

    return answer


def gzip_bomb(size: int) -> Answer:
    """A small gzip body that unpacks to `size` zeros."""
    return body(gzip.compress(bytes(size), 9), headers={"Content-Encoding": "gzip"})


def redirect(location: str, code: int = 302) -> Answer:
    """To `location`: a path or a whole URL. To its own path it is a loop."""
    return status(code, headers={"Location": location})


def hang_up() -> Answer:
    """Closes the connection instead of answering."""

    async def answer(request: web.Request) -> web.StreamResponse:
        _hang_up(request)
        return web.Response()

    return answer


def not_http() -> Answer:
    """Answers in another language."""
    return verbatim(b"220 mail.example.org ESMTP\r\n\r\n")


def verbatim(sent: bytes) -> Answer:
    """Answers with these bytes, and hangs up."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(sent)
        _hang_up(request)
        return web.Response()

    return answer


def _hang_up(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.close()


def _server_context(client_certificates: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    if client_certificates:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTIFICATE)
    return context
