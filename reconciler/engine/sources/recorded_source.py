"""Low-level importers: `sync` runs once against a conduit that records; the record is turned into
the same changes that reading makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.database import Reader
from reconciler.engine.plugin_calls.call_timeouts import CallTimer
from reconciler.engine.plugin_calls.importer_calls import (
    SourceContext,
    UpstreamCall,
    checked_refusal,
)
from reconciler.engine.sources.batches import BatchSizer, bounded
from reconciler.engine.sources.members import declared
from reconciler.engine.sources.remote_source import RemoteSource
from reconciler.engine.sources.source_failures import SourceFailure
from reconciler.engine.sources.source_responses import BY_SOURCE, SourceResponse
from reconciler.errors import NotCached, PluginFault, Temporary
from reconciler.model import (
    ActualRepository,
    Artifact,
    StoredUnit,
    Unit,
    acceptable,
    stored_unit,
    usable_name,
)
from reconciler.plan import Member

Key = tuple[str, str]  # (type, key): unique within a group


@dataclass(slots=True)
class Record:
    """What `sync` asked for in one group: units by (type, key), None for one that leaves; and what
    could not become a unit.
    """

    units: dict[Key, Unit | None] = field(default_factory=dict)
    kept_out: list[tuple[str, str]] = field(default_factory=list)


class RecordingConduit(UpstreamCall):
    """Implements `reconciler.plugin.SyncConduit`. Nothing that is asked of it happens: it is
    written down in `records`, by group.
    """

    conduit = "SyncConduit"

    def __init__(
        self, desk: SourceContext, clock: CallTimer, known: str | None, held: Held
    ) -> None:
        super().__init__(desk, clock, known)
        self._held = held
        self.records: dict[str, Record] = {}

    def groups(self) -> Iterator[str]:
        return self._while_open(self._held.groups())

    def units(self, group: str) -> list[StoredUnit]:
        self._check_open()
        return self._held.units(group)

    def init_unit(
        self, type: str, key: str, metadata: Mapping[str, Any], artifacts: Sequence[Artifact] = ()
    ) -> Unit:
        self._check_open()
        unit = Unit(type, key, dict(metadata), list(artifacts))
        acceptable(unit)
        return unit

    def save_unit(self, group: str, unit: Unit) -> None:
        self._check_open()
        acceptable(unit)
        units = self._record(group).units
        key = (unit.type, unit.key)
        if units.get(key) is not None:
            raise PluginFault(
                f"`sync` saves two units under the key `{unit.key}` in group `{group}`"
            )
        units[key] = unit
        bounded(len(units), group)

    def associate_unit(self, unit: StoredUnit) -> None:
        self._check_open()
        self.save_unit(_known(unit, "associate_unit").group, declared(unit))

    def remove_unit(self, unit: StoredUnit) -> None:
        self._check_open()
        self._record(_known(unit, "remove_unit").group).units[unit.type, unit.key] = None

    def refuse(self, group: str, key: str, reason: str) -> None:
        self._check_open()
        self._record(group).kept_out.append(checked_refusal(key, reason))

    def _record(self, group: str) -> Record:
        if not usable_name(group):
            raise PluginFault(
                f"a group has a name of 1 to 1,024 printable characters: {group!r:.80} is none"
            )
        return self.records.setdefault(group, Record())


def _known(unit: Any, method: str) -> StoredUnit:
    if not isinstance(unit, StoredUnit):
        raise PluginFault(
            f"`{method}` takes a unit that `units` gave out, not {type(unit).__name__}"
        )
    return unit


class Held:
    """What one source holds in the latest version, read when it is asked for."""

    def __init__(self, reader: Reader, actual: ActualRepository | None, source: str) -> None:
        self._reader = reader
        self._actual = actual
        self._source = source

    def groups(self) -> Iterator[str]:
        return self._reader.held_groups(self._actual.id, self._source) if self._actual else iter(())

    def units(self, group: str) -> list[StoredUnit]:
        if self._actual is None:
            return []
        found = self._reader.current_units(self._actual.id, [group], self._source).get(group, [])
        return [stored_unit(one.body) for one in found]


class RecordedSource(RemoteSource):
    """Asks `sync`. What it does not mention stays; where the selection is another one, what is held
    is decided again as well.
    """

    async def _resolve(self) -> str | None:
        call, records = await self._record()
        await self._load_committed()
        if call.is_unchanged and not records:
            await self._stay()
            return call.validator
        names = {name for name in records if self._may_have(name)} | {
            name for name in self._committed if self._known(name) is None
        }
        self._waiting.update(name for name in records if self._waits(name))
        self._own(names | self._committed.keys())
        ordered = sorted(names)
        self._resolution.task.expect(len(ordered), 0)
        pace = BatchSizer(ordered)
        while batch := pace.batch():
            await self._compare_recorded(batch, records, pace)
        await self._drop([name for name in sorted(self._committed) if not self._may_have(name)])
        return call.validator

    async def _record(self) -> tuple[RecordingConduit, dict[str, Record]]:
        known = await self._known_source()
        held = Held(self._resolution.reader, self._actual, self._source.id)
        try:
            async with self._resolution.session.call_timeouts.call(
                self._resolution.call("sync")
            ) as clock:
                conduit = RecordingConduit(self._desk, clock, known, held)
                try:
                    await self._resolution.importer().sync(conduit, self._desk.config)
                except (NotCached, Temporary):
                    raise
                except Exception:
                    conduit.forget_pages()
                    raise
                finally:
                    conduit.close()
        except NotCached:
            raise
        except (
            Exception
        ) as error:  # a plugin may raise anything; nothing of what it recorded happens
            raise SourceFailure(error) from error
        return conduit, conduit.records

    async def _compare_recorded(
        self, names: Sequence[str], records: Mapping[str, Record], pace: BatchSizer
    ) -> None:
        """What a group holds is what is recorded, over what it held."""
        members = await self._members(names)
        answers = [
            self._answer(name, members.get(name, []), records.get(name, Record())) for name in names
        ]
        pace.took(sum(len(response.units) for response in answers))
        emptied = [
            response.name
            for response in answers
            if self._resolution.repository.mode == "mirror"
            and not response.units
            and not response.kept_out
        ]
        await self._compare([response for response in answers if response.name not in emptied])
        await self._give_up(emptied, members)
        self._resolution.task.advance(len(names))

    async def _give_up(self, names: Sequence[str], members: Mapping[str, list[Member]]) -> None:
        """Groups of which nothing is left: their names are free for the sources that follow."""
        for name in names:
            self._give_up_name(name)
        await self._add(
            [
                self._departed(name, members.get(name, []))
                for name in names
                if name in self._committed or name in members
            ]
        )

    def _answer(self, name: str, members: Sequence[Member], record: Record) -> SourceResponse:
        units: dict[Key, Unit | None] = {
            (member.unit.type, member.unit.key): declared(member.unit)
            for member in members
            if member.source == self._source.id
        }
        units.update(record.units)
        return SourceResponse(
            name, [unit for unit in units.values() if unit is not None], record.kept_out, BY_SOURCE
        )
