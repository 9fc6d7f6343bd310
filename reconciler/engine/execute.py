"""Execute: carry out the very plan that was shown. Independent repositories go on when one fails.

The order of writes: resources, then per repository bytes, rows and one flip, then per publication pages, completion,
pointer and exports, then the record of it all. A crash anywhere leaves rubbish, never a lie, and the next run goes on.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.database import Outcome
from reconciler.engine.exports import forget
from reconciler.engine.lease import leased
from reconciler.engine.serving import serve_version
from reconciler.engine.site import Site
from reconciler.engine.sync import ContentSync, SourceAccess
from reconciler.errors import Conflict, ReconcilerError
from reconciler.model import ActualState, DesiredState, Kind, Ref, Repository
from reconciler.plan import Action, ContentChanges, Plan, ResourceChange, counts_text

AT_ONCE = 4  # repositories synced at the same time

DONE, UNCHANGED, FAILED, BLOCKED = "done", "unchanged", "failed", "blocked"


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
        written -= {Ref(Kind.PUBLICATION, name) for name in self._desired.publications if self._blocked(name)}
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
                problems.append(_explained(error))
            except Exception as error:  # a full disk, a locked database: this repository's failure, the others go on
                problems.append(f"{type(error).__name__}: {error}")
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
                access = self._access(repository, content)
                sync = ContentSync(site.writer, site.store, site.registry, access, site.in_flight, repository_id, task)
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

    def _access(self, repository: Repository, content: ContentChanges) -> dict[str, SourceAccess]:
        """How the files of each source come in; a source whose listing failed has none, and may not even have its secrets."""
        silent = {failure.source for failure in content.failures if failure.group is None}
        remotes = {source.id: self._desired.remotes[source.remote] for source in repository.sources if source.id not in silent}
        return {id: SourceAccess(self._site.remotes.fetcher(remote), remote.concurrency, remote.retries) for id, remote in remotes.items()}

    def _version_provenance(self, repository: Repository) -> dict[str, Any]:
        return {**self._provenance, "plugin": {"id": repository.type, "version": self._plan.plugins.get(repository.type, "")}}

    async def _publication(self, change: ResourceChange, actual: ActualState) -> None:
        publication = self._desired.publications[change.ref.name]
        if self._blocked(change.ref.name):
            self._report.add(change.ref, BLOCKED, f"repository/{publication.repository} was refused")
            return
        try:
            message = await serve_version(self._site, publication, change, actual)
        except ReconcilerError as error:
            self._report.add(change.ref, FAILED, _explained(error))
        except Exception as error:  # a publisher may raise anything; the pointer stays where it was
            self._report.add(change.ref, FAILED, f"publisher `{publication.publisher}` failed: {type(error).__name__}: {error}")
        else:
            self._report.add(change.ref, DONE if message else UNCHANGED, message)

    def _blocked(self, publication: str) -> bool:
        """Was its repository refused? Then nothing of the publication changes either."""
        source = Ref(Kind.REPOSITORY, self._desired.publications[publication].repository)
        return any(one.ref == source and one.refusal for one in self._plan.changes)


def _explained(error: ReconcilerError) -> str:
    return f"{error}\nhint: {error.hint}" if error.hint else str(error)


def _recorded_exports(spec: Any) -> list[str]:
    """Absolute ones only: what a relative path was relative to went with the manifest, and the tree stays."""
    paths = [one["directory"]["path"] for one in spec.get("exports", []) if "directory" in one]
    return [path for path in paths if os.path.isabs(path)]
