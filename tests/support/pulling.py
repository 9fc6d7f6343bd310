"""A publication that pulls through, behind an ASGI client, and the index that it asks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from reconciler.plugin.registry import Registry
from reconciler.serve_adapter import assembled
from tests.support.asgi import AsgiResponse, Client, live
from tests.support.mirror import Mirror, publication, remote, resource
from tests.support.wheels import Built


class Upstream(ThreadingHTTPServer):
    """An index by path. `asked`: paths of requests, in their order; `fails`: a status for all."""

    def __init__(self, *files: Built) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[str] = []
        self.unchanged = 0
        self.fails = 0
        for file in files:
            self.add(file)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple/"

    def add(self, file: Built, content: bytes = b"") -> None:
        """Offer a file on the page of its project; `content`: what its URL leads to instead."""
        page = f"/simple/{file.filename.split('-')[0].replace('_', '-')}/"
        anchor = f'<a href="../../files/{file.filename}#sha256={file.sha256}">{file.filename}</a>'
        self.bodies[page] = self.bodies.get(page, b"<!DOCTYPE html>") + anchor.encode()
        self.bodies[f"/files/{file.filename}"] = content or file.content


class _Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        index, path = self.server, self.path
        index.asked.append(path)
        if path in index.redirects:
            self._answer(302, b"", location=index.redirects[path])
            return
        body = index.bodies.get(path)
        tag = f'"{hash(body) % 10**9}"'
        if index.fails or body is None:
            self._answer(index.fails or 404, b"")
        elif self.headers["If-None-Match"] == tag:
            index.unchanged += 1
            self._answer(304, b"")
        else:
            self._answer(200, body, etag=tag, content_type="text/html")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class PullingSite:
    """`/team/`, which pulls through from `index`; `now` is the time of its server."""

    def __init__(
        self,
        folder: Path,
        index: str,
        *,
        keys: str = "",
        sources: str = "",
        more: str = "",
    ) -> None:
        self.now = datetime.now(UTC)
        self.documents = [
            remote(index),
            resource("Repository", "team", f"type: python\n{sources}"),
            publication(more=f"pullThrough: {{remote: up{keys and ', '}{keys}}}\n{more}"),
        ]
        self.mirror = Mirror(folder, *self.documents)
        self.mirror.applied()
        self.loop = asyncio.Runner()
        self.start()

    def start(self) -> None:
        self.application = assembled(self.mirror.home, Registry(), clock=lambda: self.now)
        self.client = Client(self.application)

    def restart(self) -> None:
        """Stop the server, which commits what it fetched, and start another."""
        self.stop()
        self.start()

    def stop(self) -> None:
        self.loop.run(live(self.application, "lifespan.startup", "lifespan.shutdown"))

    def apply(self, *documents: str) -> None:
        self.mirror.declare(*documents)
        self.mirror.applied()

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    def get(self, path: str, **more: Any) -> AsgiResponse:
        return self.loop.run(self.client.get(f"/team/{path}", **more))

    def many(self, path: str, number: int) -> list[AsgiResponse]:
        """Responses to as many requests at once."""

        async def ask() -> list[AsgiResponse]:
            requests = (self.client.get(f"/team/{path}") for _ in range(number))
            return list(await asyncio.gather(*requests))

        return self.loop.run(ask())

    def links(self, project: str) -> Mapping[str, str]:
        """Paths of the files on a page, by filename."""
        answer = self.get(f"simple/{project}/")
        assert answer.status == 200, answer.text
        paths = re.findall(r'href="\.\./\.\./(files/[^"#]+)#', answer.text)
        return {path.rpartition("/")[2]: path for path in paths}

    def close(self) -> None:
        self.stop()
        self.loop.close()


@contextmanager
def upstream(*files: Built) -> Iterator[Upstream]:
    """An index that offers files, while the block lasts."""
    with Upstream(*files) as index:
        thread = Thread(target=index.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield index
        finally:
            index.shutdown()
            thread.join()


@contextmanager
def pulling(folder: Path, index: str, **more: str) -> Iterator[PullingSite]:
    site = PullingSite(folder, index, **more)
    try:
        yield site
    finally:
        site.close()
