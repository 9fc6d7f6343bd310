"""Progress on stderr: bars on a terminal (units, bytes, rate, time left), plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.cli import output
from reconciler.engine import Progress, ProgressTask
from reconciler.plan import size_text

EVERY = 5.0  # seconds between two plain lines of one task; what takes less is not worth any


@contextmanager
def shown() -> Iterator[Progress]:
    """Progress for the length of a block."""
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
    """Says how far it is now and then; what it came to in the end, if it said anything before."""

    def __init__(self, title: str, noun: str) -> None:
        self._title = title
        self._noun = noun
        self._units = self._expected = self._size = self._expected_size = 0
        self._began = self._said = time.monotonic()

    def expect(self, units: int, size: int) -> None:
        self._expected += units
        self._expected_size += size

    def advance(self, units: int = 0, size: int = 0) -> None:
        self._units += units
        self._size += size
        if time.monotonic() - self._said >= EVERY:
            self._say()

    def done(self) -> None:
        if self._said > self._began:
            self._say()

    def _say(self) -> None:
        self._said = time.monotonic()
        seconds = max(self._said - self._began, 0.001)
        words = f"{self._title}: {self._units} of {self._expected} {self._noun}"
        if self._expected_size or self._size:
            words += (
                f", {size_text(self._size)} of {size_text(max(self._size, self._expected_size))},"
                f" {size_text(int(self._size / seconds))}/s"
            )
        output.note(words)
