"""The very plan that was shown is carried out. Independent repositories go on when one fails.

The order of writes: first sights; resources and the plugins that they use; damaged bytes that are
fetched again; per repository bytes, rows and one commit; per publication pages, completion, pointer
and exports; then deletions, with what takes their place in the same transaction; then the record of
it all. A crash anywhere leaves garbage, never a wrong record, and the next run goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from reconciler.engine.applying.deletions import Deletions
from reconciler.engine.applying.publication_release import PublicationReleases
from reconciler.engine.applying.repairs import Repairs
from reconciler.engine.applying.report import BLOCKED, DONE, FAILED, UNCHANGED, Report
from reconciler.engine.applying.repository_sync import RepositorySync, SyncResult
from reconciler.engine.applying.resource_records import Fingerprints, ResourceRecorder
from reconciler.engine.applying.schedule import Schedule
from reconciler.engine.plugin_lifecycle.attachments import PluginLifecycle, recorded_attachments
from reconciler.engine.session.session import WritingSession
from reconciler.logs import log_context
from reconciler.model import ActualState, DesiredState, Kind, Ref
from reconciler.plan import Action, Plan, ResourceChange

MAX_CONCURRENT = 4  # repositories synced at the same time


class Executor:
    """Carries out one plan: calls the other modules of this room in the order of writes."""

    def __init__(
        self,
        session: WritingSession,
        plan: Plan,
        desired: DesiredState,
        *,
        fingerprints: Fingerprints,
        provenance: Mapping[str, Any],
    ) -> None:
        self._session = session
        self._plan = plan
        self._desired = desired
        self._report = Report()
        self._schedule = Schedule(plan, desired)
        self._recorder = ResourceRecorder(session, desired, fingerprints)
        self._sync = RepositorySync(session, desired, provenance)
        self._repairs = Repairs(session, desired, report=self._report)
        self._synced: dict[str, int] = {}  # versions that hold everything that was planned

    async def run(self) -> Report:
        """Do everything that can be done; the report says what was not, and why."""
        self._report_refusals()
        await asyncio.to_thread(self._session.first_sights.record, self._session.writer)
        before = await self._actual()
        lifecycle = await asyncio.to_thread(self._attach_plugins, before)
        deletions = Deletions(self._desired, self._schedule, before, report=self._report)
        await asyncio.to_thread(self._record, before, lifecycle, deletions)
        await self._repairs.prepare(self._schedule)
        await self._sync_repositories(await self._actual())
        self._repairs.report()
        actual = await self._actual()
        releases = PublicationReleases(
            self._session,
            self._desired,
            self._schedule,
            report=self._report,
            repairs=self._repairs,
        )
        await releases.run(actual, deletions.removed_exports)
        await asyncio.to_thread(
            deletions.carry_out, self._session.reader, lifecycle, self._recorder, actual=actual
        )
        self._report_unchanged()
        return self._report

    async def _actual(self) -> ActualState:
        return await asyncio.to_thread(self._session.reader.actual_state)

    def _report_refusals(self) -> None:
        for change in self._plan.all_changes:
            if change.refusal:
                self._report.add(change.ref, FAILED, f"{change.refusal}\nhint: {change.hint}")

    def _report_unchanged(self) -> None:
        """Report each declared resource of which nothing was to be done and nothing was said."""
        for change in self._plan.changes:
            if change.action is Action.NO_OP and self._report.result(change.ref) is None:
                self._report.add(change.ref, UNCHANGED)

    def _attach_plugins(self, before: ActualState) -> PluginLifecycle:
        """Call the hooks of plugins that are used for the first time.

        What a plugin refuses is left exactly as it was.
        """
        attachments = recorded_attachments(self._session.reader.every_attachment(), before)
        lifecycle = PluginLifecycle(self._session, before, attachments)
        repositories = [
            self._desired.repositories[change.ref.name]
            for change in self._schedule.changes(Kind.REPOSITORY)
        ]
        self._exclude(lifecycle.attach_importers(repositories))
        publications = [
            self._desired.publications[change.ref.name]
            for change in self._schedule.changes(Kind.PUBLICATION)
        ]
        self._exclude(
            lifecycle.attach_publishers(
                publication
                for publication in publications
                if not self._schedule.blocking_refusal(publication)
            )
        )
        return lifecycle

    def _exclude(self, failures: Mapping[Ref, str]) -> None:
        for ref, message in failures.items():
            self._schedule.exclude(ref)
            self._report.add(ref, FAILED, message)

    def _record(
        self, before: ActualState, lifecycle: PluginLifecycle, deletions: Deletions
    ) -> None:
        """Record resources as declared, with the plugins that they use from now on."""
        refs = self._schedule.to_record() - deletions.deferred
        self._recorder.update_metadata(before, refs)
        for resource in self._recorder.record(refs, attachments=lifecycle.new_attachments):
            if resource.meta.kind in (Kind.REMOTE, Kind.FILTER):
                self._report.add(resource.meta.ref, DONE)

    async def _sync_repositories(self, actual: ActualState) -> None:
        """Sync several at once; one that copies from another waits for it."""
        slots = asyncio.Semaphore(MAX_CONCURRENT)
        tasks: dict[str, asyncio.Task[None]] = {}

        async def sync(change: ResourceChange) -> None:
            copied = self._schedule.copied_repositories(change.ref.name)
            await asyncio.gather(*(tasks[name] for name in copied if name in tasks))
            async with slots:
                with log_context(repository=change.ref.name):
                    await self._sync_repository(change, actual)

        for change in self._schedule.changes(Kind.REPOSITORY):
            tasks[change.ref.name] = asyncio.create_task(sync(change))
        await asyncio.gather(*tasks.values())

    async def _sync_repository(self, change: ResourceChange, actual: ActualState) -> None:
        if (missing := self._schedule.missing_source(change.ref.name, self._synced)) is not None:
            message = f"{missing} did not become what was planned: {change.ref} waits"
            self._report.add(change.ref, BLOCKED, message)
            return
        repository = self._desired.repositories[change.ref.name]
        assert change.content is not None
        result = await self._sync.sync(
            repository,
            change.content,
            repository_id=actual.repositories[change.ref.name].id,
            plugin_version=self._plan.plugins.get(repository.type, ""),
        )
        self._report_sync(change, result)

    def _report_sync(self, change: ResourceChange, result: SyncResult) -> None:
        if result.number is not None:
            self._synced[change.ref.name] = result.number
        if result.conflict:
            self._report.conflicts.append(change.ref.name)
        if result.problems:
            self._report.add(change.ref, FAILED, result.text, cause=result.cause)
        else:
            unchanged = change.action is Action.NO_OP
            self._report.add(change.ref, UNCHANGED if unchanged else DONE, result.message)
