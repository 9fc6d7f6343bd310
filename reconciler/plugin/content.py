"""What is stored: content types, and the decisions that they take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import BinaryIO, ClassVar

import msgspec

from reconciler.model import Artifact, StoredUnit, Unit
from reconciler.plugin.options import Options


class ActiveFilter(msgspec.Struct, frozen=True):
    """A filter that governs the call: the `Filter` resource's name, its validated options, and where it is written."""

    name: str
    options: Options
    place: str


class Decision(msgspec.Struct, frozen=True):
    """One unit is in, or out because `reason`. `reconsider_at`: when time alone will change the answer."""

    unit: Unit
    accepted: bool
    reason: str = ""
    reconsider_at: datetime | None = None


class Summary(msgspec.Struct, frozen=True):
    """A unit for people: its `version` (None where the type knows none) and a `label` of its variety (`wheel`)."""

    version: str | None = None
    label: str = ""


class ContentType:
    """What is stored. Class methods only, pure: they are called from any thread, in any order, any number of times."""

    id: ClassVar[str]
    plural: ClassVar[str] = "units"
    revision: ClassVar[int] = 1  # raise it when `select` decides differently: everything is decided again
    beside: ClassVar[str | None] = None  # units of this type are kept only in groups that keep a unit of that type

    @classmethod
    def select(cls, group: str, units: Sequence[Unit], options: Options | None, filters: Sequence[ActiveFilter], now: datetime) -> Iterable[Decision]:
        """Decide for each unit of `group`: in, or out because. The order of units and filters must not matter. Default: all in."""
        return [Decision(unit, accepted=True) for unit in units]

    @classmethod
    def refusal(cls, before: StoredUnit, after: Unit, options: Options | None) -> str | None:
        """Why `after` must not replace `before` (same type, group and key, other identity); None lets it. Default: None."""
        return None

    @classmethod
    def removal(cls, unit: StoredUnit, options: Options | None, refused: str) -> str:
        """Why a unit goes; the words after `-` in a plan. `refused`: why `select` keeps it out now, empty where upstream no longer lists it."""
        return refused or "gone upstream"

    @classmethod
    def summary(cls, unit: Unit | StoredUnit) -> Summary:
        """How a plan shows the unit."""
        version = unit.metadata.get("version")
        return Summary(version if isinstance(version, str) else None)

    @classmethod
    def describe_change(cls, before: StoredUnit, after: Unit) -> str:
        """What differs between two states of one unit; the words after `~` in a plan."""
        names = sorted({*before.metadata, *after.metadata})
        return ", ".join(f"{name} changed" for name in names if before.metadata.get(name) != after.metadata.get(name)) or "artifacts changed"

    @classmethod
    def extract(cls, unit: Unit, artifact: Artifact, container: BinaryIO) -> bytes | None:
        """The bytes of `artifact` out of the open file named by `artifact.within`, or None when they cannot be found there.

        The core compares their digest; on None or a mismatch it asks `artifact.url`. Hostile input: never raise for it.
        """
        return None
