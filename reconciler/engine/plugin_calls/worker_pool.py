"""Plugins in a server: their calls run in threads of their own, each repository has a few at a
time, and none is waited for without end.

A thread cannot be ended from outside. A call that takes too long is left behind: whoever asked is
told whose fault it is, what the call might still bring is dropped, and its thread neither keeps
other requests from going on nor the process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any, TypeVar

from reconciler.errors import PluginFault, Temporary

T = TypeVar("T")

AT_ONCE = 8  # uploads that one repository takes at a time; the others wait
LEFT_BEHIND = (
    32  # calls of one repository's plugins that never came back; then it takes nothing more
)


class WorkerSlot:
    """The threads of one upload. A plugin may work for `seconds` without asking the core for
    anything; the core may take its time.
    """

    def __init__(self, seconds: float, left: list[threading.Event]) -> None:
        self._seconds = seconds
        self._left = left
        self._lock = threading.Lock()
        self._numbers = count()
        self._running: dict[int, tuple[str, float]] = {}
        self._given_up: dict[int, str] = {}

    @contextmanager
    def watch(self, what: str) -> Iterator[Callable[[], None]]:
        """Implements `reconciler.engine.plugin_calls.conduits.Watch`. Raises PluginFault in a call
        that was left behind, so that it changes nothing any more.
        """
        number = next(self._numbers)

        def alive() -> None:
            with self._lock:
                self._check(number)
                self._running[number] = (what, monotonic())

        alive()
        try:
            yield alive
        finally:
            with self._lock:
                self._running.pop(number, None)
        self._check(number)

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Like `asyncio.to_thread`. Raises Temporary, naming the call, where a plugin within took
        too long.
        """
        ended = threading.Event()
        running = asyncio.wrap_future(_started(function, arguments, ended))
        try:
            while not running.done():
                await asyncio.wait([running], timeout=self._seconds / 4)
                if not running.done() and (what := self._late()):
                    self._left.append(ended)
                    raise Temporary(
                        f"{what} did nothing that the core could see for more than"
                        f" {self._seconds:g} s: it was given up",
                        hint="nothing of it is kept; tell the plugin's authors",
                    )
        finally:
            running.cancel()  # what comes later is for nobody
        return running.result()

    def _late(self) -> str:
        """The call that is to be left behind, and with it whatever runs now; empty where there is
        none.
        """
        with self._lock:
            limit = monotonic() - self._seconds
            late = next((what for what, alive in self._running.values() if alive < limit), "")
            if late:
                self._given_up.update((number, what) for number, (what, _) in self._running.items())
                self._running.clear()
            return late

    def _check(self, number: int) -> None:
        if number in self._given_up:
            raise PluginFault(f"{self._given_up[number]} was given up")


@dataclass(slots=True)
class Bulkhead:
    """Who waits for one repository, and whose calls never came back."""

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    left: list[threading.Event] = field(default_factory=list)


class WorkerPool:
    """Shifts, by repository: what one's plugins hold up is nothing to the others. Belongs to one
    event loop.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lines: dict[str, Bulkhead] = {}

    @asynccontextmanager
    async def shift(self, repository: str) -> AsyncIterator[WorkerSlot]:
        """Wait for a place, and keep it. Raises Temporary where there is none for as long as a
        plugin may take.
        """
        line = self._lines.setdefault(repository, Bulkhead())
        try:
            async with asyncio.timeout(self._seconds):
                await line.free.acquire()
        except TimeoutError:
            raise Temporary(
                f"repository `{repository}` takes {AT_ONCE} uploads at once, and none was done in"
                f" {self._seconds:g} s"
            ) from None
        try:
            line.left[:] = [one for one in line.left if not one.is_set()]
            if len(line.left) >= LEFT_BEHIND:
                raise Temporary(
                    f"repository `{repository}` takes nothing now: its plugins have not come back"
                    f" from {len(line.left)} uploads",
                    hint="tell their authors; the server has to be restarted",
                )
            yield WorkerSlot(self._seconds, line.left)
        finally:
            line.free.release()


def _started(
    function: Callable[..., T], arguments: tuple[Any, ...], ended: threading.Event
) -> Future[T]:
    """In a thread for which nobody waits when the process ends."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    context = copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(function, *arguments))
        except BaseException as error:  # whoever waits raises it
            future.set_exception(error)
        finally:
            ended.set()

    threading.Thread(target=run, name="upload", daemon=True).start()
    return future
