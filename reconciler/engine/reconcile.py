"""The engine as surfaces see it: open once, plan and apply as often as needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.engine.execute import Executor, Report
from reconciler.engine.fingerprints import fingerprints
from reconciler.engine.home import Home
from reconciler.engine.planning import Allowances, make_plan
from reconciler.engine.progress import Progress, Silent
from reconciler.engine.remotes import Remotes
from reconciler.engine.resolve import Context
from reconciler.engine.site import Site
from reconciler.engine.steps import Step, reached
from reconciler.model import DesiredState
from reconciler.plan import Plan
from reconciler.plugin import Registry

ROUNDS = 3  # plan again when somebody else moved what a round was based on


def utc_now() -> datetime:
    return datetime.now(UTC)


class Engine:
    """Plans and, with `writes`, applies on one home. Use as an async context manager; connections stay open in between.

    Opened for writing, the database is created and migrated as needed; else nothing is created at all.
    """

    def __init__(
        self,
        home: Home,
        registry: Registry,
        *,
        writes: bool = False,
        offline: bool = False,
        progress: Progress | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._home = home
        self._registry = registry
        self._progress = progress or Silent()
        self._clock = clock
        self._remotes = Remotes(registry, home.pages(), offline=offline)
        self._database = home.database(read_only=not writes)

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._remotes.close()
        self._database.close()

    async def plan(self, desired: DesiredState, allowances: Allowances) -> Plan:
        """What an apply would do now. Writes nothing but the page cache."""
        reader = self._database.reader()
        context = Context(reader, self._registry, self._remotes, self._progress, self._clock())
        actual = await asyncio.to_thread(reader.actual_state)
        return await make_plan(context, desired, actual, fingerprints(desired, self._home.key(create=False)), allowances)

    async def apply(self, desired: DesiredState, allowances: Allowances, provenance: Mapping[str, Any], show: Callable[[Plan], None]) -> Report:
        """Plan, `show` the plan, carry it out; again where somebody else moved a repository meanwhile."""
        self._home.store().sweep()
        report = Report()
        for _ in range(ROUNDS):
            plan = await self.plan(desired, allowances)
            show(plan)
            report = await self._execute(plan, desired, provenance)
            if not report.conflicts:
                break
        return report

    async def _execute(self, plan: Plan, desired: DesiredState, provenance: Mapping[str, Any]) -> Report:
        writer = self._database.writer()
        site = Site(writer, self._home.store(), self._registry, self._remotes, self._progress, self._clock)
        made_by = {**provenance, "manifestDigest": str(plan.manifest_digest), "planDigest": str(plan.digest)}
        executor = Executor(site, plan, desired, fingerprints(desired, self._home.key(create=True)), made_by)
        if plan.empty and not plan.failed:
            return await executor.run()
        run = writer.start_run(plan_digest=plan.digest, manifest_digest=plan.manifest_digest, provenance=made_by, now=self._clock())
        report = await executor.run()
        writer.finish_run(run, report.outcomes, self._clock())
        reached(Step.OUTCOME_RECORDED)
        return report
