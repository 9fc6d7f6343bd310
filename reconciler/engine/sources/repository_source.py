"""Sources of the kind `repository`: units are copied as they are, and no byte moves.

`version: latest` means the version that the other repository has once this very plan is carried
out, so that one apply converges a chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice

from reconciler.database import SourcedUnit
from reconciler.engine.plugin_calls.plugin_errors import awaited
from reconciler.engine.plugin_calls.plugin_settings import settings_digest
from reconciler.engine.sources.batches import BatchSizer
from reconciler.engine.sources.copied_rules import CopiedRules
from reconciler.engine.sources.copied_version import (
    Bodies,
    CopiedVersion,
    CopyingConduit,
    sorted_units,
)
from reconciler.engine.sources.group_evaluation import Evaluation
from reconciler.engine.sources.members import declared_unit
from reconciler.engine.sources.repository_resolution import Key, RepositoryResolution
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_artifacts import SourceArtifacts
from reconciler.engine.sources.source_failures import SourceFailure
from reconciler.engine.sources.source_resolver import SourceResolver
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
    stored_unit,
)
from reconciler.plan import ContentChanges
from reconciler.plugin import Importer


class RepositorySource(SourceResolver):
    """Copies from another repository.

    Args:
        other: The other repository as it is recorded.
        planned: What this plan does to it, None where it does nothing.
        rules: What the other repository withholds; None where nothing rules beyond `selection`.
    """

    def __init__(
        self,
        resolution: RepositoryResolution,
        source: Source,
        selection: Selection,
        *,
        other: ActualRepository | None,
        planned: ContentChanges | None,
        rules: CopiedRules | None,
    ) -> None:
        reference = VersionReference(source.version)
        version = "the latest version" if reference.is_latest else f"version {source.version}"
        settings = settings_digest(source.config, source.options)
        super().__init__(
            resolution,
            source,
            selection,
            rules_digest=Digest.of_value(
                [
                    source.id,
                    selection.digest.hex,
                    *([str(rules.digest)] if rules else []),
                    *([[str(settings)]] if settings else []),
                ]
            ),
            artifacts=SourceArtifacts(),
            absence=f"not in {version} of {source.name}",
        )
        self._reference = reference
        self._other = other
        self._planned = planned
        self._rules = rules
        self._workdir = resolution.session.workdirs.temporary(
            resolution.repository.meta.name, resolution.owner
        )

    async def _resolve(self) -> str | None:
        target = await asyncio.to_thread(self._target)
        planned = self._planned if self._refers_to_planned else None
        version = CopiedVersion(
            self._resolution.reader, self._other, target.number, planned=planned
        )
        validator = await self._current_source_validator()
        unchanged = version.is_recorded and validator == str(target.digest)
        self._log_asked(unchanged=unchanged)
        if unchanged:
            await self._keep_unchanged()
            return validator
        await self._committed.load_groups()
        since = await self._since(validator) if version.is_recorded else None
        digests = await asyncio.to_thread(version.digests, since)
        held = {name for name, digest in digests.items() if digest is not None}
        same = set() if since is None else self._committed.groups.keys() - digests.keys()
        names = {name for name in held | same if self._may_bring(name)}
        self._waiting.update(filter(self._is_contested, held))
        self._claim(names)
        changed = [
            name
            for name in sorted(names & held)
            if self._committed.group_validator(name) != str(digests[name])
        ]
        try:
            await self._copy(version, changed, digests)
        finally:
            self._workdir.close()
        await self._comparer.drop(
            [name for name in sorted(self._committed.groups) if name not in names]
        )
        return str(target.digest) if version.is_recorded else None

    async def _respond(self, names: Sequence[str]) -> list[SourceResponse]:
        target = await asyncio.to_thread(self._target)
        version = CopiedVersion(self._resolution.reader, self._other, target.number, planned=None)
        if self._ownership.is_followed(self._source.id):
            others = (await asyncio.to_thread(version.digests, None)).keys() - set(names)
            self._claim(name for name in others if self._may_bring(name))
        bodies = await asyncio.to_thread(version.bodies, names)
        try:
            return [
                (
                    await self._response(version, name, bodies[name], validator="")
                    if self._may_bring(name)
                    else self._not_asked(name)
                )
                for name in names
                if name in bodies
            ]
        finally:
            self._workdir.close()

    @property
    def _refers_to_planned(self) -> bool:
        """True if the version that this very plan makes is meant."""
        if self._planned is None:
            return False
        if self._reference.is_latest:
            return True
        return (
            self._reference.means_planned(self._planned.version_digest)
            and self._reference.resolve(self._resolution.reader, self._other) is None
        )

    def _target(self) -> ResolvedVersion:
        """Return the version to copy from, as far as it is recorded.

        Raises:
            SourceFailure: The other repository has no such version.
        """
        if self._refers_to_planned:
            return (
                ResolvedVersion(self._other.number, self._other.digest)
                if self._other is not None
                else ResolvedVersion(0, EMPTY_VERSION)
            )
        version = self._reference.resolve(self._resolution.reader, self._other)
        if version is None:
            message, hint = self._reference.missing(
                self._source.name, number=self._planned_number, digest=self._planned_digest
            )
            raise SourceFailure(StateFault(message, hint=hint))
        return version

    @property
    def _planned_number(self) -> int:
        return (self._other.number if self._other is not None else 0) + 1

    @property
    def _planned_digest(self) -> Digest | None:
        return self._planned.version_digest if self._planned is not None else None

    async def _since(self, validator: str | None) -> int | None:
        """Return the version of the other repository that is committed here, if there is one.

        Only what differs from it has to be compared.
        """
        if validator is None or self._other is None:
            return None
        return await asyncio.to_thread(
            self._resolution.reader.version_by_digest, self._other.id, Digest.parse(validator)
        )

    async def _copy(
        self, version: CopiedVersion, names: Sequence[str], digests: Mapping[str, Digest | None]
    ) -> None:
        self._resolution.task.expect(len(names), 0)
        batches = BatchSizer(names)
        while batch := batches.next():
            bodies = await asyncio.to_thread(version.bodies, batch)
            batches.record(sum(map(len, bodies.values())))
            responses = [
                await self._response(
                    version, name, bodies.get(name, {}), validator=str(digests[name])
                )
                for name in batch
            ]
            await self._comparer.compare(responses)
            self._resolution.task.advance(len(batch))

    async def _response(
        self, version: CopiedVersion, name: str, bodies: Bodies, *, validator: str
    ) -> SourceResponse:
        stored = sorted_units(bodies)
        try:
            if self._resolution.importer_class.copy is not Importer.copy:
                stored = await self._copied(version, name, stored)
            evaluation = Evaluation(self._resolution.session.now)
            rows = self._sourced(bodies, stored)
            refused = await asyncio.to_thread(self._withheld_there, evaluation, name, rows)
            left = [unit for unit in stored if (unit.type, unit.key) not in refused]
            units, complete = await self._restored(left)
        except Exception as error:  # a plugin may raise anything: the failure of this group alone
            return SourceResponse(name, failure=error)
        stands = complete or version.is_recorded
        return SourceResponse(
            name,
            units,
            [(key, reason) for (_, key), reason in sorted(refused.items())],
            validator if stands else None,
            reconsider_at=evaluation.reconsider_at,
        )

    def _sourced(self, bodies: Bodies, units: Sequence[StoredUnit]) -> list[SourcedUnit]:
        """Return units with their digests, where rules go along with them."""
        if self._rules is None:
            return []
        digests = {_key(stored_unit(body)): digest for digest, body in bodies.items()}
        return [SourcedUnit(digests[_key(unit)], unit, self._source.id) for unit in units]

    def _withheld_there(
        self, evaluation: Evaluation, name: str, rows: Sequence[SourcedUnit]
    ) -> dict[Key, str]:
        """Return which units of a group the other repository withholds, with the reasons."""
        if self._rules is None or not rows:
            return {}
        with self._resolution.session.watch(self._resolution.call("select", name)):
            refusals = self._rules.refusals(evaluation, name, rows)
        return {_key(row.unit): refusals[row.digest] for row in rows if row.digest in refusals}

    async def _restored(self, units: Sequence[StoredUnit]) -> tuple[list[Unit], bool]:
        """Return units with the metadata that filters ask for, and whether all bytes were there.

        What the same plan brings into the other repository is not in the store yet: its groups are
        compared again once it is.
        """
        if not any(self.selection.restores_metadata(unit.type) for unit in units):
            return [declared_unit(unit) for unit in units], True
        return await asyncio.to_thread(self._restored_from_bytes, units)

    def _restored_from_bytes(self, units: Sequence[StoredUnit]) -> tuple[list[Unit], bool]:
        missing: list[str] = []
        store = self._resolution.session.store
        with self._resolution.session.watch(self._resolution.call("load_metadata")):
            restored = [
                self.selection.restore_metadata(
                    declared_unit(unit), stored_bytes_reader(store, unit.artifacts, missing)
                )
                for unit in units
            ]
        return restored, not missing

    async def _copied(
        self, version: CopiedVersion, name: str, units: list[StoredUnit]
    ) -> list[StoredUnit]:
        """Return the units that the plugin's `copy` chooses."""
        conduit = CopyingConduit(self._resolution, self._source, version, workdir=self._workdir)
        try:
            async with self._resolution.session.call_timeouts.call(
                self._resolution.call("copy", name)
            ):
                answer = await awaited(
                    self._resolution.importer().copy(conduit, name, list(units)), "copy"
                )
                chosen = list(islice(answer, len(units) + 1))
        finally:
            conduit.close()
        stranger = next((unit for unit in chosen if unit not in units), None)
        if stranger is not None:
            raise PluginFault(
                f"`copy` returns some of the units that it was given: {stranger!r:.80} is none of"
                f" group `{name}`"
            )
        return chosen


def _key(unit: StoredUnit) -> Key:
    return unit.type, unit.key
