"""Sizes of batches: how many groups and units are in memory at once, however many there are."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.errors import PluginFault

BATCH = 200  # groups looked up in the database at once
HELD = 20_000  # units that are looked at at once
LARGEST = (
    100_000  # units of a group: it is held in memory whole, and a change of one unit reads them all
)


class BatchSizer:
    """Cuts names into batches of about HELD units, judging by how many the last batch held."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._start = 0
        self._size = 1
        self._last = 0

    def next(self) -> Sequence[str]:
        """Return the next names; empty when there are no more."""
        batch = self._names[self._start : self._start + self._size]
        self._start += len(batch)
        self._last = len(batch)
        return batch

    def record(self, units: int) -> None:
        """Record how many units were in the last batch."""
        self._size = min(BATCH, max(1, HELD * self._last // max(units, 1)), self._size * 8)


def bounded(units: int, group: str) -> None:
    """Raise PluginFault where a group is larger than one can be."""
    if units > LARGEST:
        raise PluginFault(
            f"group `{group}` holds more than {LARGEST:,} units",
            hint="split it, for instance by the first digits of a hash",
        )
