"""Progress of an operation: the engine reports it, a surface shows it."""

from __future__ import annotations

from typing import Protocol


class ProgressTask(Protocol):
    """Progress of one piece of work that a user waits for."""

    def expect(self, units: int, size: int) -> None:
        """Set the expected total: units and bytes, as far as known."""
        ...

    def advance(self, units: int = 0, size: int = 0) -> None:
        """Count work that was done; negative bytes take back a discarded try."""
        ...

    def done(self) -> None:
        """End the display of this work."""
        ...


class Progress(Protocol):
    """Shows pieces of work while they go on."""

    def task(self, title: str, noun: str) -> ProgressTask:
        """Start to show a piece of work; `noun` is what its units are called."""
        ...


class SilentTask:
    """Discards progress."""

    def expect(self, units: int, size: int) -> None:
        pass

    def advance(self, units: int = 0, size: int = 0) -> None:
        pass

    def done(self) -> None:
        pass


class SilentProgress:
    """Shows no progress."""

    def task(self, title: str, noun: str) -> ProgressTask:
        return SilentTask()
