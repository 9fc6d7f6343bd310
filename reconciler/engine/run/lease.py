"""Leases: one run at a time for a repository or publication, kept alive by a heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import TypeVar

from reconciler.database import Lease, Writer
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.engine.run.task_groups import task_group
from reconciler.errors import LeaseHeld, ReconcilerError, StateFault
from reconciler.retrying import RetryPolicy

TTL = 60  # seconds without a heartbeat after which a lease of another host may be taken over
PATIENCE = 30.0  # seconds to wait for a lease, or for a group that another writer commits to
STEP = 0.25  # seconds between two tries, on average

Result = TypeVar("Result")


class HeldLease:
    """A lease that this process holds.

    Worker threads cannot be cancelled: they call `check` before every step that is visible outside.
    """

    def __init__(self, writer: Writer, lease: Lease, clock: Callable[[], datetime]) -> None:
        self._writer = writer
        self._lease = lease
        self._clock = clock
        self._lost: LeaseHeld | None = None

    def check(self) -> None:
        """Raise LeaseHeld if the lease was lost."""
        if self._lost is not None:
            raise self._lost

    async def beat(self) -> None:
        """Renew the lease until cancelled; a busy database is asked again at the next beat."""
        while True:
            await asyncio.sleep(TTL / 4)
            try:
                await asyncio.to_thread(self._writer.heartbeat, self._lease, self._clock())
            except LeaseHeld as error:
                self._lost = error
                raise
            except StateFault:
                continue


@dataclass(frozen=True, slots=True)
class LeasePatience:
    """Patience of a run with leases of others (`--lock-timeout`).

    Attributes:
        seconds: 0: the holder is named at once.
        report: Called once for each lease that is waited for, with a line for people.
    """

    seconds: float = 0.0
    report: Callable[[str], None] = lambda text: None


NO_PATIENCE = LeasePatience()


@asynccontextmanager
async def leased(
    writer: Writer,
    name: str,
    clock: Callable[[], datetime],
    *,
    patience: LeasePatience = NO_PATIENCE,
) -> AsyncIterator[HeldLease]:
    """Hold the lease `name` for the length of the block, which is cancelled when it is lost.

    Raises LeaseHeld, naming the holder, when it is taken for longer than `patience`; also out of
    the block once it is lost.
    """
    lease = await _acquired(writer, name, clock, patience=patience)
    try:
        reached(Checkpoint.LEASE_TAKEN)
        held = HeldLease(writer, lease, clock)
        async with task_group() as tasks:
            beating = tasks.create_task(held.beat())
            try:
                yield held
            finally:
                beating.cancel()
    except BaseException:
        with contextlib.suppress(ReconcilerError):  # the error of the block matters more
            await asyncio.to_thread(writer.release, lease)
        raise
    await asyncio.to_thread(writer.release, lease)


async def _acquired(
    writer: Writer, name: str, clock: Callable[[], datetime], *, patience: LeasePatience
) -> Lease:
    deadline, reported = monotonic() + patience.seconds, False
    while True:
        try:
            return await asyncio.to_thread(writer.acquire, name, ttl_seconds=TTL, now=clock())
        except LeaseHeld as error:
            if monotonic() >= deadline:
                raise
            if not reported:
                patience.report(f"waiting for up to {patience.seconds:g} s: {error.message}")
            reported = True
        await asyncio.sleep(min(STEP, max(0.0, deadline - monotonic())))


async def wait_for_lease(call: Callable[[], Awaitable[Result]]) -> Result:
    """Repeat `call` while another run holds a lease that it needs, for up to PATIENCE seconds.

    Raises LeaseHeld after that.
    """
    policy = RetryPolicy(
        seconds=PATIENCE,
        first_delay=2 * STEP,
        longest_delay=2 * STEP,
        retry_if=lambda error: isinstance(error, LeaseHeld),
    )
    return await policy.run(call)
