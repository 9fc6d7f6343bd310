"""Worker threads: for what touches a disk and must not be overtaken, and for foreign code that may
never come back.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Run in a worker thread, and stay until that is through even when cancelled: only then may its
    file be closed.
    """
    running = asyncio.get_running_loop().run_in_executor(None, function, *arguments)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        running.exception()  # seen; the cancellation is what counts
        raise


def in_thread_of_its_own(function: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
    """Run in a new thread for which nobody waits when the process ends. A cancelled future leaves
    it behind. `function` must not raise.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    threading.Thread(
        target=lambda: future.set_result(function(*arguments)), name="foreign", daemon=True
    ).start()
    return asyncio.wrap_future(future)
