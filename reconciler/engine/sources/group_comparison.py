"""A group of one source between comparing and writing down what changes in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.model import IdentifiedUnit
from reconciler.plan import GroupChange


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """A group as its source has it now, beside the latest version. `wanted`: all that the source
    lets in, changed or not.
    """

    change: GroupChange
    wanted: Sequence[IdentifiedUnit] = ()

    @property
    def name(self) -> str:
        return self.change.head.name

    @property
    def held(self) -> list[IdentifiedUnit]:
        """What stays as it is."""
        touched = {(line.type, line.key) for line in self.change.lines}
        return [unit for unit in self.wanted if (unit.unit.type, unit.unit.key) not in touched]
