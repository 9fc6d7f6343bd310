"""SIGTERM ends a command as SIGINT does: in peace, with a word, and nothing lost.

Container runtimes, `systemd` and CI send it; by default it ends a process on the spot.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")

TERMINATED = 143  # what a shell reports of a process that SIGTERM ended
INTERRUPTED = 130

_cancellations: list[Callable[[], object]] = []  # of running loops; signals are the process's


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of `work`, run in a loop of its own; SIGTERM lets it clean up.

    Raises KeyboardInterrupt once it has ended so. `asyncio.run` alone cancels its task on SIGINT,
    but only where the process does not ignore that one.
    """
    import asyncio

    cancelled = False

    async def run() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            nonlocal cancelled
            cancelled = True
            loop.call_soon_threadsafe(task.cancel)

        _cancellations.append(cancel)
        try:
            return await work
        finally:
            _cancellations.remove(cancel)

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if not cancelled:
            raise
        raise KeyboardInterrupt from None


class Termination:
    """Tells which of the two signals has ended a command."""

    def __init__(self) -> None:
        self.asked = False

    @property
    def code(self) -> int:
        """Return the exit code of an interrupted command."""
        return TERMINATED if self.asked else INTERRUPTED

    @property
    def word(self) -> str:
        return "terminated" if self.asked else "interrupted"

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle SIGTERM for the length of a block, unless the process is told to ignore it."""
        before = signal.getsignal(signal.SIGTERM)
        main = threading.current_thread() is threading.main_thread()
        if not main or before is not signal.SIG_DFL:
            yield
            return
        signal.signal(signal.SIGTERM, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Do what SIGINT would; a shell may have had that ignored in the background."""
        self.asked = True
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(signal.SIGINT, frame)
        elif _cancellations:
            _cancellations[-1]()
        else:
            raise KeyboardInterrupt
