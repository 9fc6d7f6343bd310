"""A test upstream: pages by path, served on loopback with entity tags, and failures on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class Upstream:
    """Pages by path, without a leading slash. Changes are served at once.

    `media_types`: by path, for formats that need them. `url`: of another server with these pages;
    `served` is not needed then.
    """

    def __init__(
        self,
        pages: Mapping[str, bytes],
        *,
        media_types: Mapping[str, str] | None = None,
        url: str = "",
    ) -> None:
        self._pages = dict(pages)
        self._media_types = dict(media_types or {})
        self._broken: dict[str, tuple[int, bytes]] = {}
        self._requested: set[str] = set()
        self._url = url

    @property
    def url(self) -> str:
        """Return the URL, with a slash at the end; an empty text while it is not served."""
        return self._url

    @property
    def pages(self) -> Mapping[str, bytes]:
        """Return a copy of the present pages."""
        return dict(self._pages)

    def put(self, path: str, body: bytes) -> None:
        """Add or replace the page at `path`."""
        self._pages[path] = body

    def remove(self, path: str) -> None:
        """Remove the page at `path`, which answers 404 from then on."""
        del self._pages[path]

    @contextmanager
    def broken(self, path: str, body: bytes | None = None, *, status: int = 500) -> Iterator[None]:
        """Answer `path` with `status`, or with `body` and status 200, within the block."""
        self._broken[path] = (status, b"broken on purpose\n") if body is None else (200, body)
        try:
            yield
        finally:
            del self._broken[path]

    @contextmanager
    def watched(self) -> Iterator[set[str]]:
        """Collect the paths that are requested within the block."""
        self._requested = set()
        yield self._requested

    @contextmanager
    def served(self) -> Iterator[None]:
        """Serve on loopback within the block."""
        server = QuietServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="upstream"
        )
        thread.start()
        self._url = f"http://127.0.0.1:{server.server_address[1]}/"
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            self._url = ""

    def answer(self, path: str) -> tuple[int, bytes, str]:
        """Return (status, body, media type) for a request."""
        self._requested.add(path)
        media_type = self._media_types.get(path, "application/octet-stream")
        if path in self._broken:
            status, body = self._broken[path]
            return status, body, media_type if status == 200 else "text/plain"
        if path not in self._pages:
            return 404, b"not here\n", "text/plain"
        return 200, self._pages[path], media_type


class QuietServer(ThreadingHTTPServer):
    """A server that says nothing of clients that leave."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print no traceback when a client disconnects."""


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body at once: two small packets wait for each other

        def do_GET(self) -> None:
            status, body, media_type = upstream.answer(
                unquote(urlsplit(self.path).path).removeprefix("/")
            )
            etag = f'"{sha256(body).hexdigest()[:16]}"'
            if status == 200 and self.headers.get("If-None-Match") == etag:
                status, body = 304, b""
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            if status in (200, 304):
                self.send_header("ETag", etag)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Print no access log."""

    return Handler
