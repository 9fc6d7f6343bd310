"""A plain HTTP server over a published tree, with the content types that clients ask for. Records
what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

JSON = "application/vnd.pypi.simple.v1+json"


class IndexServer(ThreadingHTTPServer):
    """Serves `root`: folders as `index.json` when `json` is set and the client takes it, else as
    `index.html`.
    """

    daemon_threads = True

    def __init__(self, root: Path, *, json: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.json = json
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: IndexServer

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests read `asked` instead."""

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(path)
        target, media_type = self._found(path)
        found = target.is_file() and target.resolve().is_relative_to(self.server.root.resolve())
        content = target.read_bytes() if found else b"not found"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", media_type if found else "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _found(self, path: str) -> tuple[Path, str]:
        target = self.server.root / path.lstrip("/")
        if not path.endswith("/"):
            return target, "application/octet-stream"
        if self.server.json and JSON in self.headers.get("Accept", ""):
            return target / "index.json", JSON
        return target / "index.html", "text/html"


@contextmanager
def serving(root: Path, *, json: bool = True) -> Iterator[IndexServer]:
    """A server on a free port of the loopback, until the block ends."""
    with IndexServer(root, json=json) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
