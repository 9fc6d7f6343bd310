"""A group of one source between comparing and writing down what changes in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.model import Sealed
from reconciler.plan import GroupChange


@dataclass(frozen=True, slots=True)
class Compared:
    """A group as its source has it now, beside the latest version. `wanted`: all that the source lets in, changed or not."""

    change: GroupChange
    wanted: Sequence[Sealed] = ()

    @property
    def name(self) -> str:
        return self.change.head.name

    @property
    def held(self) -> list[Sealed]:
        """What stays as it is."""
        touched = {(line.type, line.key) for line in self.change.lines}
        return [one for one in self.wanted if (one.unit.type, one.unit.key) not in touched]
