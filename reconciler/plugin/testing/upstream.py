"""An upstream of the test's own: pages by path, served on loopback, with entity tags, and with
failures on demand.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class Upstream:
    """Pages by path, without a slash at the beginning. What is changed is served changed from then
    on.

    `media_types`: by path, for formats that look at them. `url`: where somebody else serves the
    same; then `served` is not needed.
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
        self._asked: set[str] = set()
        self._url = url

    @property
    def url(self) -> str:
        """Where it is served, with a slash at the end; empty while it is not."""
        return self._url

    @property
    def pages(self) -> Mapping[str, bytes]:
        """Everything that there is now, as a copy."""
        return dict(self._pages)

    def put(self, path: str, body: bytes) -> None:
        """There is a page, or another one, under `path`."""
        self._pages[path] = body

    def remove(self, path: str) -> None:
        """There is nothing under `path` any more: 404."""
        del self._pages[path]

    @contextmanager
    def broken(self, path: str, body: bytes | None = None, *, status: int = 500) -> Iterator[None]:
        """Within the block `path` answers with `status`, or with `body` and status 200."""
        self._broken[path] = (status, b"broken on purpose\n") if body is None else (200, body)
        try:
            yield
        finally:
            del self._broken[path]

    @contextmanager
    def watched(self) -> Iterator[set[str]]:
        """Within the block, the paths that are asked for come together in the set."""
        self._asked = set()
        yield self._asked

    @contextmanager
    def served(self) -> Iterator[None]:
        """Serve on loopback within the block."""
        server = _Server(("127.0.0.1", 0), _handler(self))
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
        """(status, body, media type) for a request."""
        self._asked.add(path)
        media_type = self._media_types.get(path, "application/octet-stream")
        if path in self._broken:
            status, body = self._broken[path]
            return status, body, media_type if status == 200 else "text/plain"
        if path not in self._pages:
            return 404, b"not here\n", "text/plain"
        return 200, self._pages[path], media_type


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client went away in the middle: tests read assertions, not tracebacks of this."""


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

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
            """Tests read assertions, not access logs."""

    return Handler
