"""An index of any size, up to the largest: every page and file is made when it is asked for.

Says its URL on stdout and serves until it is ended:
`python -m tests.benchmarks.vast_index PROJECTS FILES`. One project in a hundred is called
`acme-...`. Projects gain a release each time `change` is called.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from urllib.request import Request, urlopen

import msgspec
from aiohttp import web

PROJECTS = 600_000
ACME = PROJECTS // 100
FILES = 2  # of each project: a release has one
META = {"api-version": "1.4"}
JSON = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, slots=True)
class VastIndex:
    """One that runs. `url`: of its list."""

    url: str

    def requests(self) -> range:
        """As many as were answered until now."""
        with urlopen(f"{self.url.removesuffix('simple/')}requests") as answer:
            return range(int(answer.read()))

    def change(self, projects: int) -> None:
        """Release something in this many projects, spread over the whole list."""
        url = f"{self.url.removesuffix('simple/')}change/{projects}"
        urlopen(Request(url, method="POST")).close()


@contextmanager
def vast_index(*, projects: int = PROJECTS, files: int = FILES) -> Iterator[VastIndex]:
    words = [sys.executable, "-m", __name__, str(projects), str(files)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield VastIndex(f"{process.stdout.readline().strip()}/simple/")
    finally:
        process.terminate()
        process.communicate()


def names(projects: int = PROJECTS) -> Iterator[str]:
    for number in range(projects):
        yield f"acme-{number // 100:06}" if number % 100 == 0 else f"project-{number:06}"


def content(filename: str) -> bytes:
    """What stands behind a filename: nobody opens it."""
    return filename.encode() * 10


class _Index:
    def __init__(self, projects: int, files: int) -> None:
        self._names = list(names(projects))
        self._serials = {name: 1_000 + number for number, name in enumerate(self._names)}
        self._files = dict.fromkeys(self._names, files)
        self._requests = 0
        self._make_list()

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/requests", self._count)
        application.router.add_post("/change/{projects}", self._change)
        application.router.add_get("/simple/", self._projects)
        application.router.add_get("/simple/{name}/", self._page)
        application.router.add_get("/files/{filename}", self._file)
        return application

    async def _count(self, request: web.Request) -> web.Response:
        return web.Response(text=str(self._requests))

    async def _change(self, request: web.Request) -> web.Response:
        changed = int(request.match_info["projects"])
        last = max(self._serials.values())
        for number, name in enumerate(self._names[:: len(self._names) // changed][:changed]):
            self._files[name] += 1
            self._serials[name] = last + 1 + number
        self._make_list()
        return web.Response()

    def _make_list(self) -> None:
        listed = [{"name": name, "_last-serial": serial} for name, serial in self._serials.items()]
        self._list = msgspec.json.encode({"meta": META, "projects": listed})
        self._list_etag = f'"{max(self._serials.values())}"'

    async def _projects(self, request: web.Request) -> web.Response:
        return self._answer(request, self._list, self._list_etag)

    async def _page(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._serials:
            return web.Response(status=404)
        stem = name.replace("-", "_")
        files = [
            _entry(f"{stem}-1.{number}-py3-none-any.whl") for number in range(self._files[name])
        ]
        body = msgspec.json.encode({"meta": META, "name": name, "files": files})
        serial = str(self._serials[name])
        return self._answer(request, body, f'"{name}-{serial}"', **{"X-PyPI-Last-Serial": serial})

    async def _file(self, request: web.Request) -> web.Response:
        self._requests += 1
        return web.Response(
            body=content(request.match_info["filename"]), content_type="application/octet-stream"
        )

    def _answer(self, request: web.Request, body: bytes, etag: str, **headers: str) -> web.Response:
        self._requests += 1
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag, **headers})
        return web.Response(body=body, headers={"Content-Type": JSON, "ETag": etag, **headers})


def _entry(filename: str) -> dict[str, object]:
    body = content(filename)
    return {
        "filename": filename,
        "url": f"../../files/{filename}",
        "hashes": {"sha256": sha256(body).hexdigest()},
        "size": len(body),
        "upload-time": "2026-01-02T03:04:05.000000Z",
    }


async def _serve(projects: int, files: int) -> None:
    runner = web.AppRunner(_Index(projects, files).application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:])))
