"""Damaged bytes are fetched again from the sources that brought them.

A source is asked for the groups that hold damaged files, as `explain` asks it: whatever it offers
with the digest is fetched. A name is asked of no other source than the one that brought it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import msgspec

from reconciler.database import ArtifactUse, Damage
from reconciler.engine.integrity.verification import DamagedPage, uploaded_alone
from reconciler.engine.plugin_calls.plugin_errors import error_message
from reconciler.engine.publishing.exports import export, forget_export
from reconciler.engine.publishing.release import release_publication
from reconciler.engine.publishing.release_target import ReleasePolicy
from reconciler.engine.run.lease import leased
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.repository_resolution import OtherRepositories, RepositoryResolution
from reconciler.engine.sources.resolution import make_resolver, reserve_uploads
from reconciler.engine.sources.source_artifacts import RemoteArtifacts
from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.engine.transfer.artifact_fetcher import ArtifactFetcher, SourceAccess
from reconciler.engine.transfer.stored_bytes import MISSING
from reconciler.engine.transfer.transfer_warnings import TransferWarnings
from reconciler.errors import ReconcilerError, StateFault
from reconciler.model import (
    ActualState,
    DesiredState,
    Digest,
    Publication,
    Source,
    SourceKind,
    Unit,
    artifact_digest,
    identify,
    pluralize,
)
from reconciler.plan import ADD, ChangeLine
from reconciler.plugin import Decision

logger = logging.getLogger(__name__)

NOT_OFFERED = "no source of the repository offers it any more"
UPLOADED = "it was uploaded: upload it again"
UNDECLARED = "the repository is not declared, or its plugin is not installed"


@dataclass(slots=True)
class RepairResult:
    """Outcome of a repair, by repository.

    Attributes:
        mended: Paths of files whose bytes are there again.
        lost: Paths of files whose bytes could not be had, and why.
        deferred: Files that were extracted for pages: the next apply extracts them again.
        rendered: Publications whose pages were rendered anew; `unrendered`: others, and why.
    """

    mended: dict[str, list[str]] = field(default_factory=dict)
    lost: dict[str, dict[str, str]] = field(default_factory=dict)
    rendered: list[str] = field(default_factory=list)
    unrendered: dict[str, str] = field(default_factory=dict)
    deferred: int = 0

    @property
    def complete(self) -> bool:
        """True if nothing stays damaged."""
        return not self.lost and not self.unrendered and not self.deferred

    def message(self, repository: str) -> str:
        """Return what was mended in a repository, in one line; empty if nothing was."""
        paths = self.mended.get(repository, [])
        return f"{pluralize(len(paths), 'damaged file')} mended" if paths else ""

    def problems(self, repository: str) -> list[str]:
        """Return a line for each file of a repository that stays damaged."""
        return [
            f"`{path}` is missing from the store or damaged, and cannot be fetched: {reason}"
            for path, reason in sorted(self.lost.get(repository, {}).items())
        ]


class Repair:
    """Mends what is recorded as damaged.

    Args:
        desired: What is declared, beside what is recorded.
    """

    def __init__(self, session: WritingSession, desired: DesiredState) -> None:
        self._session = session
        self._writer = session.writer
        self._desired = desired.with_recorded()
        self._reasons: dict[tuple[str, Digest], str] = {}
        self._left: set[Digest] = set()  # what is damaged still

    async def run(self) -> RepairResult:
        """Mend everything that can be mended; costs one query where nothing is damaged."""
        damage = await asyncio.to_thread(self._writer.damage)
        if not damage:
            return RepairResult()
        uses = await asyncio.to_thread(self._uses, damage)
        await asyncio.to_thread(self._settle, damage, uses)
        self._left = await self._damaged()
        actual = await asyncio.to_thread(self._writer.actual_state)
        for name in sorted({use.repository for use in uses if use.digest in self._left}):
            await self._mend_repository(name, uses, actual)
        await self._renew_exports(damage)
        damaged = await self._damaged()
        result = self._result(uses, damaged)
        result.deferred = len(damaged - {use.digest for use in uses})
        return result

    async def render_anew(
        self, pages: Sequence[DamagedPage], actual: ActualState, *, result: RepairResult
    ) -> None:
        """Render publications anew of which pages are damaged."""
        damaged: dict[str, list[Digest]] = {}
        for page in pages:
            damaged.setdefault(page.publication, []).append(page.digest)
        for name, digests in damaged.items():
            try:
                await self._render(name, digests, actual)
            except ReconcilerError as error:
                result.unrendered[name] = error_message(error)
            else:
                result.rendered.append(name)

    async def _render(self, name: str, digests: Sequence[Digest], actual: ActualState) -> None:
        """Forget damaged pages, and release the publication as the next apply would do."""
        id_ = actual.publications[name].id
        await asyncio.to_thread(self._writer.forget_pages, id_, digests)
        publication = self._desired.publications.get(name)
        if publication is None:
            raise StateFault(f"publication `{name}`: {UNDECLARED}")
        guard = self._desired.repositories[publication.repository].guard
        policy = ReleasePolicy(self._desired, guard=guard, damage_known=True)
        current = await asyncio.to_thread(self._writer.actual_state)
        await release_publication(self._session, publication, current, policy=policy)

    def _uses(self, damage: Sequence[Damage]) -> list[ArtifactUse]:
        return self._writer.artifact_uses(record.digest for record in damage)

    def _settle(self, damage: Sequence[Damage], uses: Iterable[ArtifactUse]) -> None:
        """Forget what nothing needs, or what stays upstream; take back what is there again."""
        repositories: dict[Digest, set[str]] = {}
        for use in uses:
            repositories.setdefault(use.digest, set()).add(use.repository)
        upstream = {
            digest
            for digest, origins in self._writer.origins_of(repositories).items()
            if self._stays_upstream(repositories[digest], {origin.remote for origin in origins})
        }
        unused = {record.digest for record in damage} - repositories.keys()
        if unused:
            needed = self._writer.needed_artifacts()
            unused = {digest for digest in unused if digest.raw not in needed}
        self._writer.forget_damage(unused | upstream)
        store = self._session.store
        self._stored(
            {digest: store.size(digest) for digest in repositories if store.verify(digest)}
        )

    def _stays_upstream(self, repositories: Iterable[str], remotes: Set[str]) -> bool:
        """Return True if each repository has a remote of its own that leaves the bytes upstream."""
        return all(
            any(map(self._leaves_upstream, remotes & self._desired.remotes_of(name)))
            for name in repositories
        )

    def _leaves_upstream(self, remote: str) -> bool:
        return remote in self._desired.remotes and self._desired.remotes[remote].leaves_upstream

    async def _damaged(self) -> set[Digest]:
        return {record.digest for record in await asyncio.to_thread(self._writer.damage)}

    async def _mend_repository(
        self, name: str, uses: Sequence[ArtifactUse], actual: ActualState
    ) -> None:
        """Ask each source of a repository for the groups of which it brought damaged files."""
        repository = self._desired.repositories.get(name)
        if repository is None or name not in actual.repositories:
            self._explain(uses, name, UNDECLARED)
            return
        # URLs may have run out since the pages were read
        session = replace(self._session, remotes=self._session.remotes.reading_again())
        resolution = RepositoryResolution.start(session, repository, actual)
        try:
            await reserve_uploads(resolution)
            for source in repository.sources:
                lost = self._lost(name, uses)
                groups = sorted(
                    group
                    for group, of_group in lost.items()
                    if any(use.source == source.id for use in of_group)
                )
                if groups and source.kind is SourceKind.REMOTE:
                    await self._mend_source(resolution, source, groups, lost=lost)
        finally:
            resolution.task.done()

    def _lost(self, name: str, uses: Iterable[ArtifactUse]) -> dict[str, list[ArtifactUse]]:
        """Return the damaged files of a repository by group."""
        lost: dict[str, list[ArtifactUse]] = {}
        for use in uses:
            if use.repository == name and use.digest in self._left:
                lost.setdefault(use.group, []).append(use)
        return lost

    async def _mend_source(
        self,
        resolution: RepositoryResolution,
        source: Source,
        groups: Sequence[str],
        *,
        lost: Mapping[str, Sequence[ArtifactUse]],
    ) -> None:
        """Fetch what a source offers of damaged files; a group that fails holds up no other one."""
        name = resolution.repository.meta.name
        brought = [use for group in groups for use in lost[group] if use.source == source.id]
        try:
            others = OtherRepositories(await asyncio.to_thread(self._writer.actual_state), {})
            resolver = make_resolver(resolution, source, self._desired, others=others)
            responses = [response for response, _ in await resolver.explain(groups)]
        except Exception as error:  # whatever a source or a plugin raises
            logger.warning("%s: cannot be asked for damaged files: %s", source.id, error)
            self._explain(brought, name, f"{source.id}: {error_message(error)}")
            resolution.ownership.mark_unavailable(source.id)
            return
        fetcher = self._fetcher(source)
        for response in responses:
            if response.failure is None:
                await self._mend_group(fetcher, source, response, lost=lost.get(response.name, ()))
                continue
            of_group = [use for use in brought if use.group == response.name]
            self._explain(of_group, name, f"{source.id}: {error_message(response.failure)}")

    async def _mend_group(
        self,
        fetcher: ArtifactFetcher,
        source: Source,
        response: SourceResponse,
        *,
        lost: Sequence[ArtifactUse],
    ) -> None:
        """Fetch the damaged files of a group that a source offers, several at once."""
        digests, paths = {use.digest.hex for use in lost}, {use.path for use in lost}
        slots = asyncio.Semaphore(self._desired.remotes[source.name].concurrency)

        async def mend(unit: Unit) -> Mapping[Digest, int]:
            async with slots:
                return await self._mend_unit(fetcher, source, response.name, unit=unit, lost=lost)

        units = [
            unit
            for unit in response.units
            if any(
                artifact.sha256 in digests or (artifact.path in paths and not artifact.sha256)
                for artifact in unit.artifacts
            )
        ]
        fetched = await asyncio.gather(*map(mend, units))
        sizes = {digest: size for of_unit in fetched for digest, size in of_unit.items()}
        await asyncio.to_thread(self._stored, sizes)

    def _fetcher(self, source: Source) -> ArtifactFetcher:
        remote = self._desired.remotes[source.name]
        access = SourceAccess.of(self._session.remotes, remote)
        return ArtifactFetcher(
            self._session.store,
            self._session.registry,
            {source.id: replace(access, later=False)},
            in_flight=self._session.in_flight,
            here=self._session.measurements,
            progress=lambda size: None,
            warnings=TransferWarnings(),
            watch=self._session.watch,
        )

    async def _mend_unit(
        self,
        fetcher: ArtifactFetcher,
        source: Source,
        group: str,
        *,
        unit: Unit,
        lost: Sequence[ArtifactUse],
    ) -> Mapping[Digest, int]:
        """Fetch artifacts of a unit that a source offers; return the sizes of those that came."""
        try:
            return await self._fetched(fetcher, source, group, unit=unit)
        except Exception as error:  # of this file: the others go on
            offered = {artifact.path for artifact in unit.artifacts}
            for use in lost:
                if use.path in offered:
                    reason = f"{source.id}: {error_message(error)}"
                    self._reasons[use.repository, use.digest] = reason
            return {}

    async def _fetched(
        self, fetcher: ArtifactFetcher, source: Source, group: str, *, unit: Unit
    ) -> Mapping[Digest, int]:
        """Fetch the damaged artifacts of a unit; measure those of which no digest is declared."""
        remote = self._desired.remotes[source.name]
        measured = await RemoteArtifacts(self._session, remote).measured([Decision(unit, True)])
        identified = identify(measured[0] if measured else unit, group)
        line = ChangeLine(
            ADD,
            identified.type,
            identified.key,
            digest=identified.digest,
            body=msgspec.Raw(identified.body),
            artifacts=identified.artifacts,
        )
        artifacts = {artifact_digest(artifact) for artifact in identified.artifacts}
        here = frozenset(artifacts - self._left)
        return (await fetcher.fetch(source.id, line, here)).sizes

    def _stored(self, sizes: Mapping[Digest, int]) -> None:
        if sizes:
            self._session.store.sync()
        for digest, size in sizes.items():
            self._writer.artifact_stored(digest, size)
        self._left -= sizes.keys()

    async def _renew_exports(self, damage: Iterable[Damage]) -> None:
        """Write exports anew whose files were links to what was damaged."""
        changed = {record.digest for record in damage if record.problem != MISSING}
        shown = await asyncio.to_thread(self._writer.publications_showing, changed)
        actual = await asyncio.to_thread(self._writer.actual_state)
        for name, state in actual.publications.items():
            publication = self._desired.publications.get(name)
            if publication is not None and publication.exports and state.id in shown:
                await self._renew_exports_of(publication, state.id)

    async def _renew_exports_of(self, publication: Publication, publication_id: int) -> None:
        """Write the exports of a publication; what cannot be written waits for the next apply."""
        session = self._session
        for directory in publication.exports:
            forget_export(directory)
        try:
            async with leased(
                session.writer,
                str(publication.meta.ref),
                session.clock,
                patience=session.patience,
            ):
                await asyncio.to_thread(self._export, publication, publication_id)
        except (ReconcilerError, OSError) as error:
            logger.warning("%s cannot be exported anew: %s", publication.meta.ref, error)

    def _export(self, publication: Publication, publication_id: int) -> None:
        record = self._writer.publication(publication_id)
        if record is None:
            return
        for directory in publication.exports:
            export(
                self._writer,
                self._session.store,
                publication_id,
                record=record,
                directory=directory,
                now=self._session.clock(),
                grace=publication.grace,
                base_url=publication.base_url,
            )

    def _explain(self, uses: Iterable[ArtifactUse], repository: str, reason: str) -> None:
        for use in uses:
            if use.repository == repository:
                self._reasons.setdefault((repository, use.digest), reason)

    def _result(self, uses: Iterable[ArtifactUse], damaged: set[Digest]) -> RepairResult:
        result = RepairResult()
        uses = list(uses)
        uploaded = uploaded_alone(uses)
        for use in uses:
            if use.digest not in damaged:
                paths = result.mended.setdefault(use.repository, [])
                paths += [use.path] if use.path not in paths else []
            else:
                default = UPLOADED if use.digest in uploaded else NOT_OFFERED
                reason = self._reasons.get((use.repository, use.digest), default)
                result.lost.setdefault(use.repository, {})[use.path] = reason
        return result
