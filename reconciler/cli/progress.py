"""Progress on stderr: bars on a terminal (units, bytes, rate, time left), plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.cli import output
from reconciler.engine import Progress, ProgressTask
from reconciler.model import size_text

EVERY = 5.0  # seconds between two plain lines of one task; shorter tasks print none


@contextmanager
def shown() -> Iterator[Progress]:
    """Show progress for the length of a block."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    from reconciler.cli.progress_bars import Bars

    with Bars() as bars:
        yield bars


class PlainProgress:
    def task(self, title: str, noun: str) -> ProgressTask:
        return PlainTask(title, noun)


class PlainTask:
    """Prints a line now and then, and a last one if there was any."""

    def __init__(self, title: str, noun: str) -> None:
        self._title = title
        self._noun = noun
        self._units = self._expected = self._size = self._expected_size = 0
        self._began = self._printed = time.monotonic()

    def expect(self, units: int, size: int) -> None:
        self._expected += units
        self._expected_size += size

    def advance(self, units: int = 0, size: int = 0) -> None:
        self._units += units
        self._size += size
        if time.monotonic() - self._printed >= EVERY:
            self._print()

    def done(self) -> None:
        if self._printed > self._began:
            self._print()

    def _print(self) -> None:
        self._printed = time.monotonic()
        seconds = max(self._printed - self._began, 0.001)
        text = f"{self._title}: {self._units} "
        text += f"of {self._expected} {self._noun}" if self._expected else self._noun
        if self._expected_size or self._size:
            text += (
                f", {size_text(self._size)} of {size_text(max(self._size, self._expected_size))},"
                f" {size_text(int(self._size / seconds))}/s"
            )
        output.note(text)
