"""What an operation tells of itself while it runs. The command line shows it; the engine only
reports.
"""

from __future__ import annotations

from typing import Protocol


class ProgressTask(Protocol):
    """One piece of work that a user waits for."""

    def expect(self, units: int, size: int) -> None:
        """The whole of it: units and bytes, as far as known."""
        ...

    def advance(self, units: int = 0, size: int = 0) -> None:
        """So much more is done; negative bytes take back a try that was thrown away."""
        ...

    def done(self) -> None: ...


class Progress(Protocol):
    def task(self, title: str, noun: str) -> ProgressTask:
        """Begin to show a piece of work. `noun`: what is counted."""
        ...


class SilentTask:
    def expect(self, units: int, size: int) -> None:
        pass

    def advance(self, units: int = 0, size: int = 0) -> None:
        pass

    def done(self) -> None:
        pass


class SilentProgress:
    """Nobody watches."""

    def task(self, title: str, noun: str) -> ProgressTask:
        return SilentTask()
