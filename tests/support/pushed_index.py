"""An index on loopback that takes files by the legacy form.

As the reference index does: the same file again is fine, another one of its name is refused, and
pages list at once what has arrived.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from reconciler.model import Digest
from tests.support.faulty import FaultyServer, Request, running
from tests.support.upstream import JSON
from tests.support.wheels import Built

LEGACY = "/legacy/"
Form = list[tuple[str, str]]


class PushedIndex:
    """The index.

    `answers`: given to the next uploads in the place of its own; a number stands for a status, and
    a negative one for a file that arrives all the same before that status.
    """

    def __init__(self, server: FaultyServer) -> None:
        self._server = server
        self.files: dict[str, bytes] = {}
        self.forms: list[Form] = []
        self.logins: list[str] = []
        self.answers: list[int] = []
        self.algorithm = "sha256"
        server.on(LEGACY, self._take)

    @property
    def url(self) -> str:
        return self._server.url(LEGACY)

    @property
    def server(self) -> FaultyServer:
        return self._server

    def posts(self) -> list[Request]:
        return [request for request in self._server.requests if request.method == "POST"]

    def looks(self) -> list[tuple[str, bool]]:
        """Return the pages that were asked for, and if on the condition that they changed."""
        return [
            (request.path, "if-none-match" in request.headers)
            for request in self._server.requests
            if request.method == "GET"
        ]

    def hold(self, *files: Built) -> None:
        """These files are there."""
        for built in files:
            self.files[built.filename] = built.content
            self._list(built.filename)

    def lose(self, filename: str) -> None:
        del self.files[filename]

    def _list(self, filename: str) -> None:
        project = filename.split("-")[0].replace("_", "-")
        self._server.on(f"/simple/{project}/", self._page(project))

    def _page(self, project: str):  # type: ignore[no-untyped-def]
        async def answer(request: web.Request) -> web.StreamResponse:
            mine = {
                name: body
                for name, body in sorted(self.files.items())
                if name.split("-")[0].replace("_", "-") == project
            }
            text = json.dumps(
                {
                    "meta": {"api-version": "1.0"},
                    "name": project,
                    "files": [
                        {"filename": name, "url": name, "hashes": self._hashes(body)}
                        for name, body in mine.items()
                    ],
                }
            )
            etag = f'"{hashlib.sha256(text.encode()).hexdigest()}"'
            if request.headers.get("If-None-Match") == etag:
                return web.Response(status=304, headers={"ETag": etag})
            return web.Response(text=text, content_type=JSON, headers={"ETag": etag})

        return answer

    def _hashes(self, body: bytes) -> dict[str, str]:
        return {self.algorithm: hashlib.new(self.algorithm, body).hexdigest()}

    async def _take(self, request: web.Request) -> web.StreamResponse:
        given = await request.post()
        self.logins.append(b64decode(request.headers["Authorization"].split()[-1]).decode())
        file = given["content"]
        assert isinstance(file, web.FileField)
        name, body = file.filename, file.file.read()
        self.forms.append([(key, value) for key, value in given.items() if isinstance(value, str)])
        assert given["sha256_digest"] == Digest.of(body).hex
        scripted = self.answers.pop(0) if self.answers else 200
        if scripted < 0:
            self.files[name] = body
            self._list(name)
        if scripted != 200:
            return web.Response(status=abs(scripted), text="scripted")
        if self.files.get(name, body) != body:
            return web.Response(status=400, text=f"File already exists ({name!r})")
        self.files[name] = body
        self._list(name)
        return web.Response(text="ok")


@contextmanager
def pushed_index() -> Iterator[PushedIndex]:
    made: list[PushedIndex] = []
    with running(lambda server: made.append(PushedIndex(server))):
        yield made[0]
