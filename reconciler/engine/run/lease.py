"""Leases: one run at a time for a repository or publication, kept alive by a heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
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


@asynccontextmanager
async def leased(
    writer: Writer, name: str, clock: Callable[[], datetime]
) -> AsyncIterator[HeldLease]:
    """Hold the lease `name` for the length of the block, which is cancelled when it is lost.

    Raises LeaseHeld, naming the holder, when it is taken; also out of the block once it is lost.
    """
    lease = await asyncio.to_thread(writer.acquire, name, ttl_seconds=TTL, now=clock())
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
