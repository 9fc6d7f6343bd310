"""Decides when upstream is asked for a group, and what is served meanwhile.

What was fetched is a row that every worker reads, so that all of them serve the same. A group is
asked for once, however many clients wait for it, in one process by a task, in several by a lock on
a file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from reconciler.database import Entry, GzipPage, PulledGroup, Writer
from reconciler.engine.pull_through.file_locks import FileLocks
from reconciler.engine.pull_through.page_rendering import rendered
from reconciler.engine.pull_through.targets import FindTarget, PullTarget
from reconciler.engine.pull_through.upstream_groups import UpstreamGroup, UpstreamGroups
from reconciler.engine.session.session import Session
from reconciler.engine.transfer.artifact_fetcher import origin_of
from reconciler.engine.transfer.remotes import Remotes
from reconciler.errors import ReconcilerError, Unreachable
from reconciler.model import Digest, artifact_digest
from reconciler.plugin.registry import Registry

AVOIDED = timedelta(
    seconds=2
)  # for which an upstream that failed is not asked again for the same name

logger = logging.getLogger(__name__)


class Pulled(NamedTuple):
    """Content that is served of a group.

    `entries`: empty where there is nothing. `fetched`: upstream was asked for this request. `left`:
    seconds until it is asked again; negative for what should be newer and could not be.
    """

    entries: Sequence[Entry]
    modified: datetime
    fetched: bool
    left: int
    problem: str = ""


OpenSession = Callable[[Remotes], Session]


class Pulling:
    """Groups of all publications that pull through. Coroutines belong to one event loop.

    locks: folder of the locks between processes. arrived: told of a publication of which a group
    waits for a version.
    """

    def __init__(
        self,
        find: FindTarget,
        writer: Callable[[], Writer],
        *,
        registry: Registry,
        open_remotes: Callable[[PullTarget], Remotes],
        open_session: OpenSession,
        clock: Callable[[], datetime],
        locks: Path,
        arrived: Callable[[str], None],
    ) -> None:
        self._find = find
        self._writer = writer
        self._registry = registry
        self._open_remotes = open_remotes
        self._open_session = open_session
        self._clock = clock
        self._locks = FileLocks(locks)
        self._arrived = arrived
        self._running: dict[tuple[str, str], asyncio.Task[Pulled]] = {}
        self._failed: dict[tuple[str, str], tuple[datetime, ReconcilerError]] = {}

    async def group(self, publication: str, group: str) -> Pulled | None:
        """Return what is served of a group; None where only what is published counts.

        That is so for a name that belongs to a source or to uploads. Raises what kept upstream from
        answering where nothing is there that could be served.
        """
        target, row = await asyncio.to_thread(self._look, publication, group)
        if target is None:
            return None
        self._arrived(publication)
        if target.basis is None:
            target.basis = self._upstream(target).basis()
        if row is not None and self._is_current(target, row):
            return self._served(row)
        key = publication, group
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.create_task(self._refreshed(target, group))
            running.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(running)

    async def close(self) -> None:
        """Wait for what is on its way."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _forget(self, key: tuple[str, str], done: asyncio.Task[Pulled]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # retrieved: waiting requests raise it, and there may be none

    def _look(self, publication: str, group: str) -> tuple[PullTarget | None, PulledGroup | None]:
        """Return the target, None for a name that is not upstream's, and what is known of it."""
        target = self._find(publication)
        writer = self._writer()
        if target is None or target.owner(writer, self._registry, group):
            return None, None
        return target, writer.pulled_group(target.shown.id, group)

    def _upstream(self, target: PullTarget) -> UpstreamGroups:
        return UpstreamGroups(self._open_session(self._open_remotes(target)), target)

    def _is_current(self, target: PullTarget, row: PulledGroup) -> bool:
        """Return True for what is served without asking: rules that changed make it outdated."""
        if row.basis != target.basis:
            return False
        return target.pull.offline or self._clock() < row.due_at

    def _served(self, row: PulledGroup, *, fetched: bool = False, problem: str = "") -> Pulled:
        left = round((row.due_at - self._clock()).total_seconds())
        if problem:
            left = min(-1, round((row.checked_at - self._clock()).total_seconds()))
        return Pulled(row.entries or (), row.changed_at, fetched, left, problem)

    async def _refreshed(self, target: PullTarget, group: str) -> Pulled:
        """Ask upstream, unless another process has done so meanwhile."""
        async with self._locks.held(f"{target.name}/{group}"):
            row = await asyncio.to_thread(self._writer().pulled_group, target.shown.id, group)
            if row is not None and self._is_current(target, row):
                return self._served(row)
            if target.pull.offline:
                return Pulled((), self._clock(), False, target.pull.negative_ttl)
            try:
                return await self._asked(target, group, row)
            except ReconcilerError as error:
                return await self._stale(target, group, row, error=error)

    async def _asked(self, target: PullTarget, group: str, row: PulledGroup | None) -> Pulled:
        failed = self._failed.get((target.name, group))
        if failed is not None and self._clock() < failed[0] + AVOIDED:
            raise failed[1]
        answer = await self._upstream(target).read(group)
        self._failed.pop((target.name, group), None)
        return await asyncio.to_thread(
            partial(self._record, target, group, before=row, answer=answer)
        )

    def _record(
        self,
        target: PullTarget,
        group: str,
        *,
        before: PulledGroup | None,
        answer: UpstreamGroup,
    ) -> Pulled:
        """Record an answer, and return what is served from now on."""
        now, id_ = self._clock(), target.shown.id
        if answer.absence:
            logger.info("%s: `%s` is not to be had: %s", target.name, group, answer.absence)
        new, pages = self._answered(target, group, answer, now=now)
        same = (
            before is not None
            and (before.basis, before.units) == (new.basis, new.units)
            and (before.entries is None) == (new.entries is None)
        )
        if before is not None and same:
            self._writer().pulled_checked(id_, group, checked=now, due=new.due_at)
            new = PulledGroup(
                group, now, new.due_at, before.changed_at, before.basis, before.entries
            )
        else:
            self._writer().write_pulled(id_, new, pages)
        return self._served(new, fetched=True)

    def _answered(
        self, target: PullTarget, group: str, answer: UpstreamGroup, *, now: datetime
    ) -> tuple[PulledGroup, dict[Digest, GzipPage]]:
        assert target.basis is not None
        make = partial(PulledGroup, group, now, changed_at=now, basis=target.basis)
        if not answer.units:
            # what a version held of it is to leave; what never was there changes nothing
            return make(due_at=now + timedelta(seconds=target.pull.negative_ttl), pending=True), {}
        remote = target.remote.meta.name
        origins = {
            artifact_digest(part): origin_of(remote, part.url)
            for unit in answer.units
            for part in unit.artifacts
            if part.url
        }
        self._writer().record_units({group: answer.units}, {}, origins)
        session = self._open_session(self._open_remotes(target))
        output = rendered(session, target, group, units=answer.units, now=now)
        session.first_sights.record(self._writer())
        row = make(
            due_at=now + timedelta(seconds=target.pull.ttl),
            entries=output.entries,
            units=[unit.digest for unit in answer.units],
            pending=True,
        )
        return row, output.pages

    async def _stale(
        self,
        target: PullTarget,
        group: str,
        row: PulledGroup | None,
        *,
        error: ReconcilerError,
    ) -> Pulled:
        """Return what is there although upstream failed, for as long as that is allowed.

        Raises `error` where nothing is: what rules decided that changed since is nothing.
        """
        now, pull = self._clock(), target.pull
        logger.warning("%s: `%s` cannot be fetched: %s", target.name, group, error)
        usable = row is not None and row.basis == target.basis and row.entries is not None
        if row is None or not usable or now > row.checked_at + timedelta(seconds=pull.stale_for):
            self._note_failure(target.name, group, error)
            raise error
        due = now + timedelta(seconds=min(pull.ttl, pull.negative_ttl))
        await asyncio.to_thread(
            self._writer().pulled_checked,
            target.shown.id,
            group,
            checked=row.checked_at,
            due=due,
        )
        return self._served(row, fetched=True, problem=error.message or "upstream failed")

    def _note_failure(self, name: str, group: str, error: ReconcilerError) -> None:
        now = self._clock()
        recent = {key: each for key, each in self._failed.items() if each[0] > now - AVOIDED}
        # raised again and again: without the frames of the first time
        again = type(error) if isinstance(error, Unreachable) else Unreachable
        self._failed = {**recent, (name, group): (now, again(error.message, hint=error.hint))}
