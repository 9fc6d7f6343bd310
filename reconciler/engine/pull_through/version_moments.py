"""Moments of the versions of what was pulled through, for all workers of a machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from time import time

from reconciler.model import Digest


class VersionMoments:
    """The moments of the last versions, as times of files in a folder that all workers share.

    `now`: seconds since the epoch.
    """

    def __init__(self, folder: Path, every: float, now: Callable[[], float] = time) -> None:
        self._folder = folder
        self._every = every
        self._now = now

    def left(self, name: str) -> float:
        """Return the seconds until the next version."""
        try:
            last = self._file(name).stat().st_mtime
        except FileNotFoundError:
            return self._every
        return max(0.01, min(self._every, last + self._every - self._now()))

    def take(self, name: str) -> bool:
        """Return True for the one worker that may make the version now."""
        file = self._file(name)
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            return _is_locked(descriptor) and self._is_due(descriptor)
        finally:
            os.close(descriptor)

    def _is_due(self, descriptor: int) -> bool:
        """Return True, and note the moment, where it has come. Nothing comes in between."""
        now, last = self._now(), os.fstat(descriptor)
        if last.st_size and last.st_mtime + self._every > now:
            return False
        os.pwrite(descriptor, b"1", 0)
        os.utime(descriptor, (now, now))
        return True

    def _file(self, name: str) -> Path:
        return self._folder / f"version-{Digest.of(name.encode()).hex[:16]}"


def _is_locked(descriptor: int) -> bool:
    """Lock an open file; return False where another worker has it, which makes the version."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
