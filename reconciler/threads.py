"""Worker threads: for calls that must not be interrupted, and for foreign code that may hang.

A thread cannot be ended from outside. Foreign code runs behind a `Bulkhead`: a few calls at a time,
each in a daemon thread. A call that its caller no longer waits for is abandoned; abandoned calls
are counted until they end, and too many of them close the bulkhead.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Call in a worker thread and return its result. When cancelled, wait until the call has ended:
    only then may its file be closed.
    """
    running = asyncio.get_running_loop().run_in_executor(None, function, *arguments)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        running.exception()  # retrieved: asyncio must not report it, the cancellation counts
        raise


class BulkheadFull(Exception):
    """No slot became free in time."""


class BulkheadClosed(Exception):
    """Too many calls were abandoned and have not ended yet: their number is `abandoned`."""

    def __init__(self, abandoned: int) -> None:
        super().__init__(f"{abandoned} abandoned calls have not ended")
        self.abandoned = abandoned


class Bulkhead:
    """Limit on calls into foreign code, for each key (a repository, a publisher) by itself.

    concurrency: slots of one key; further callers wait for one.
    max_abandoned: calls of one key that may be left running; from then on it takes no more, until
        some of them end.
    name: of the threads. Belongs to one event loop.
    """

    def __init__(self, *, concurrency: int, max_abandoned: int, name: str) -> None:
        self._max_abandoned = max_abandoned
        self._name = name
        self._free: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(concurrency)
        )
        self._abandoned: defaultdict[str, list[Future[Any]]] = defaultdict(list)

    @asynccontextmanager
    async def slot(self, key: str, *, seconds: float) -> AsyncIterator[Slot]:
        """Hold a slot of `key` for the length of a block.

        Calls that have not ended when the block is left are abandoned. Raises BulkheadFull when no
        slot becomes free within `seconds`, and BulkheadClosed.
        """
        self._check(key)
        free = self._free[key]
        try:
            async with asyncio.timeout(seconds):
                await free.acquire()
        except TimeoutError:
            raise BulkheadFull from None
        slot = Slot(self._name)
        try:
            self._check(key)
            yield slot
        finally:
            self._abandoned[key] += slot.running()
            free.release()

    def _check(self, key: str) -> None:
        calls = self._abandoned[key]
        calls[:] = [call for call in calls if not call.done()]
        if len(calls) >= self._max_abandoned:
            raise BulkheadClosed(len(calls))


class Slot:
    """One place in a bulkhead, from which calls are made."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: list[Future[Any]] = []

    def call(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Start a call in a new daemon thread. Cancelling the future does not end the call."""
        call = _started(function, arguments, self._name)
        self._calls = [*self.running(), call]
        return asyncio.wrap_future(call)

    def running(self) -> list[Future[Any]]:
        """Return the calls that have not ended."""
        return [call for call in self._calls if not call.done()]


def _started(function: Callable[..., T], arguments: tuple[Any, ...], name: str) -> Future[T]:
    """Call in a daemon thread, which does not keep the process from ending."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from here on `cancel` has no effect on it
    context = copy_context()

    def run() -> None:
        try:
            result = context.run(function, *arguments)
        except BaseException as error:  # raised again where the future is awaited
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
