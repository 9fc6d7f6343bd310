"""SIGTERM ends a command as SIGINT does: in peace, with a word, and nothing lost.

Container runtimes, `systemd` and CI send it; by default it ends a process on the spot.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 143  # what a shell reports of a process that SIGTERM ended
INTERRUPTED = 130


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
        else:
            raise KeyboardInterrupt
