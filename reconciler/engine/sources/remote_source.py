"""Sources of the kind `remote`: what reading through declared groups and recording a sync have in
common.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import msgspec

from reconciler.engine.plugin_calls.importer_calls import SourceContext
from reconciler.engine.sources.group_comparison import GroupComparison
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_resolver import RepositoryResolution, SourceResolver
from reconciler.errors import DigestMismatch, Malformed, PluginFault
from reconciler.model import Artifact, Digest, IdentifiedUnit, Remote, Source, Unit
from reconciler.plan import GroupChange, with_download
from reconciler.plugin import Decision

IMMEDIATE, ON_DEMAND = "immediate", "on-demand"


class RemoteSource(SourceResolver):
    """Knows its remote: where to ask, what to download, and what to leave there until somebody
    wants it.
    """

    def __init__(
        self, resolution: RepositoryResolution, source: Source, selection: Selection, remote: Remote
    ) -> None:
        with resolution.session.call_timeouts.named(resolution.call("well_known")):
            url = resolution.session.remotes.url(remote)
        super().__init__(
            resolution,
            source,
            selection,
            _basis(url, selection, remote.policy, resolution.importer_class.revision),
        )
        self._remote = remote
        self._desk = SourceContext(
            url,
            source.options,
            source.config,
            selection.filters,
            selection.now,
            partial(resolution.session.remotes.pages, remote),
            partial(resolution.session.remotes.files, remote),
            resolution.session.workdirs.temporary(
                resolution.repository.meta.name, resolution.owner
            ),
            resolution.findings.scratchpads,
            resolution.owner,
        )

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            self._desk.place.close()

    async def _with_digests(self, decisions: Sequence[Decision]) -> list[Unit] | None:
        if not any(
            decision.accepted and _unnamed(decision.unit.artifacts) for decision in decisions
        ):
            return None
        return list(await asyncio.gather(*(self._named(decision) for decision in decisions)))

    async def _named(self, decision: Decision) -> Unit:
        unit = decision.unit
        if not decision.accepted or not _unnamed(unit.artifacts):
            return unit
        return msgspec.structs.replace(
            unit, artifacts=list(await asyncio.gather(*map(self._measured, unit.artifacts)))
        )

    async def _measured(self, artifact: Artifact) -> Artifact:
        if artifact.sha256:
            return artifact
        if not artifact.url:
            raise PluginFault(f"artifact `{artifact.path}` has neither a sha256 nor a URL")
        try:
            measured = await self._resolution.session.measurements.measure(
                self._resolution.session.remotes, self._remote, artifact.url, artifact.digests
            )
        except DigestMismatch as error:
            raise DigestMismatch(f"`{artifact.path}`: {error.message}", hint=error.hint) from None
        if artifact.size not in (None, measured.size):
            raise Malformed(
                f"`{artifact.path}` has {measured.size:,} bytes instead of the {artifact.size:,}"
                " that were declared for it"
            )
        return msgspec.structs.replace(artifact, sha256=measured.sha256, size=measured.size)

    async def _lacking(
        self, compared: Sequence[GroupComparison]
    ) -> Mapping[str, Sequence[IdentifiedUnit]]:
        return await (
            self._moved(compared) if self._remote.policy == ON_DEMAND else self._left(compared)
        )

    @property
    def _why_lacking(self) -> str:
        return (
            "its bytes are elsewhere upstream now"
            if self._remote.policy == ON_DEMAND
            else "its bytes were left upstream until now"
        )

    async def _left(self, compared: Sequence[GroupComparison]) -> dict[str, list[IdentifiedUnit]]:
        """Bytes that an earlier policy left upstream: they are looked for where the group was
        committed under another basis.
        """
        held = {
            comparison.name: comparison.held
            for comparison in compared
            if self._stood_otherwise(comparison.name)
        }
        stored = await self._stored(_artifacts(held))
        lacking = {
            name: [
                unit
                for unit in units
                if any(part.sha256 not in stored for part in unit.unit.artifacts)
            ]
            for name, units in held.items()
        }
        return {name: await self._with_urls(units) for name, units in lacking.items() if units}

    def _stood_otherwise(self, name: str) -> bool:
        committed = self._committed.get(name)
        return committed is not None and committed.selection != self._basis

    async def _moved(self, compared: Sequence[GroupComparison]) -> dict[str, list[IdentifiedUnit]]:
        """Bytes that nobody has fetched yet, and that are no longer where they are recorded to be.

        What several units share may have several URLs: one that is recorded is enough.
        """
        held = {comparison.name: comparison.held for comparison in compared}
        places = [part for part in _artifacts(held) if part.url and part.size is not None]
        recorded = await self._recorded_urls({Digest.parse(part.sha256) for part in places})
        right = {part.sha256 for part in places if recorded.get(part.sha256) == part.url}
        elsewhere = [part for part in places if part.sha256 not in right]
        moved = {part.sha256 for part in elsewhere} - await self._stored(elsewhere)
        if not moved:
            return {}
        return {
            name: [
                unit
                for unit in units
                if any(part.url and part.sha256 in moved for part in unit.unit.artifacts)
            ]
            for name, units in held.items()
        }

    async def _recorded_urls(self, digests: set[Digest]) -> dict[str, str]:
        """Where this remote is known to have bytes, by their sha256."""
        origins = (
            await asyncio.to_thread(self._resolution.reader.origins_of, digests) if digests else {}
        )
        return {
            digest.hex: one.url
            for digest, found in origins.items()
            for one in found
            if one.remote == self._remote.meta.name
        }

    async def _with_urls(self, units: list[IdentifiedUnit]) -> list[IdentifiedUnit]:
        """Who records a sync need not say again where the bytes are that were left upstream: that
        is recorded.
        """
        nowhere = {
            Digest.parse(artifact.sha256)
            for one in units
            for artifact in one.unit.artifacts
            if not artifact.url
        }
        if not nowhere:
            return units
        urls = await self._recorded_urls(nowhere)

        def placed(artifact: Artifact) -> Artifact:
            return (
                artifact
                if artifact.url
                else msgspec.structs.replace(artifact, url=urls.get(artifact.sha256, ""))
            )

        units_with = [
            msgspec.structs.replace(
                one.unit, artifacts=[placed(part) for part in one.unit.artifacts]
            )
            for one in units
        ]
        return [
            msgspec.structs.replace(one, unit=unit)
            for one, unit in zip(units, units_with, strict=True)
        ]

    async def _with_downloads(self, changes: list[GroupChange]) -> list[GroupChange]:
        if self._remote.policy == ON_DEMAND:
            return changes
        stored = await self._stored(
            artifact for change in changes for line in change.lines for artifact in line.artifacts
        )
        return [
            GroupChange(change.head, [with_download(line, stored) for line in change.lines])
            for change in changes
        ]

    async def _stored(self, artifacts: Iterable[Artifact]) -> set[str]:
        """sha256 of those whose bytes the store has."""
        digests = {Digest.parse(artifact.sha256) for artifact in artifacts}
        if not digests:
            return set()
        return {
            digest.hex
            for digest in await asyncio.to_thread(self._resolution.reader.stored, digests)
        }


def _artifacts(held: Mapping[str, Sequence[IdentifiedUnit]]) -> list[Artifact]:
    return [part for units in held.values() for unit in units for part in unit.unit.artifacts]


def _unnamed(artifacts: Iterable[Artifact]) -> bool:
    return any(not artifact.sha256 for artifact in artifacts)


def _basis(url: str, selection: Selection, policy: str, revision: int) -> Digest:
    """Validators are one index's own, a policy that left bytes upstream has not brought them in,
    and an importer may learn to read better.
    """
    return Digest.of_value(
        [url, selection.digest.hex]
        + ([policy] if policy != IMMEDIATE else [])
        + ([revision] if revision != 1 else [])
    )
