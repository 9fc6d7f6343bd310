"""A publication `/team/` in memory and on disk, and an application that serves it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from reconciler.database.records import ServedPublication
from reconciler.serve import Application, Catalogue
from tests.support.asgi import AsgiResponse, Client
from tests.support.published import Published

JSON = "application/vnd.pypi.simple.v1+json"
V1_HTML = "application/vnd.pypi.simple.v1+html"
HTML_PAGE = b"<!DOCTYPE html><title>alpha</title>" * 20
JSON_PAGE = b'{"name": "alpha"}' * 20
SMALL = bytes(range(256)) * 4
LARGE = bytes(range(251)) * 3000
FILE = "/team/files/alpha-1.whl"
BIG = "/team/files/alpha-2.whl"
PAGE = "/team/simple/alpha/"


Body = Callable[[Client, Published], Awaitable[None]]


def team(folder: Path) -> Published:
    published = Published(folder=folder)
    fill(published, published.mount("team"))
    return published


def fill(published: Published, served: ServedPublication) -> None:
    published.page(served, "simple/alpha/", HTML_PAGE, aliases=(V1_HTML,))
    published.page(served, "simple/alpha/", JSON_PAGE, JSON)
    published.file(served, "files/alpha-1.whl", SMALL)
    published.file(served, "files/alpha-2.whl", LARGE)


def application(
    published: Published, *, trusted: tuple[str, ...] = (), **more: float
) -> Application:
    catalogue = Catalogue(published, published, check_every=more.get("check_every", 0))
    return Application(catalogue, trusted_proxies=trusted)


def ask(
    published: Published,
    path: str,
    *headers: tuple[str, str],
    method: str = "GET",
    query: str = "",
    pathsend: bool = False,
) -> AsgiResponse:
    async def once() -> AsgiResponse:
        return await Client(application(published), pathsend).get(
            path, method=method, query=query, headers=headers
        )

    return asyncio.run(once())
