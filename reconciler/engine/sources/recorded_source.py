"""Remotes of low-level importers: `sync` is recorded, and the recording compared like a reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.engine.plugin_calls.plugin_errors import awaited
from reconciler.engine.sources.batches import BatchSizer
from reconciler.engine.sources.members import declared_unit
from reconciler.engine.sources.remote_source import RemoteSource
from reconciler.engine.sources.repository_resolution import Key
from reconciler.engine.sources.source_failures import SourceFailure
from reconciler.engine.sources.source_responses import BY_SOURCE, SourceResponse
from reconciler.engine.sources.sync_recording import (
    GroupRecording,
    RecordingConduit,
    SourceHoldings,
)
from reconciler.errors import NotCached, Temporary
from reconciler.model import Unit
from reconciler.plan import GroupMember


class RecordedSource(RemoteSource):
    """Asks `sync`.

    What it does not mention stays. Where the selection changed, what is held is decided again.
    """

    async def _resolve(self) -> str | None:
        holdings = SourceHoldings(self._resolution.reader, self._actual, self._source.id)
        conduit = await self._record(await self._current_source_validator(), holdings)
        recordings = conduit.recordings
        await self._committed.load_groups()
        unchanged = conduit.is_unchanged and not recordings
        self._log_asked(unchanged=unchanged)
        if unchanged:
            await self._keep_unchanged()
            return conduit.validator
        committed = self._committed.groups
        names = {name for name in recordings if self._may_bring(name)} | {
            name for name in committed if self._committed.group_validator(name) is None
        }
        self._waiting.update(filter(self._is_contested, recordings))
        self._claim(names | committed.keys())
        self._resolution.task.expect(len(names), 0)
        batches = BatchSizer(sorted(names))
        while batch := batches.next():
            await self._compare_recorded(batch, recordings, batches)
        await self._comparer.drop([name for name in sorted(committed) if not self._may_bring(name)])
        return conduit.validator

    async def _respond(self, names: Sequence[str]) -> list[SourceResponse]:
        """Return what `sync` brings to groups where nothing is held yet."""
        nothing = SourceHoldings(self._resolution.reader, None, self._source.id)
        try:
            recordings = (await self._record(None, nothing)).recordings
        finally:
            self._context.place.close()
        return [self._response(name, [], recordings[name]) for name in names if name in recordings]

    async def _record(self, validator: str | None, holdings: SourceHoldings) -> RecordingConduit:
        """Run `sync` once and return what it asked for."""
        try:
            async with self._resolution.session.call_timeouts.call(
                self._resolution.call("sync")
            ) as clock:
                conduit = RecordingConduit(self._context, clock, validator, holdings=holdings)
                try:
                    importer = self._resolution.importer()
                    await awaited(importer.sync(conduit, self._context.config), "sync")
                except (NotCached, Temporary):
                    raise
                except Exception:
                    conduit.forget_pages()
                    raise
                finally:
                    conduit.close()
        except NotCached:
            raise
        except Exception as error:  # a plugin may raise anything: nothing that it recorded happens
            raise SourceFailure(error) from error
        return conduit

    async def _compare_recorded(
        self,
        names: Sequence[str],
        recordings: Mapping[str, GroupRecording],
        batches: BatchSizer,
    ) -> None:
        """Compare groups: what one holds is what is recorded, over what it held."""
        members = await self._comparer.members(names)
        responses = [
            self._response(name, members.get(name, []), recordings.get(name, GroupRecording()))
            for name in names
        ]
        batches.record(sum(len(response.units) for response in responses))
        emptied = [
            response.name
            for response in responses
            if self._resolution.mirrors and not response.units and not response.kept_out
        ]
        await self._comparer.compare(
            [response for response in responses if response.name not in emptied]
        )
        await self._release(emptied, members)
        self._resolution.task.advance(len(names))

    async def _release(
        self, names: Sequence[str], members: Mapping[str, list[GroupMember]]
    ) -> None:
        """Free the names of groups of which nothing is left."""
        for name in names:
            self._ownership.release(self._source.id, name)
        await self._comparer.add(
            [
                self._comparer.removal(name, members.get(name, []))
                for name in names
                if name in self._committed.groups or name in members
            ]
        )

    def _response(
        self, name: str, members: Sequence[GroupMember], recording: GroupRecording
    ) -> SourceResponse:
        units: dict[Key, Unit | None] = {
            (member.unit.type, member.unit.key): declared_unit(member.unit)
            for member in members
            if member.source == self._source.id
        }
        units.update(recording.units)
        wanted = [unit for unit in units.values() if unit is not None]
        return SourceResponse(name, wanted, recording.kept_out, BY_SOURCE)
