"""The engine as surfaces use it: open once, plan and apply as often as needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any

from reconciler.database import Reader
from reconciler.engine.applying.executor import Executor
from reconciler.engine.applying.report import BLOCKED, FAILED, Report
from reconciler.engine.explaining.explain import explain
from reconciler.engine.integrity.collection import Collected, Collection
from reconciler.engine.integrity.repair import Repair, RepairResult
from reconciler.engine.integrity.verification import Verification, verify
from reconciler.engine.planning.planned_deletions import undeclared
from reconciler.engine.planning.planner import PlanOptions
from reconciler.engine.planning.recorded_rules import (
    ReadRecorded,
    RuledPlan,
    has_other_filters,
    plan_by_recorded_rules,
)
from reconciler.engine.plugin_calls.call_timeouts import CallLimits, CallTimeouts, Watchdog
from reconciler.engine.plugin_calls.conduits import unwatched
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.engine.run.fingerprints import (
    SecretFingerprints,
    fingerprints,
    option_secrets,
)
from reconciler.engine.run.first_sights import FirstSights
from reconciler.engine.run.lease import NO_PATIENCE, LeasePatience, leased
from reconciler.engine.run.progress import Progress, SilentProgress
from reconciler.engine.session.home import Home
from reconciler.engine.session.session import Session
from reconciler.engine.transfer.measurements import Measurements
from reconciler.engine.transfer.remotes import Remotes
from reconciler.engine.transfer.stored_bytes import record_damage
from reconciler.engine.upstream.fetching_ahead import FetchAhead, FetchReport
from reconciler.errors import ReconcilerError
from reconciler.model import ActualState, DesiredState, RecordedState, Ref
from reconciler.plan import Plan
from reconciler.plugin.registry import Registry
from reconciler.retrying import RetryPolicy, never
from reconciler.secret_values import register_secrets
from reconciler.store.temporary_trees import sweep_trees

logger = logging.getLogger(__name__)

# Plans, while other processes change the same groups; each round has fewer groups left. The random
# pause in between lets two processes drift apart.
ROUNDS = RetryPolicy(attempts=8, first_delay=0.25, longest_delay=0.25, retry_if=never)


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


class Engine:
    """Plans, explains and (with `writes`) applies on one home. Use as an async context manager.

    Opened for writing, the database is created and migrated as needed; else nothing is created.
    `read_recorded`: turns recorded resources into a desired state; what rules beside the manifests.
    `blocked` is called from another thread with a message when plugin code exceeds `limits` and
    cannot be stopped; it must end the process. Without it no watchdog runs.
    """

    def __init__(  # noqa: PLR0913  # what a run is opened with
        self,
        home: Home,
        registry: Registry,
        read_recorded: ReadRecorded,
        *,
        writes: bool = False,
        offline: bool = False,
        progress: Progress | None = None,
        clock: Callable[[], datetime] = utc_now,
        limits: CallLimits | None = None,
        blocked: Callable[[str], None] | None = None,
        patience: LeasePatience = NO_PATIENCE,
    ) -> None:
        self._home = home
        self._registry = registry
        self._read_recorded = read_recorded
        self._progress = progress or SilentProgress()
        self._clock = clock
        self._patience = patience
        self._remotes = Remotes(registry, home.caches(), offline=offline)
        self._database = home.database(read_only=not writes)
        self._call_timeouts = CallTimeouts(limits or CallLimits())
        self._measurements = Measurements()
        self._first_sights = FirstSights()
        self._watchdog = (
            Watchdog(self._call_timeouts, limits or CallLimits(), blocked)
            if blocked is not None
            else None
        )
        self._watch = self._watchdog.thread if self._watchdog is not None else unwatched

    async def __aenter__(self) -> Engine:
        if self._watchdog is not None:
            self._watchdog.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watchdog is not None:
            self._watchdog.stop()
        await self._measurements.close()
        await self._remotes.close()
        self._database.close()

    async def plan(self, desired: DesiredState, options: PlanOptions) -> Plan:
        """Return what an apply would do now. Writes nothing but the page cache."""
        return (await self._plan(desired, options)).plan

    async def _plan(self, desired: DesiredState, options: PlanOptions) -> RuledPlan:
        register_secrets(chain(desired.secrets(), option_secrets(desired)))
        self._measurements.begin()
        self._first_sights.begin()
        session = self._session()
        actual = await asyncio.to_thread(session.reader.actual_state)
        recorded = self._recorded(desired, actual)
        return await plan_by_recorded_rules(
            session,
            desired,
            actual,
            recorded=recorded,
            former=self._former(desired, actual, recorded),
            fingerprints=fingerprints(desired, self._home.key(create=False)),
            options=options,
        )

    def _recorded(self, desired: DesiredState, actual: ActualState) -> RecordedState:
        """Return what earlier runs recorded; nothing where all of it is declared."""
        if not undeclared(desired, actual):
            return RecordedState(DesiredState(), {})
        return self._read_recorded(actual, self._registry, ())

    def _former(
        self, desired: DesiredState, actual: ActualState, recorded: RecordedState
    ) -> DesiredState | None:
        """Return what earlier runs recorded, where filters are others now."""
        if not has_other_filters(desired, actual):
            return None
        if recorded.desired.repositories:  # read already
            return recorded.desired
        return self._read_recorded(actual, self._registry, ()).desired

    async def explain(
        self,
        name: str,
        subject: str,
        read: Callable[[ActualState], DesiredState],
        *,
        declared: DesiredState | None = None,
        verbose: bool = False,
    ) -> dict[str, Any]:
        """Explain why `subject` is in repository `name` or not, as a document.

        `declared` is what manifests say; without it `read` turns the recorded state into the
        desired state.
        """
        session = self._session()
        actual = await asyncio.to_thread(session.reader.actual_state)
        if declared is None:
            desired = read(actual)
        else:
            desired = declared.beside(self._recorded(declared, actual).desired)
        register_secrets(chain(desired.secrets(), option_secrets(desired)))
        return await explain(
            session,
            desired,
            actual,
            name=name,
            subject=subject,
            verbose=verbose,
            applied=declared is None,
        )

    async def verify(self, scope: Ref | None) -> Verification:
        """Read everything, or what `scope` needs, and record damage so that it can be mended.

        Raises UsageFault where `scope` holds no files or does not exist.
        """
        session = self._session()
        task = session.progress.task("verifying", "files")
        try:
            result = await asyncio.to_thread(
                verify,
                session.reader,
                session.store,
                scope,
                now=session.clock(),
                task=task,
            )
        finally:
            task.done()
        if result.damaged_files:
            await asyncio.to_thread(self._record_damage, result)
        return result

    async def repair(
        self, scope: Ref | None, read: Callable[[ActualState], DesiredState]
    ) -> tuple[Verification, RepairResult]:
        """Verify, and mend what is damaged, by what the last apply recorded.

        `read` turns the recorded state into the desired state.
        """
        result = await self.verify(scope)
        session = self._session().for_writing(self._database.writer())
        actual = await asyncio.to_thread(session.reader.actual_state)
        desired = read(actual)
        register_secrets(chain(desired.secrets(), option_secrets(desired)))
        repair = Repair(session, desired)
        mended = await repair.run()
        await repair.render_anew(result.damaged_pages, actual, result=mended)
        return result, mended

    async def fetch(
        self,
        ref: Ref,
        names: Sequence[str],
        read: Callable[[ActualState], DesiredState],
        *,
        dry_run: bool = False,
    ) -> FetchReport:
        """Fetch the files of a repository, or of what a publication shows, that stayed upstream.

        `names`: globs; all files without any. `read` turns the recorded state into the desired
        state. `dry_run`: they are counted. No version changes.
        """
        session = self._session().for_writing(self._database.writer())
        actual = await asyncio.to_thread(session.reader.actual_state)
        desired = read(actual)
        register_secrets(chain(desired.secrets(), option_secrets(desired)))
        return await FetchAhead(session, desired, actual).run(ref, names, dry_run=dry_run)

    async def collect(
        self, *, grace: timedelta, dry_run: bool, allow_destroy: bool = False
    ) -> Collected:
        """Remove bytes that no version needs and that were not used within the grace.

        Raises LeaseHeld while another collection runs, and GuardRefusal, unless `allow_destroy`,
        where the database describes few of the files in the store.
        """
        writer, now = self._database.writer(), self._clock()
        async with leased(writer, "collection", self._clock, patience=self._patience):
            collection = Collection(
                writer,
                self._home.store(),
                self._home.root,
                grace=grace,
                now=now,
                dry_run=dry_run,
                allow_destroy=allow_destroy,
            )
            return await asyncio.to_thread(collection.run)

    def _record_damage(self, result: Verification) -> None:
        """Record damage; where that is not possible, the caller hears of it all the same."""
        try:
            with self._home.database(read_only=False) as database:
                problems = {file.digest: file.problem for file in result.damaged_files}
                record_damage(self._home.store(), database.writer(), problems, now=self._clock())
        except ReconcilerError as error:
            logger.warning("the damage cannot be recorded: %s", error)

    def _session(self) -> Session:
        return Session(
            reader=self._database.reader(),
            store=self._home.store(),
            registry=self._registry,
            remotes=self._remotes,
            workdirs=self._home.workdirs(),
            measurements=self._measurements,
            clock=self._clock,
            now=self._clock(),
            progress=self._progress,
            call_timeouts=self._call_timeouts,
            watch=self._watch,
            first_sights=self._first_sights,
            patience=self._patience,
            secrets=SecretFingerprints(partial(self._home.key, create=False)),
        )

    async def apply(
        self,
        desired: DesiredState,
        options: PlanOptions,
        provenance: Mapping[str, Any],
        *,
        show: Callable[[Plan], None],
    ) -> Report:
        """Plan, call `show` with the plan, and carry it out.

        Repeats with a new plan while another process changes a repository at the same time.
        """
        self._home.store().sweep()
        sweep_trees()
        self._home.drop_old_caches()

        async def apply_once() -> Report:
            ruled = await self._plan(desired, options)
            show(ruled.plan)
            return await self._execute(ruled.plan, ruled.desired, provenance)

        return await ROUNDS.run(apply_once, unless=lambda report: not report.conflicts)

    async def _execute(
        self, plan: Plan, desired: DesiredState, provenance: Mapping[str, Any]
    ) -> Report:
        writer = self._database.writer()
        session = self._session().for_writing(writer)
        made_by = {
            **provenance,
            "manifestDigest": str(plan.manifest_digest),
            "planDigest": str(plan.digest),
        }
        executor = Executor(
            session,
            plan,
            desired,
            fingerprints=fingerprints(desired, self._home.key(create=True)),
            provenance=made_by,
        )
        is_quiet = plan.empty and not plan.failed and not plan.damaged
        if is_quiet and not await asyncio.to_thread(_is_failing, writer):
            return await executor.run()
        run = writer.start_run(
            plan_digest=plan.digest,
            manifest_digest=plan.manifest_digest,
            provenance=made_by,
            now=self._clock(),
        )
        report = await executor.run()
        writer.finish_run(run, report.outcomes, self._clock())
        reached(Checkpoint.OUTCOME_RECORDED)
        return report


def _is_failing(reader: Reader) -> bool:
    """Return True if the last recorded run failed, so that conditions say so until the next one."""
    return any(
        outcome.result in (FAILED, BLOCKED) for last in reader.runs(1) for outcome in last.outcomes
    )
