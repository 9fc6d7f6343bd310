"""One run per repository: a lease with a heartbeat, held for the length of a block."""

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

TTL = 60  # seconds without a heartbeat after which a lease of another host may be taken over
# seconds for which others are let go first: who commits to the same group, or works on the same
# publication
PATIENCE = 30.0
STEP = 0.25

Answer = TypeVar("Answer")


class HeldLease:
    """A lease as its holder sees it. Threads cannot be cancelled: they ask `check` before each step
    that others see.
    """

    def __init__(self, writer: Writer, lease: Lease, clock: Callable[[], datetime]) -> None:
        self._writer = writer
        self._lease = lease
        self._clock = clock
        self._lost: LeaseHeld | None = None

    def check(self) -> None:
        """Raises LeaseHeld once the lease is known to be lost."""
        if self._lost is not None:
            raise self._lost

    async def beat(self) -> None:
        """Say again and again that the holder lives. A database that is busy is asked again at the
        next beat.
        """
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
    """Hold the lease `name`. Raises LeaseHeld, naming who has it; also out of the block, which is
    cancelled when the lease is lost.
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
        with contextlib.suppress(ReconcilerError):  # what happened in the block is what is told
            await asyncio.to_thread(writer.release, lease)
        raise
    await asyncio.to_thread(writer.release, lease)


async def wait_for_lease(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """What `call` returns, once whoever holds a lease that it wants has had time to finish. Raises
    LeaseHeld when that one takes too long.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            return await call()
        except LeaseHeld:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(STEP)
