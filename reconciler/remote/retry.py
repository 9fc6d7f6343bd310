"""Trying again: exponential backoff with full jitter, and the fetcher that does it for temporary
failures.
"""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from reconciler.errors import Temporary
from reconciler.remote.fetcher import Fetcher, Response, Stream

Sleep = Callable[[float], Awaitable[None]]
Random = Callable[[], float]

FIRST_DELAY = 0.5  # seconds; doubled with every further try
LONGEST_DELAY = 30.0
LONGEST_OBEYED = 120.0  # a server may ask for more; nobody waits longer for it within a run


def delay(attempt: int, random: Random, retry_after: float | None = None) -> float:
    """Seconds before the try after number `attempt` (from 0): anything up to the backoff, and no
    less than the server asked for.
    """
    jittered = random() * min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(attempt, 30))
    return max(jittered, min(retry_after or 0.0, LONGEST_OBEYED))


class Retrying:
    """Tries `get`, and the opening of `stream`, up to `retries` times more. `random`: floats in [0,
    1).
    """

    def __init__(
        self,
        fetcher: Fetcher,
        retries: int,
        sleep: Sleep = asyncio.sleep,
        random: Random = _random.random,
    ) -> None:
        self._fetcher = fetcher
        self._retries = retries
        self._sleep = sleep
        self._random = random

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """As the port says; the last failure is raised."""
        attempt = 0
        while True:
            try:
                return await self._fetcher.get(url, headers=headers, limit=limit)
            except Temporary as error:
                await self._pause(attempt, error)
                attempt += 1

    def stream(self, url: str, headers: Mapping[str, str] | None = None) -> _Opening:
        """As the port says. A body that breaks off is its reader's to fetch again."""
        return _Opening(self, url, headers)

    async def close(self) -> None:
        await self._fetcher.close()

    async def _open(
        self, url: str, headers: Mapping[str, str] | None
    ) -> tuple[AbstractAsyncContextManager[Stream], Stream]:
        attempt = 0
        while True:
            opening = self._fetcher.stream(url, headers)
            try:
                return opening, await opening.__aenter__()
            except Temporary as error:
                await self._pause(attempt, error)
                attempt += 1

    async def _pause(self, attempt: int, error: Temporary) -> None:
        """Wait before the next try, or raise the error when there is none."""
        if attempt >= self._retries:
            raise error
        await self._sleep(delay(attempt, self._random, error.retry_after))


class _Opening:
    __slots__ = ("_headers", "_opened", "_retrying", "_url")

    def __init__(self, retrying: Retrying, url: str, headers: Mapping[str, str] | None) -> None:
        self._retrying = retrying
        self._url = url
        self._headers = headers
        self._opened: AbstractAsyncContextManager[Stream] | None = None

    async def __aenter__(self) -> Stream:
        self._opened, stream = await self._retrying._open(self._url, self._headers)
        return stream

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            await self._opened.__aexit__(kind, error, trace)
