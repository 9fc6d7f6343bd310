"""The clock of a running event loop, moved by hand."""

from __future__ import annotations

import asyncio


def advance(seconds: float, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Move the clock of the running loop ahead: whatever is due by then happens at the next await.

    `loop`: another loop than the running one, from a thread of its own.
    """
    loop = loop or asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]


async def wait_for_ever(seconds: float) -> None:
    """Wait without end, from a moment on that is `seconds` ahead."""
    advance(seconds)
    await asyncio.Event().wait()
