"""Limits on requests: how many are in flight, and how many begin in a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from reconciler.remote.fetcher import Fetcher, Response, StreamedResponse, Trust


class ConcurrencyLimiter:
    """Fetcher with at most `concurrency` requests in flight; a stream counts until it is left."""

    def __init__(self, fetcher: Fetcher, concurrency: int) -> None:
        self._fetcher = fetcher
        self._slots = asyncio.Semaphore(concurrency)

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """Wait for a free slot, then return a body."""
        async with self._slots:
            return await self._fetcher.get(url, headers=headers, limit=limit)

    def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trust: Trust = Trust.ORIGIN,
    ) -> _Slot:
        """Wait for a free slot, then open a body."""
        return _Slot(self._slots, self._fetcher.stream(url, headers, trust=trust))

    async def close(self) -> None:
        """Close the fetcher."""
        await self._fetcher.close()


class _Slot:
    __slots__ = ("_opening", "_slots")

    def __init__(
        self, slots: asyncio.Semaphore, opening: AbstractAsyncContextManager[StreamedResponse]
    ) -> None:
        self._slots = slots
        self._opening = opening

    async def __aenter__(self) -> StreamedResponse:
        await self._slots.acquire()
        try:
            return await self._opening.__aenter__()
        except BaseException:
            self._slots.release()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._opening.__aexit__(kind, error, trace)
        finally:
            self._slots.release()


class Turns:
    """Turns of requests: at most `rate` in a second, evenly spread."""

    def __init__(
        self,
        rate: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = 1.0 / rate
        self._sleep = sleep
        self._clock = clock
        self._next = 0.0

    async def wait(self) -> None:
        """Wait for the next turn."""
        now = self._clock()
        mine = max(now, self._next)
        self._next = mine + self._interval
        if mine > now:
            await self._sleep(mine - now)


class RateLimiter:
    """Fetcher that begins at most `rate` requests in a second, evenly spread."""

    def __init__(
        self,
        fetcher: Fetcher,
        rate: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetcher = fetcher
        self._turn = Turns(rate, sleep, clock=clock).wait

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """Wait for its turn, then return a body."""
        await self._turn()
        return await self._fetcher.get(url, headers=headers, limit=limit)

    def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trust: Trust = Trust.ORIGIN,
    ) -> _Turn:
        """Wait for its turn, then open a body."""
        return _Turn(self._turn, self._fetcher.stream(url, headers, trust=trust))

    async def close(self) -> None:
        """Close the fetcher."""
        await self._fetcher.close()


class _Turn:
    __slots__ = ("_opening", "_turn")

    def __init__(
        self,
        turn: Callable[[], Awaitable[None]],
        opening: AbstractAsyncContextManager[StreamedResponse],
    ) -> None:
        self._turn = turn
        self._opening = opening

    async def __aenter__(self) -> StreamedResponse:
        await self._turn()
        return await self._opening.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._opening.__aexit__(kind, error, trace)
