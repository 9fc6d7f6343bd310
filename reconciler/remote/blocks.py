"""Bodies by the block: bytes gathered to a size that is worth a worker thread's call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

SMALL = (
    1024 * 1024
    # up to here handing the interpreter lock to and fro costs more CPU than a thread takes off the loop
    # (4 ms at the most)
)
BLOCK = 1024 * 1024


async def blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of at least `BLOCK` bytes each, the last one excepted; none of them
    empty.
    """
    gathered: list[bytes] = []
    held = 0
    async for piece in pieces:
        gathered.append(piece)
        held += len(piece)
        if held >= BLOCK:
            yield b"".join(gathered)
            gathered.clear()
            held = 0
    if held:
        yield b"".join(gathered)


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """Run in a worker thread, and stay until that is through even when cancelled: nobody else may
    touch its file before.
    """
    future = asyncio.get_running_loop().run_in_executor(None, function, *args)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        future.exception()  # the cancellation is what counts
        raise
