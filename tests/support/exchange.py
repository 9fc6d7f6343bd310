"""One exchange between a faulty server and a fetcher whose own host it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from reconciler.model import Remote
from reconciler.remote import Fetcher, Response, Trust, open_fetcher
from tests.support.faulty import Answer, FaultyServer
from tests.support.remotes import remote

T = TypeVar("T")
LIMIT = 1_000_000


def meet(
    talk: Callable[[FaultyServer, Fetcher], Awaitable[T]],
    settings: Remote | None = None,
    server: FaultyServer | None = None,
) -> T:
    """Run `talk` between a server and a fetcher whose own host it is."""

    async def main() -> T:
        async with server or FaultyServer() as upstream:
            fetcher = open_fetcher(settings or remote(retries=0), upstream.url("/"))
            try:
                return await talk(upstream, fetcher)
            finally:
                await fetcher.close()

    return asyncio.run(main())


def get(
    answer: Answer,
    settings: Remote | None = None,
    *,
    limit: int = LIMIT,
    server: FaultyServer | None = None,
) -> Response:
    """GET /x, answered by `answer`."""

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> Response:
        upstream.on("/x", answer)
        return await fetcher.get(upstream.url("/x"), headers={}, limit=limit)

    return meet(talk, settings, server)


async def drain(fetcher: Fetcher, url: str, trust: Trust = Trust.DIGEST) -> bytes:
    """The streamed body of a URL; of a file with a declared digest unless `trust` is another."""
    async with fetcher.stream(url, trust=trust) as stream:
        return b"".join([piece async for piece in stream.chunks()])


def stream(answer: Answer, settings: Remote | None = None) -> bytes:
    """The streamed body of /x, answered by `answer`."""

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> bytes:
        upstream.on("/x", answer)
        return await drain(fetcher, upstream.url("/x"))

    return meet(talk, settings)
