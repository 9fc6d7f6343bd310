"""Execute: carry out the very plan that was shown. Independent repositories go on when one fails.

The order of writes: resources, then per repository bytes, rows and one flip, then per publication pages, completion,
pointer and exports, then the record of it all. A crash anywhere leaves rubbish, never a lie, and the next run goes on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from reconciler.database import Outcome, Writer
from reconciler.engine.exports import export, forget
from reconciler.engine.lease import leased
from reconciler.engine.planning import publication_digest, revision_of
from reconciler.engine.progress import Progress
from reconciler.engine.publish import publish
from reconciler.engine.remotes import Remotes
from reconciler.engine.steps import Step, reached
from reconciler.engine.sync import ContentSync, SourceAccess
from reconciler.errors import Conflict, ReconcilerError, StateFault
from reconciler.model import ActualPublication, ActualState, DesiredState, Digest, Kind, Publication, Ref, Repository
from reconciler.plan import Action, ContentChanges, Plan, ResourceChange, counts_text
from reconciler.plugin import Registry
from reconciler.store import Store

AT_ONCE = 4  # repositories synced at the same time

DONE, UNCHANGED, FAILED, BLOCKED = "done", "unchanged", "failed", "blocked"


@dataclass(frozen=True, slots=True)
class Site:
    """What every step of an execution shares."""

    writer: Writer
    store: Store
    registry: Registry
    remotes: Remotes
    progress: Progress
    clock: Callable[[], datetime]


@dataclass(slots=True)
class Report:
    """What became of each resource. `conflicts`: repositories whose content moved while they were fetched: plan again."""

    outcomes: list[Outcome] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(outcome.result in (FAILED, BLOCKED) for outcome in self.outcomes)

    def add(self, ref: Ref, result: str, message: str = "") -> None:
        self.outcomes.append(Outcome(str(ref), result, message))

    def result(self, ref: Ref) -> str | None:
        return next((outcome.result for outcome in self.outcomes if outcome.ref == str(ref)), None)


class Executor:
    """Carries out one plan."""

    def __init__(self, site: Site, plan: Plan, desired: DesiredState, fingerprints: dict[Ref, dict[str, str]], provenance: dict[str, Any]) -> None:
        self._site = site
        self._plan = plan
        self._desired = desired
        self._fingerprints = fingerprints
        self._provenance = provenance
        self._report = Report()

    async def run(self) -> Report:
        """Everything that can be done is done; the report says what was not, and why."""
        for change in self._plan.changes:
            if change.refusal:
                self._report.add(change.ref, FAILED, f"{change.refusal}\nhint: {change.hint}")
        await asyncio.to_thread(self._record_resources)
        slots = asyncio.Semaphore(AT_ONCE)
        actual = await asyncio.to_thread(self._site.writer.actual_state)

        async def one(change: ResourceChange) -> None:
            async with slots:
                await self._repository(change, actual)

        await asyncio.gather(*(one(change) for change in self._going(Kind.REPOSITORY)))
        actual = await asyncio.to_thread(self._site.writer.actual_state)
        for change in self._going(Kind.PUBLICATION):
            await self._publication(change, actual)
        return self._report

    def _going(self, kind: Kind) -> list[ResourceChange]:
        return [one for one in self._plan.changes if one.ref.kind is kind and one.action is not Action.DELETE and not one.refusal]

    def _record_resources(self) -> None:
        """Resources as declared, in one transaction; what goes takes its exports along."""
        writer = self._site.writer
        deleted = [one.ref for one in self._plan.changes if one.action is Action.DELETE and not one.refusal]
        recorded = writer.actual_state().resources
        for ref in deleted:
            for path in _recorded_exports(recorded[ref].spec) if ref.kind is Kind.PUBLICATION else []:
                forget(path)
        written = {one.ref for one in self._plan.changes if one.action in (Action.CREATE, Action.UPDATE) and not one.refusal}
        resources = [resource for resource in self._desired if resource.meta.ref in written]
        if resources or deleted:
            writer.record_resources(resources, self._fingerprints, deleted, self._site.clock())
        for ref in deleted:
            self._report.add(ref, DONE, "removed")
        for resource in resources:
            if resource.meta.kind in (Kind.REMOTE, Kind.FILTER):
                self._report.add(resource.meta.ref, DONE)

    async def _repository(self, change: ResourceChange, actual: ActualState) -> None:
        content = change.content
        assert content is not None
        problems = [str(failure) for failure in content.failures]
        message = ""
        if content.touched:
            try:
                message, failed = await self._synced(change, content, actual)
                problems.extend(failed)
            except Conflict as error:
                self._report.conflicts.append(change.ref.name)
                problems.append(str(error))
            except ReconcilerError as error:
                problems.append(str(error) + (f"\nhint: {error.hint}" if error.hint else ""))
        if problems:
            self._report.add(change.ref, FAILED, "\n".join(([message] if message else []) + problems))
        else:
            self._report.add(change.ref, UNCHANGED if change.action is Action.NO_OP else DONE, message)

    async def _synced(self, change: ResourceChange, content: ContentChanges, actual: ActualState) -> tuple[str, list[str]]:
        """(what came of it, which files failed)."""
        repository = self._desired.repositories[change.ref.name]
        repository_id = actual.repositories[repository.meta.name].id
        site = self._site
        task = site.progress.task(f"fetching {repository.meta.name}", content.plural)
        try:
            async with leased(site.writer, str(change.ref), site.clock):
                sync = ContentSync(site.writer, site.store, site.registry, self._access(repository), repository_id, task)
                try:
                    await sync.fetch(content)
                    number, digest, created = await sync.commit(content, self._version_provenance(repository), site.clock())
                except BaseException:
                    await sync.discard()
                    raise
        finally:
            task.done()
        words = counts_text(replace(content.counts, download=0), content.plural)
        message = f"version {number} {digest}" + (f", {words}" if created else ", unchanged")
        return message if content.counts.total else "", [str(failure) for failure in sync.failures]

    def _access(self, repository: Repository) -> dict[str, SourceAccess]:
        remotes = {source.id: self._desired.remotes[source.remote] for source in repository.sources}
        return {id: SourceAccess(self._site.remotes.fetcher(remote), remote.concurrency, remote.retries) for id, remote in remotes.items()}

    def _version_provenance(self, repository: Repository) -> dict[str, Any]:
        return {**self._provenance, "plugin": {"id": repository.type, "version": self._plan.plugins.get(repository.type, "")}}

    async def _publication(self, change: ResourceChange, actual: ActualState) -> None:
        publication = self._desired.publications[change.ref.name]
        source = Ref(Kind.REPOSITORY, publication.repository)
        if any(one.ref == source and one.refusal for one in self._plan.changes):
            self._report.add(change.ref, BLOCKED, f"{source} was refused")
            return
        try:
            message = await asyncio.to_thread(self._published, publication, actual)
        except ReconcilerError as error:
            self._report.add(change.ref, FAILED, str(error) + (f"\nhint: {error.hint}" if error.hint else ""))
        except Exception as error:  # a publisher may raise anything; the pointer stays where it was
            self._report.add(change.ref, FAILED, f"publisher `{publication.publisher}` failed: {type(error).__name__}: {error}")
        else:
            self._report.add(change.ref, DONE if message else UNCHANGED, message)

    def _published(self, publication: Publication, actual: ActualState) -> str:
        """What was done, empty when nothing had to be."""
        writer = self._site.writer
        current = actual.publications[publication.meta.name]
        version, version_digest = self._target(publication, actual)
        digest = publication_digest(version_digest, publication, revision_of(self._site.registry, publication.publisher))
        moved = current.digest != digest or current.version != version
        if moved:
            self._render(publication, current, actual, version, version_digest, digest)
        record = writer.publication(current.id)
        assert record is not None
        shown = [path for path in publication.exports if export(writer, self._site.store, current.id, record, path)]
        words = [f"serves version {version} of {publication.repository} at /{publication.path}/"] if moved else []
        return ", ".join(words + [f"exported to {path}" for path in shown])

    def _render(
        self, publication: Publication, current: ActualPublication, actual: ActualState, version: int, version_digest: Digest, digest: Digest
    ) -> None:
        """Render, complete, point. A complete publication of the same digest is only pointed to."""
        writer, now = self._site.writer, self._site.clock()
        last = writer.last_complete(current.id)
        if last is None or last.digest != digest or last.version != version:
            same = (
                last is not None
                and publication_digest(last.version_digest, publication, revision_of(self._site.registry, publication.publisher)) == last.digest
            )
            last = publish(
                writer,
                self._site.registry.publisher(publication.publisher),
                publication.options,
                publication_id=current.id,
                repository_id=actual.repositories[publication.repository].id,
                version=version,
                version_digest=version_digest,
                digest=digest,
                rendered=(last.version if last else 0, same),
                now=now,
            )
        writer.point(current.id, last.number)
        reached(Step.POINTER_SET)

    def _target(self, publication: Publication, actual: ActualState) -> tuple[int, Digest]:
        state = actual.repositories[publication.repository]
        wanted = publication.version
        if wanted == "latest" or wanted == state.number:
            return state.number, state.digest
        number = wanted if isinstance(wanted, int) else self._site.writer.version_by_digest(state.id, Digest.parse(wanted))
        record = self._site.writer.version(state.id, number) if number is not None else None
        if record is None:
            raise StateFault(f"repository `{publication.repository}` has no version `{wanted}`")
        return record.number, record.digest


def _recorded_exports(spec: Any) -> list[str]:
    """Absolute ones only: what a relative path was relative to went with the manifest, and the tree stays."""
    paths = [one["directory"]["path"] for one in spec.get("exports", []) if "directory" in one]
    return [path for path in paths if os.path.isabs(path)]
