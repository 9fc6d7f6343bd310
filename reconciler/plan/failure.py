"""Failures to read while planning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure to read while planning.

    `group` is None when it concerns a whole source: its listing, or an entry that the listing
    lacks. `cause`: its kind, in one word for machines, where it has one.
    """

    source: str
    group: str | None
    message: str
    hint: str | None = None
    cause: str = ""

    def __str__(self) -> str:
        return (
            f"{self.source}: {self.group}: {self.message}"
            if self.group
            else f"{self.source}: {self.message}"
        )
