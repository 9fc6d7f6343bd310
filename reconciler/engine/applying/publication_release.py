"""The publications of a run are released, one after the other, and their outcomes reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from reconciler.engine.applying.repairs import Repairs
from reconciler.engine.applying.report import BLOCKED, DONE, FAILED, UNCHANGED, Report
from reconciler.engine.applying.schedule import Schedule
from reconciler.engine.planning.publication_changes import shown_publications
from reconciler.engine.plugin_calls.plugin_errors import error_text
from reconciler.engine.publishing.filter_evaluation import sources_filtered
from reconciler.engine.publishing.release import release_publication
from reconciler.engine.publishing.release_target import ReleasePolicy
from reconciler.engine.pushing.pushes import PushOutcome, push
from reconciler.engine.pushing.shown_units import ShownUnits
from reconciler.engine.run.lease import leased, wait_for_lease
from reconciler.engine.session.session import WritingSession
from reconciler.engine.transfer.stored_bytes import DamagedBytes
from reconciler.model import ActualState, DesiredState, Kind, Publication, Ref
from reconciler.plan import Action, ResourceChange


class PublicationReleases:
    """Releases publications once their repositories are synced."""

    def __init__(
        self,
        session: WritingSession,
        desired: DesiredState,
        schedule: Schedule,
        *,
        report: Report,
        repairs: Repairs,
    ) -> None:
        self._session = session
        self._desired = desired
        self._schedule = schedule
        self._report = report
        self._repairs = repairs

    async def run(self, actual: ActualState, removed_exports: Mapping[Ref, Sequence[str]]) -> None:
        """Release every publication of the plan that is not blocked.

        Args:
            actual: The state once all repositories were synced.
            removed_exports: Directories that publications no longer export to.
        """
        for change in self._schedule.changes(Kind.PUBLICATION):
            publication = self._desired.publications[change.ref.name]
            if reason := self.blocked(publication, actual):
                self._report.add(change.ref, BLOCKED, reason)
            else:
                await self._release(
                    publication, change, actual, removed_exports=removed_exports.get(change.ref, [])
                )
        await self._release_undeclared(actual)

    async def _release_undeclared(self, actual: ActualState) -> None:
        """Have undeclared publications withhold what the plan says, and nothing else."""
        changes = {change.ref: change for change in self._schedule.unowned_changes()}
        for publication in shown_publications(self._desired.recorded, actual):
            change = changes.get(publication.meta.ref)
            if change is not None:
                await self._release(publication, change, actual, removed_exports=())

    def blocked(self, publication: Publication, actual: ActualState) -> str:
        """Return why a publication is not released; empty if it is.

        An empty index, only because the first sync failed, would tell clients that nothing exists.
        """
        if reason := self._schedule.blocking_refusal(publication):
            return reason
        source = Ref(Kind.REPOSITORY, publication.repository)
        is_empty = actual.repositories[publication.repository].number == 0
        failed = self._report.has_failed(source) and is_empty
        return f"{source} has no content yet" if failed else ""

    async def _release(
        self,
        publication: Publication,
        change: ResourceChange,
        actual: ActualState,
        *,
        removed_exports: Sequence[str],
    ) -> None:
        policy = ReleasePolicy(self._desired, self._sources_filtered(publication))
        try:
            message = await self._release_mended(publication, actual, policy)
        except Exception as error:  # a full disk, a locked database; the pointer stays
            self._report.add(change.ref, FAILED, error_text(error))
            return
        messages = [message] if message else []
        messages += [f"no longer exported to {path}" for path in removed_exports]
        pushed = await self._push(publication, change, actual)
        messages += pushed.done
        if pushed.failures:
            self._report.add(change.ref, FAILED, "\n    ".join([*messages, *pushed.failures]))
            return
        changed = messages or change.action is not Action.NO_OP
        self._report.add(change.ref, DONE if changed else UNCHANGED, ", ".join(messages))

    async def _push(
        self, publication: Publication, change: ResourceChange, actual: ActualState
    ) -> PushOutcome:
        """Send indexes what they lack of a declared publication, which is served by now.

        Under a lease of its own: two runs would send the same files.
        """
        is_declared = publication.meta.name in self._desired.publications
        if not publication.indexes or not is_declared or _are_whole(change):
            return PushOutcome()
        session = self._session
        try:
            shown = await session.in_thread(
                ShownUnits.recorded,
                session.writer,
                actual.repositories[publication.repository].id,
                actual.publications[publication.meta.name].id,
            )
            if shown is None:
                return PushOutcome()
            name = f"{publication.meta.ref}/indexes"
            async with leased(session.writer, name, session.clock, patience=session.patience):
                return await push(session, publication, shown, planned=change.pushes)
        except Exception as error:  # a lease that is held, a locked database
            return PushOutcome(failures=[error_text(error)])

    async def _release_mended(
        self, publication: Publication, actual: ActualState, policy: ReleasePolicy
    ) -> str:
        """Release a publication; where bytes of it are damaged, mend them first.

        What cannot be mended fails its repository and holds no release back: filters that were
        made stricter have to be obeyed all the same.
        """

        async def release(policy: ReleasePolicy) -> str:
            return await wait_for_lease(
                partial(release_publication, self._session, publication, actual, policy=policy)
            )

        try:
            return await release(policy)
        except DamagedBytes as damaged:
            await self._repairs.mend(damaged.problems)
            return await release(replace(policy, damage_known=True))

    def _sources_filtered(self, publication: Publication) -> bool:
        """Return True if this run has filtered and committed all that the sources offer."""
        source = Ref(Kind.REPOSITORY, publication.repository)
        if publication.meta.name not in self._desired.publications:
            return False
        synced = self._report.result(source) in (DONE, UNCHANGED)
        return synced and sources_filtered(self._schedule.change(source))


def _are_whole(change: ResourceChange) -> bool:
    """Return True if the plan has found that every index has everything."""
    return bool(change.pushes) and all(push.is_whole for push in change.pushes)
