"""An index that answers 406 to an `Accept` of several types is asked once more for HTML alone.

Kind of fault: taking a refusal of the question for a refusal of the content.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from aiohttp import web

from reconciler.errors import NotAcceptable
from reconciler.remote import Fetcher, PageCache, PageReader
from tests.support.exchange import meet
from tests.support.faulty import Answer, FaultyServer

ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.01"
HTML = "text/html"
JSON_ALONE = "application/vnd.pypi.integrity.v1+json, application/json;q=0.9"

T = TypeVar("T")


def only(media_type: str) -> Answer:
    """A page, or 406 to every other `Accept` than exactly this one."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers["Accept"] != media_type:
            return web.Response(status=406)
        return web.Response(body=b"<a>", content_type=HTML, headers={"ETag": '"1"'})

    return answer


def talked(
    folder: Path,
    media_type: str,
    talk: Callable[[PageReader, FaultyServer], Awaitable[T]],
) -> tuple[T, list[str]]:
    """The result of `talk`, and the types that were asked for in turn."""

    async def started(upstream: FaultyServer, fetcher: Fetcher) -> tuple[T, list[str]]:
        for path in ("/a", "/b"):
            upstream.on(path, only(media_type))
        cache = PageCache(folder).for_remote("one")
        result = await talk(PageReader(fetcher, cache), upstream)
        return result, [request.headers["accept"] for request in upstream.requests]

    return meet(started)


async def both(reader: PageReader, server: FaultyServer) -> list[bytes]:
    return [(await reader.get(server.url(path), accept=ACCEPT)).body for path in ("/a", "/b")]


def test_it_is_asked_once_more_and_that_is_remembered(tmp_path: Path) -> None:
    assert talked(tmp_path, HTML, both) == ([b"<a>", b"<a>"], [ACCEPT, HTML, HTML])
    _, asked = talked(tmp_path, HTML, both)
    assert asked == [HTML, HTML], "in the next run as well"


def test_another_remote_is_asked_as_ever(tmp_path: Path) -> None:
    talked(tmp_path, HTML, both)

    async def started(upstream: FaultyServer, fetcher: Fetcher) -> list[str]:
        upstream.on("/a", only(ACCEPT))
        reader = PageReader(fetcher, PageCache(tmp_path).for_remote("two"))
        await reader.get(upstream.url("/a"), accept=ACCEPT)
        return [request.headers["accept"] for request in upstream.requests]

    assert meet(started) == [ACCEPT]


@pytest.mark.parametrize(("accept", "times"), [(ACCEPT, 2), (JSON_ALONE, 1), (HTML, 1)])
def test_a_refusal_of_html_too_is_final_and_not_remembered(
    tmp_path: Path, accept: str, times: int
) -> None:
    async def refused(reader: PageReader, server: FaultyServer) -> None:
        with pytest.raises(NotAcceptable, match="406"):
            await reader.get(server.url("/a"), accept=accept)

    _, asked = talked(tmp_path, "nothing", refused)
    assert len(asked) == times
    _, asked = talked(tmp_path, ACCEPT, both)
    assert asked == [ACCEPT, ACCEPT]


def test_what_came_as_html_alone_is_confirmed_and_shown_offline(tmp_path: Path) -> None:
    async def twice(reader: PageReader, server: FaultyServer) -> bytes:
        url = server.url("/a")
        await reader.get(url, accept=ACCEPT)
        await reader.get(url, accept=ACCEPT)
        assert "if-none-match" in server.requests[-1].headers
        offline = PageReader(None, PageCache(tmp_path).for_remote("one"), offline=True)
        return (await offline.get(url, accept=ACCEPT)).body

    assert talked(tmp_path, HTML, twice)[0] == b"<a>"
