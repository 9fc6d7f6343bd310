"""Worker pool of a server: plugin calls with a few slots per repository and a time limit.

The limits are those of a `Bulkhead`. A slot adds the time limit: it counts from the last time that
a plugin called into the core. A call that takes longer is abandoned, its caller gets a Temporary
error that names it, and whatever the call still does fails at its next step.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from time import monotonic
from typing import Any, TypeVar

from reconciler.errors import PluginFault, Temporary
from reconciler.threads import Bulkhead, BulkheadClosed, BulkheadFull, Slot

T = TypeVar("T")

CONCURRENCY = 8  # uploads that one repository takes at a time; the others wait
MAX_ABANDONED = 32  # uploads of one repository whose plugins still run; then it takes nothing more


class WorkerSlot:
    """Worker thread for one upload.

    Plugin code is limited to `seconds` between calls into the core; core time is not counted.
    """

    def __init__(self, seconds: float, slot: Slot) -> None:
        self._seconds = seconds
        self._slot = slot
        self._lock = threading.Lock()
        self._numbers = count()
        self._running: dict[int, tuple[str, float]] = {}
        self._given_up: dict[int, str] = {}

    @contextmanager
    def watch(self, what: str) -> Iterator[Callable[[], None]]:
        """Watch a plugin call; implements `reconciler.engine.plugin_calls.conduits.Watch`.

        Raises PluginFault in an abandoned call, so that it changes nothing any more.
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
        """Run like `asyncio.to_thread`. Raises Temporary for a plugin that takes too long."""
        running = self._slot.call(function, *arguments)
        try:
            while not running.done():
                await asyncio.wait([running], timeout=self._seconds / 4)
                if not running.done() and (what := self._late()):
                    raise Temporary(
                        f"{what} did nothing that the core could see for more than"
                        f" {self._seconds:g} s: it was given up",
                        hint="nothing of it is kept; tell the plugin's authors",
                    )
        finally:
            running.cancel()  # a result that comes later has no reader
        return running.result()

    def _late(self) -> str:
        """Return the call to abandon, with the plugin code that runs now; empty if none."""
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


class WorkerPool:
    """Worker slots by repository: plugins that hang in one do not hold up the others.

    Belongs to one event loop.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._bulkhead = Bulkhead(
            concurrency=CONCURRENCY, max_abandoned=MAX_ABANDONED, name="upload"
        )

    @asynccontextmanager
    async def slot(self, repository: str) -> AsyncIterator[WorkerSlot]:
        """Hold a slot for the length of a block.

        Raises Temporary where none becomes free for as long as a plugin may take, or too many calls
        were abandoned.
        """
        try:
            async with self._bulkhead.slot(repository, seconds=self._seconds) as slot:
                yield WorkerSlot(self._seconds, slot)
        except BulkheadFull:
            raise Temporary(
                f"repository `{repository}` takes {CONCURRENCY} uploads at once, and none was done"
                f" in {self._seconds:g} s"
            ) from None
        except BulkheadClosed as closed:
            raise Temporary(
                f"repository `{repository}` takes nothing now: its plugins have not come back"
                f" from {closed.abandoned} uploads",
                hint="tell their authors; the server has to be restarted",
            ) from None
