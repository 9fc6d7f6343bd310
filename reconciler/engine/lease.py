"""One run per repository: a lease with a heartbeat, held for the length of a block."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from reconciler.database import Writer
from reconciler.engine.steps import Step, reached

TTL = 60  # seconds without a heartbeat after which a lease of another host may be taken over


@asynccontextmanager
async def leased(writer: Writer, name: str, clock: Callable[[], datetime]) -> AsyncIterator[None]:
    """Hold the lease `name`. Raises LeaseHeld, naming who has it."""
    lease = await asyncio.to_thread(writer.acquire, name, ttl_seconds=TTL, now=clock())
    reached(Step.LEASE_TAKEN)

    async def beat() -> None:
        while True:
            await asyncio.sleep(TTL / 4)
            await asyncio.to_thread(writer.heartbeat, lease, clock())

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        await asyncio.to_thread(writer.release, lease)
