"""Artifacts of a source: digests to be measured, and bytes that have yet to be fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from reconciler.database import Reader
from reconciler.engine.session.session import Session
from reconciler.engine.sources.committed_state import CommittedState
from reconciler.engine.sources.source_responses import GroupComparison
from reconciler.errors import DigestMismatch, PluginFault
from reconciler.model import (
    Artifact,
    Digest,
    IdentifiedUnit,
    Remote,
    Unit,
    artifact_digest,
)
from reconciler.plan import GroupChange, with_download, with_upstream
from reconciler.plugin import Decision
from reconciler.remote import storable_url


class SourceArtifacts:
    """Artifacts of a source whose bytes are known to the store already, such as another repository.

    Attributes:
        reason: Why units that are held have yet to be fetched.
    """

    reason = ""

    async def measured(
        self, decisions: Sequence[Decision], awaited: Collection[int] = ()
    ) -> list[Unit] | None:
        """Return all units with the digests of their artifacts; None if every one has them.

        Artifacts without a digest are downloaded where their unit is let in. Their sizes may
        change the decision. `awaited`: `id` of further units, which wait since their bytes were
        first seen.
        """
        return None

    async def unfetched(
        self, compared: Sequence[GroupComparison], committed: CommittedState
    ) -> Mapping[str, Sequence[IdentifiedUnit]]:
        """Return unchanged units whose bytes have to be fetched nevertheless, by group."""
        return {}

    async def with_downloads(self, changes: Sequence[GroupChange]) -> Sequence[GroupChange]:
        """Return the changes with the bytes still to be downloaded, or left upstream."""
        return changes


class RemoteArtifacts(SourceArtifacts):
    """Artifacts of a remote: downloaded, or left there until a client asks for them."""

    def __init__(self, session: Session, remote: Remote) -> None:
        self._session = session
        self._reader: Reader = session.reader
        self._remote = remote
        self._left_upstream = remote.leaves_upstream
        self.reason = (
            "its bytes are elsewhere upstream now"
            if self._left_upstream
            else "its bytes were left upstream until now"
        )

    async def measured(
        self, decisions: Sequence[Decision], awaited: Collection[int] = ()
    ) -> list[Unit] | None:
        lacking = {
            id(decision.unit)
            for decision in decisions
            if (decision.accepted or id(decision.unit) in awaited)
            and _lacks_digest(decision.unit.artifacts)
        }
        if not lacking:
            return None
        units = [decision.unit for decision in decisions]
        return list(await asyncio.gather(*(self._measured_unit(unit, lacking) for unit in units)))

    async def unfetched(
        self, compared: Sequence[GroupComparison], committed: CommittedState
    ) -> Mapping[str, Sequence[IdentifiedUnit]]:
        if self._left_upstream:
            return await self._moved(compared)
        # The policy is part of `rules_digest`: where that is the same, no bytes were left upstream.
        return await self._left(
            [group for group in compared if committed.has_other_rules(group.name)]
        )

    async def groups_not_stored(self, groups: Mapping[str, Sequence[Unit]]) -> set[str]:
        """Return the names of groups of which the store lacks bytes that should not be upstream."""
        if self._left_upstream:
            return set()
        stored = await self._stored(
            artifact for units in groups.values() for unit in units for artifact in unit.artifacts
        )
        return {
            name
            for name, units in groups.items()
            if any(artifact_digest(part) not in stored for unit in units for part in unit.artifacts)
        }

    async def with_downloads(self, changes: Sequence[GroupChange]) -> Sequence[GroupChange]:
        artifacts = [
            artifact for change in changes for line in change.lines for artifact in line.artifacts
        ]
        stored = await self._stored(artifacts)
        sizes = await self._known_sizes(set(map(artifact_digest, artifacts)) - stored)
        counted = with_upstream if self._left_upstream else with_download
        return [
            GroupChange(change.head, [counted(line, stored, sizes) for line in change.lines])
            for change in changes
        ]

    async def _known_sizes(self, digests: set[Digest]) -> dict[Digest, int]:
        """Return sizes that the database knows, from bytes it once had or from other sources."""
        return await asyncio.to_thread(self._reader.known_sizes, digests) if digests else {}

    async def _measured_unit(self, unit: Unit, lacking: Collection[int]) -> Unit:
        if id(unit) not in lacking:
            return unit
        measured = await asyncio.gather(*map(self._measured_artifact, unit.artifacts))
        return msgspec.structs.replace(unit, artifacts=list(measured))

    async def _measured_artifact(self, artifact: Artifact) -> Artifact:
        if artifact.sha256:
            return artifact
        if not artifact.url:
            raise PluginFault(
                f"artifact `{artifact.path}` has neither a sha256 nor a URL",
                hint="give it one of them: `url=` leads to its bytes",
            )
        try:
            measured = await self._session.measurements.measure(
                self._session.remotes,
                self._remote,
                artifact.url,
                limit=max(artifact.size or 0, self._remote.max_size),
                digests=artifact.digests,
            )
        except DigestMismatch as error:
            raise DigestMismatch(f"`{artifact.path}`: {error.message}", hint=error.hint) from None
        size = measured.size if artifact.size is None else artifact.size
        return msgspec.structs.replace(artifact, sha256=measured.sha256, size=size)

    async def _left(self, compared: Sequence[GroupComparison]) -> dict[str, list[IdentifiedUnit]]:
        """Return units whose bytes an earlier policy left upstream."""
        unchanged = {comparison.name: comparison.unchanged for comparison in compared}
        stored = await self._stored(_artifacts(unchanged))
        lacking = {
            name: [
                unit
                for unit in units
                if any(artifact_digest(artifact) not in stored for artifact in unit.unit.artifacts)
            ]
            for name, units in unchanged.items()
        }
        return {name: await self._with_urls(units) for name, units in lacking.items() if units}

    async def _moved(self, compared: Sequence[GroupComparison]) -> dict[str, list[IdentifiedUnit]]:
        """Return units whose bytes were left upstream and are no longer where they are recorded.

        What several units share may have several URLs: one that is recorded is enough.
        """
        unchanged = {comparison.name: comparison.unchanged for comparison in compared}
        located = [
            (bytes.fromhex(artifact.sha256), artifact.url)
            for artifact in _artifacts(unchanged)
            if artifact.url and not artifact.within
        ]
        recorded = await self._recorded_urls({raw for raw, _ in located})
        right = {raw for raw, url in located if _is_recorded(recorded.get(raw), url)}
        elsewhere = {Digest(raw) for raw, _ in located if raw not in right}
        if not elsewhere:
            return {}
        moved = elsewhere - await asyncio.to_thread(self._reader.stored, elsewhere)
        if not moved:
            return {}
        return {
            name: [
                unit
                for unit in units
                if any(
                    artifact.url and artifact_digest(artifact) in moved
                    for artifact in unit.unit.artifacts
                )
            ]
            for name, units in unchanged.items()
        }

    async def _recorded_urls(self, digests: Collection[bytes]) -> dict[bytes, str]:
        """Return the URLs at which this remote is recorded to have bytes, by raw digests."""
        if not digests:
            return {}
        name = self._remote.meta.name
        return await asyncio.to_thread(self._reader.recorded_urls, name, digests)

    async def _with_urls(self, units: list[IdentifiedUnit]) -> list[IdentifiedUnit]:
        """Return the units with the recorded URLs of artifacts that have none.

        A low-level importer need not repeat where bytes are that were left upstream.
        """
        nowhere = {
            artifact_digest(artifact).raw
            for unit in units
            for artifact in unit.unit.artifacts
            if not artifact.url
        }
        if not nowhere:
            return units
        urls = await self._recorded_urls(nowhere)
        return [
            msgspec.structs.replace(
                unit,
                unit=msgspec.structs.replace(
                    unit.unit,
                    artifacts=[_located(artifact, urls) for artifact in unit.unit.artifacts],
                ),
            )
            for unit in units
        ]

    async def _stored(self, artifacts: Iterable[Artifact]) -> set[Digest]:
        """Return the digests of those artifacts whose bytes the store has."""
        digests = {artifact_digest(artifact) for artifact in artifacts}
        if not digests:
            return set()
        return await asyncio.to_thread(self._reader.stored, digests)


def _is_recorded(recorded: str | None, url: str) -> bool:
    """Return True if a URL is the recorded one: most are, to the letter."""
    return recorded == url or recorded == storable_url(url)[0]


def _located(artifact: Artifact, urls: Mapping[bytes, str]) -> Artifact:
    if artifact.url:
        return artifact
    return msgspec.structs.replace(artifact, url=urls.get(artifact_digest(artifact).raw, ""))


def _artifacts(units: Mapping[str, Sequence[IdentifiedUnit]]) -> list[Artifact]:
    return [
        artifact for group in units.values() for unit in group for artifact in unit.unit.artifacts
    ]


def _lacks_digest(artifacts: Iterable[Artifact]) -> bool:
    return any(not artifact.sha256 for artifact in artifacts)
