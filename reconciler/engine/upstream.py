"""Sources of the kind `remote`: what reading through declared groups and recording a sync have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from reconciler.engine.calls import Desk
from reconciler.engine.selection import Selection
from reconciler.engine.sources import Asked, SourceResolver
from reconciler.errors import Malformed, PluginFault
from reconciler.model import Artifact, Digest, Remote, Sealed, Source, Unit
from reconciler.plan import ChangeLine, GroupChange, fetching, with_download
from reconciler.plugin import Decision

IMMEDIATE, ON_DEMAND = "immediate", "on-demand"


class UpstreamSource(SourceResolver):
    """Knows its remote: where to ask, what to download, and what to leave there until somebody wants it."""

    def __init__(self, asked: Asked, source: Source, selection: Selection, remote: Remote) -> None:
        with asked.context.patience.named(asked.call("well_known")):
            url = asked.context.remotes.url(remote)
        super().__init__(asked, source, selection, _basis(url, selection, remote.policy))
        self._remote = remote
        self._desk = Desk(
            url,
            source.options,
            source.config,
            partial(asked.context.remotes.pages, remote),
            asked.context.places.passing(asked.repository.meta.name, asked.owner),
            asked.findings.pads,
            asked.owner,
        )

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            self._desk.place.close()

    async def _with_digests(self, decisions: Sequence[Decision]) -> list[Unit] | None:
        if not any(one.accepted and _unnamed(one.unit.artifacts) for one in decisions):
            return None
        return list(await asyncio.gather(*(self._named(one) for one in decisions)))

    async def _named(self, decision: Decision) -> Unit:
        unit = decision.unit
        if not decision.accepted or not _unnamed(unit.artifacts):
            return unit
        return msgspec.structs.replace(unit, artifacts=list(await asyncio.gather(*map(self._measured, unit.artifacts))))

    async def _measured(self, artifact: Artifact) -> Artifact:
        if artifact.sha256:
            return artifact
        if not artifact.url:
            raise PluginFault(f"artifact `{artifact.path}` has neither a sha256 nor a URL")
        measured = await self._asked.context.measuring.measure(self._asked.context.remotes, self._remote, artifact.url)
        if artifact.size not in (None, measured.size):
            raise Malformed(f"`{artifact.path}` has {measured.size:,} bytes instead of the {artifact.size:,} that were declared for it")
        return msgspec.structs.replace(artifact, sha256=measured.sha256, size=measured.size)

    async def _lacking(self, name: str, wanted: Sequence[Sealed], lines: Sequence[ChangeLine]) -> list[ChangeLine]:
        """Bytes that an earlier policy left upstream: they are looked for where the group was committed under another basis."""
        committed = self._committed.get(name)
        if self._remote.policy != IMMEDIATE or committed is None or committed.selection == self._basis:
            return []
        touched = {(line.type, line.key) for line in lines}
        held = [one for one in wanted if (one.unit.type, one.unit.key) not in touched]
        stored = await self._stored(artifact for one in held for artifact in one.unit.artifacts)
        lacking = [one for one in held if any(artifact.sha256 not in stored for artifact in one.unit.artifacts)]
        return [fetching(one, self._selection) for one in await self._with_urls(lacking)]

    async def _with_urls(self, units: list[Sealed]) -> list[Sealed]:
        """Who records a sync need not say again where the bytes are that were left upstream: that is recorded."""
        nowhere = {Digest.parse(artifact.sha256) for one in units for artifact in one.unit.artifacts if not artifact.url}
        if not nowhere:
            return units
        origins = await asyncio.to_thread(self._asked.reader.origins_of, nowhere)
        urls = {digest.hex: one.url for digest, found in origins.items() for one in found if one.remote == self._remote.meta.name}

        def placed(artifact: Artifact) -> Artifact:
            return artifact if artifact.url else msgspec.structs.replace(artifact, url=urls.get(artifact.sha256, ""))

        units_with = [msgspec.structs.replace(one.unit, artifacts=[placed(part) for part in one.unit.artifacts]) for one in units]
        return [msgspec.structs.replace(one, unit=unit) for one, unit in zip(units, units_with, strict=True)]

    async def _with_downloads(self, changes: list[GroupChange]) -> list[GroupChange]:
        if self._remote.policy == ON_DEMAND:
            return changes
        stored = await self._stored(artifact for change in changes for line in change.lines for artifact in line.artifacts)
        return [GroupChange(change.head, [with_download(line, stored) for line in change.lines]) for change in changes]

    async def _stored(self, artifacts: Iterable[Artifact]) -> set[str]:
        """sha256 of those whose bytes the store has."""
        digests = {Digest.parse(artifact.sha256) for artifact in artifacts}
        if not digests:
            return set()
        return {digest.hex for digest in await asyncio.to_thread(self._asked.reader.stored, digests)}


def _unnamed(artifacts: Iterable[Artifact]) -> bool:
    return any(not artifact.sha256 for artifact in artifacts)


def _basis(url: str, selection: Selection, policy: str) -> Digest:
    """Validators are one index's own, and a policy that left bytes upstream has not brought them in."""
    return Digest.of_value([url, selection.digest.hex] if policy == IMMEDIATE else [url, selection.digest.hex, policy])
