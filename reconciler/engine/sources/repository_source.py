"""Sources of the kind `repository`: copy and promotion. Units come along as they are, and no byte
moves: artifacts are shared by digest.

`version: latest` means the version that the other repository has once this very plan is carried
out, so that one apply converges a chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from reconciler.database import Reader
from reconciler.engine.plugin_calls.conduits import CallScope, ScratchpadConduit
from reconciler.engine.plugin_calls.workdirs import TemporaryWorkdir
from reconciler.engine.sources.batches import BATCH, BatchSizer
from reconciler.engine.sources.members import declared
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_failures import SourceFailure
from reconciler.engine.sources.source_resolver import RepositoryResolution, SourceResolver
from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.engine.sources.version_reference import ResolvedVersion, VersionReference
from reconciler.engine.transfer.metadata_recovery import stored_bytes_reader
from reconciler.errors import PluginFault, StateFault
from reconciler.model import (
    EMPTY_VERSION,
    ActualRepository,
    Digest,
    Source,
    StoredUnit,
    Unit,
    group_digest,
    stored_unit,
)
from reconciler.plan import ContentChanges, applied
from reconciler.plugin import Importer, Members, PluginCallConfiguration, RepositoryInfo


class Promoted:
    """What is copied from: a recorded version of another repository, with what this plan does to it
    where the latest is meant.
    """

    def __init__(
        self,
        reader: Reader,
        state: ActualRepository | None,
        number: int,
        planned: ContentChanges | None,
    ) -> None:
        self._reader = reader
        self._state = state
        self._number = number
        self._planned = planned if planned is not None and planned.counts.total else None
        self._touched = self._planned.spool.names() if self._planned else frozenset()

    @property
    def recorded(self) -> bool:
        """Is it a version that exists already?"""
        return self._planned is None

    def digests(self, since: int | None) -> dict[str, Digest | None]:
        """Groups and the digests of what they hold; with `since`, only those that differ from that
        version, None for what it holds no longer.
        """
        found: dict[str, Digest | None] = {}
        if self._state is not None and since is None:
            found.update(self._reader.version_groups(self._state.id, self._number))
        elif self._state is not None and since is not None:
            names = list(self._reader.changed_groups(self._state.id, since, self._number))
            found.update({name: _digest(bodies) for name, bodies in self.bodies(names).items()})
            found.update({name: None for name in names if name not in found})
        touched = sorted(self._touched)
        for start in range(0, len(touched), BATCH):
            batch = touched[start : start + BATCH]
            moved = self.bodies(batch)
            found.update({name: _digest(moved.get(name, {})) for name in batch})
        return {
            name: digest
            for name, digest in found.items()
            if digest is not None or since is not None
        }

    def bodies(self, names: Iterable[str]) -> dict[str, dict[Digest, bytes]]:
        """The units of groups: body by digest."""
        wanted = list(names)
        still = [name for name in wanted if name not in self._touched]
        found: dict[str, dict[Digest, bytes]] = {}
        if self._state is not None and still:
            found = {
                name: dict(rows)
                for name, rows in self._reader.members(self._state.id, self._number, still).items()
            }
        moving = [name for name in wanted if name in self._touched]
        if moving and self._planned is not None:
            current = self._reader.current_units(self._state.id, moving) if self._state else {}
            for name in moving:
                held = {(one.digest, one.source): one.body for one in current.get(name, [])}
                found[name] = applied(held, self._planned.spool.of(name))
        return found

    def groups(self) -> Iterator[str]:
        """Implements `reconciler.plugin.Members`, as `units` does."""
        return iter(sorted(self.digests(None)))

    def units(self, group: str) -> list[StoredUnit]:
        found = [stored_unit(body) for body in self.bodies([group]).get(group, {}).values()]
        return sorted(found, key=lambda unit: (unit.type, unit.key))


class Lent(CallScope):
    """What is copied from, for as long as a call lasts."""

    conduit = "CopyConduit"

    def __init__(self, promoted: Promoted) -> None:
        super().__init__()
        self._promoted = promoted

    def groups(self) -> Iterator[str]:
        return self._while_open(self._promoted.groups())

    def units(self, group: str) -> list[StoredUnit]:
        self._check_open()
        return self._promoted.units(group)


class CopyingConduit(ScratchpadConduit):
    """Implements `reconciler.plugin.CopyConduit` for one group."""

    conduit = "CopyConduit"

    def __init__(
        self,
        resolution: RepositoryResolution,
        source: Source,
        promoted: Promoted,
        place: TemporaryWorkdir,
    ) -> None:
        super().__init__(resolution.findings.scratchpads, resolution.owner)
        self._resolution = resolution
        self._source = source
        self._lent = Lent(promoted)
        self._place = place

    @property
    def repository(self) -> RepositoryInfo:
        self._check_open()
        return self._place

    @property
    def source(self) -> Members:
        self._check_open()
        return self._lent

    def close(self) -> None:
        super().close()
        self._lent.close()

    @property
    def options(self) -> object:
        self._check_open()
        return self._source.options

    @property
    def config(self) -> PluginCallConfiguration:
        self._check_open()
        config: PluginCallConfiguration = self._source.config
        return config

    def groups(self) -> Iterator[str]:
        actual = self._resolution.actual
        return self._while_open(
            self._resolution.reader.group_names(actual.id, actual.number) if actual else ()
        )

    def units(self, group: str) -> list[StoredUnit]:
        self._check_open()
        actual = self._resolution.actual
        return (
            self._resolution.reader.units(actual.id, actual.number, [group]).get(group, [])
            if actual
            else []
        )


class RepositorySource(SourceResolver):
    """Copies from another repository. `state`: that one as it is recorded; `planned`: what this
    plan does to it, None where it does nothing.
    """

    def __init__(
        self,
        resolution: RepositoryResolution,
        source: Source,
        selection: Selection,
        state: ActualRepository | None,
        planned: ContentChanges | None,
    ) -> None:
        super().__init__(
            resolution, source, selection, Digest.of_value([source.id, selection.digest.hex])
        )
        self._other = state
        self._planned = planned
        self._place = resolution.session.workdirs.temporary(
            resolution.repository.meta.name, resolution.owner
        )

    @property
    def _elsewhere(self) -> str:
        version = (
            "the latest version"
            if VersionReference(self._source.version).is_latest
            else f"version {self._source.version}"
        )
        return f"not in {version} of {self._source.name}"

    async def _resolve(self) -> str | None:
        target = await asyncio.to_thread(self._target)
        promoted = Promoted(
            self._resolution.reader,
            self._other,
            target.number,
            self._planned if self._means_planned else None,
        )
        known = await self._known_source()
        if promoted.recorded and known == str(target.digest):
            await self._stay()
            return known
        await self._load_committed()
        since = await self._since(known) if promoted.recorded else None
        digests = await asyncio.to_thread(promoted.digests, since)
        held = {name for name, one in digests.items() if one is not None}
        stored_bytes_reader = set() if since is None else self._committed.keys() - digests.keys()
        mine = {name for name in held | stored_bytes_reader if self._may_have(name)}
        self._waiting.update(name for name in held if self._waits(name))
        self._own(mine)
        changed = [name for name in sorted(mine & held) if self._known(name) != str(digests[name])]
        try:
            await self._copy(promoted, changed, digests)
        finally:
            self._place.close()
        await self._drop([name for name in sorted(self._committed) if name not in mine])
        return str(target.digest) if promoted.recorded else None

    async def _told(self, names: Sequence[str]) -> list[SourceResponse]:
        target = await asyncio.to_thread(self._target)
        promoted = Promoted(self._resolution.reader, self._other, target.number, None)
        bodies = await asyncio.to_thread(promoted.bodies, names)
        held = [name for name in names if name in bodies]
        try:
            return [
                (
                    await self._answer(promoted, name, bodies[name], "")
                    if self._may_have(name)
                    else self._left_to(name)
                )
                for name in held
            ]
        finally:
            self._place.close()

    @property
    def _means_planned(self) -> bool:
        """Is it the version that this very plan makes: the latest, or the next number?"""
        if self._planned is None:
            return False
        coming = (self._other.number if self._other is not None else 0) + bool(
            self._planned.counts.total
        )
        return VersionReference(self._source.version).covers(coming)

    def _target(self) -> ResolvedVersion:
        """Return the version to copy from, as far as it is recorded.

        Raises:
            SourceFailure: The other repository has no such version.
        """
        state = self._other
        if self._means_planned:
            return (
                ResolvedVersion(state.number, state.digest)
                if state is not None
                else ResolvedVersion(0, EMPTY_VERSION)
            )
        version = VersionReference(self._source.version).resolve(self._resolution.reader, state)
        if version is None:
            raise SourceFailure(_absent(self._source))
        return version

    async def _since(self, known: str | None) -> int | None:
        """The version of the other repository that is committed here, so that only what differs
        from it is looked at.
        """
        if known is None or self._other is None:
            return None
        return await asyncio.to_thread(
            self._resolution.reader.version_by_digest, self._other.id, Digest.parse(known)
        )

    async def _copy(
        self, promoted: Promoted, names: Sequence[str], digests: Mapping[str, Digest | None]
    ) -> None:
        self._resolution.task.expect(len(names), 0)
        pace = BatchSizer(names)
        while batch := pace.batch():
            bodies = await asyncio.to_thread(promoted.bodies, batch)
            pace.took(sum(map(len, bodies.values())))
            answers = [
                await self._answer(promoted, name, bodies.get(name, {}), str(digests[name]))
                for name in batch
            ]
            await self._compare(answers)
            self._resolution.task.advance(len(batch))

    async def _answer(
        self, promoted: Promoted, name: str, bodies: Mapping[Digest, bytes], validator: str
    ) -> SourceResponse:
        units = sorted(map(stored_unit, bodies.values()), key=lambda unit: (unit.type, unit.key))
        try:
            if self._resolution.importer_class.copy is not Importer.copy:
                units = await self._chosen(promoted, name, units)
            found, whole = await self._recalled(units)
        except (
            Exception
        ) as error:  # a plugin may raise anything; it is this group's failure and nobody else's
            return SourceResponse(name, failure=error)
        return SourceResponse(
            name, found, validator=validator if whole or promoted.recorded else None
        )

    async def _recalled(self, units: Sequence[StoredUnit]) -> tuple[list[Unit], bool]:
        """As somebody would declare them, with what filters ask about beyond that; was all of it
        there?

        What the same plan brings into the other repository is not in the store yet: its groups are
        looked at again once it is.
        """
        if not any(self._selection.recalls(unit.type) for unit in units):
            return [declared(unit) for unit in units], True
        return await asyncio.to_thread(self._with_bytes, units)

    def _with_bytes(self, units: Sequence[StoredUnit]) -> tuple[list[Unit], bool]:
        missing: list[str] = []
        store = self._resolution.session.store
        with self._resolution.session.watch(self._resolution.call("recall")):
            found = [
                self._selection.recalled(
                    declared(unit), stored_bytes_reader(store, unit.artifacts, missing)
                )
                for unit in units
            ]
        return found, not missing

    async def _chosen(
        self, promoted: Promoted, name: str, units: list[StoredUnit]
    ) -> list[StoredUnit]:
        """What the plugin lets come along."""
        conduit = CopyingConduit(self._resolution, self._source, promoted, self._place)
        try:
            async with self._resolution.session.call_timeouts.call(
                self._resolution.call("copy", name)
            ):
                chosen = list(
                    islice(
                        await self._resolution.importer().copy(conduit, name, list(units)),
                        len(units) + 1,
                    )
                )
        finally:
            conduit.close()
        stranger = next((one for one in chosen if one not in units), None)
        if stranger is not None:
            raise PluginFault(
                f"`copy` returns some of the units that it was given: {stranger!r:.80} is none of"
                f" group `{name}`"
            )
        return chosen


def _absent(source: Source) -> StateFault:
    hint = f"`reconciler history repository/{source.name}` lists the versions"
    return StateFault(f"repository `{source.name}` has no version `{source.version}`", hint=hint)


def _digest(bodies: Mapping[Digest, bytes]) -> Digest | None:
    return group_digest(bodies) if bodies else None
