"""Locks between the processes of one machine, on files of a folder."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from reconciler.model import Digest

WAIT = 0.02  # seconds between two looks


class FileLocks:
    """Locks by name; names share files, of which there are at most 256."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._inside: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of a name. Nothing blocks meanwhile, neither a thread nor the loop."""
        file = Digest.of(name.encode()).hex[:2]
        async with self._inside.setdefault(file, asyncio.Lock()):
            descriptor = await asyncio.to_thread(self._open, file)
            try:
                while not _taken(descriptor):  # noqa: ASYNC110  # by another process
                    await asyncio.sleep(WAIT)
                yield
            finally:
                os.close(descriptor)

    def _open(self, file: str) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        return os.open(self._folder / file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
