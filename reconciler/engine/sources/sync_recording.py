"""The conduit of `sync`: it records what a low-level importer asks for, and does nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.database import Reader
from reconciler.engine.plugin_calls.call_timeouts import CallTimer
from reconciler.engine.plugin_calls.upstream_conduits import (
    SourceConduit,
    SourceContext,
    checked_refusal,
)
from reconciler.engine.sources.batches import bounded
from reconciler.engine.sources.members import declared_unit
from reconciler.engine.sources.repository_resolution import Key
from reconciler.errors import PluginFault
from reconciler.model import (
    ActualRepository,
    Artifact,
    StoredUnit,
    Unit,
    check_unit,
    is_usable_name,
    stored_unit,
)


@dataclass(slots=True)
class GroupRecording:
    """Requests of `sync` for one group.

    Attributes:
        units: Units by (type, key); None for one that leaves.
        kept_out: (key, reason) of what could not become a unit.
    """

    units: dict[Key, Unit | None] = field(default_factory=dict)
    kept_out: list[tuple[str, str]] = field(default_factory=list)


class SourceHoldings:
    """Units of one source in the latest version, read when they are asked for."""

    def __init__(self, reader: Reader, actual: ActualRepository | None, source: str) -> None:
        self._reader = reader
        self._actual = actual
        self._source_id = source

    def groups(self) -> Iterator[str]:
        if self._actual is None:
            return iter(())
        return self._reader.held_groups(self._actual.id, self._source_id)

    def units(self, group: str) -> list[StoredUnit]:
        if self._actual is None:
            return []
        rows = self._reader.current_units(self._actual.id, [group], self._source_id)
        return [stored_unit(row.body) for row in rows.get(group, [])]


class RecordingConduit(SourceConduit):
    """Implements `reconciler.plugin.SyncConduit`; `recordings`: what was asked for, by group."""

    conduit = "SyncConduit"

    def __init__(
        self,
        context: SourceContext,
        clock: CallTimer,
        committed_validator: str | None,
        *,
        holdings: SourceHoldings,
    ) -> None:
        super().__init__(context, clock, committed_validator)
        self._holdings = holdings
        self.recordings: dict[str, GroupRecording] = {}

    def groups(self) -> Iterator[str]:
        return self._while_open(self._holdings.groups())

    def units(self, group: str) -> list[StoredUnit]:
        self._check_open()
        return self._holdings.units(group)

    def init_unit(  # noqa: PLR0917, RUF100  # plugin API 1.x
        self,
        type: str,
        key: str,
        metadata: Mapping[str, Any],
        artifacts: Sequence[Artifact] = (),
    ) -> Unit:
        self._check_open()
        unit = Unit(type, key, dict(metadata), list(artifacts))
        check_unit(unit)
        return unit

    def save_unit(self, group: str, unit: Unit) -> None:
        self._check_open()
        check_unit(unit)
        units = self._recording(group).units
        key = (unit.type, unit.key)
        if units.get(key) is not None:
            raise PluginFault(
                f"`sync` saves two units under the key `{unit.key}` in group `{group}`",
                hint="a key is unique within its group and type: put what differs into it",
            )
        units[key] = unit
        bounded(len(units), group)

    def associate_unit(self, unit: StoredUnit) -> None:
        self._check_open()
        self.save_unit(_checked(unit, "associate_unit").group, declared_unit(unit))

    def remove_unit(self, unit: StoredUnit) -> None:
        self._check_open()
        group = _checked(unit, "remove_unit").group
        self._recording(group).units[unit.type, unit.key] = None

    def refuse(self, group: str, key: str, reason: str) -> None:
        self._check_open()
        self._recording(group).kept_out.append(checked_refusal(key, reason))

    def _recording(self, group: str) -> GroupRecording:
        if not is_usable_name(group):
            raise PluginFault(
                f"a group has a name of 1 to 1,024 printable characters: {group!r:.80} is none"
            )
        return self.recordings.setdefault(group, GroupRecording())


def _checked(unit: Any, method: str) -> StoredUnit:
    if not isinstance(unit, StoredUnit):
        raise PluginFault(
            f"`{method}` takes a unit that `units` gave out, not {type(unit).__name__}"
        )
    return unit
