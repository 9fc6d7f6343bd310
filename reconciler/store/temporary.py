"""Temporary files of bytes that are being written, and removal of those left behind.

They are named `<host>~<pid>~<process start>~<number>`, and locked by the process that writes them.
What ended processes of this machine left is removed at once; what came from elsewhere (another
machine, a container that was replaced, an earlier boot) once it is a day old and nothing locks it.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import secrets
import time
from contextlib import suppress
from functools import lru_cache

from reconciler.process_identity import ABANDONED_AFTER, Process, this_process

_NUMBERS = itertools.count(1)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_READ_ONLY = 0o444  # for later readers; the descriptor that creates it may write


class TemporaryFolder:
    """A folder for new temporary files; it is created with the first one."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def create(self) -> tuple[int, str]:
        """Create a file; return a descriptor to write to, and its path."""
        file = f"{self.folder}/{name_of(this_process())}~{next(_NUMBERS)}"
        try:
            descriptor = os.open(file, _CREATE, _READ_ONLY)
        except FileNotFoundError:
            os.makedirs(self.folder, exist_ok=True)
            descriptor = os.open(file, _CREATE, _READ_ONLY)
        lock(descriptor)
        return descriptor, file

    def sweep(self) -> int:
        """Remove files that were left behind; return their number."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return 0
        left = [name for name in names if abandoned(f"{self.folder}/{name}")]
        for name in left:
            with suppress(FileNotFoundError):  # another run sweeps too
                os.unlink(f"{self.folder}/{name}")
        return len(left)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes, usually in one system call.

    A signal or a full disk may cut a write short.
    """
    written = os.write(descriptor, data)
    if written != len(data):
        view = memoryview(data)
        while written < len(data):
            written += os.write(descriptor, view[written:])


@lru_cache(maxsize=1)
def name_of(process: Process) -> str:
    """Return the names' beginning; a random part keeps apart what runs in two containers."""
    host, start = process.host.replace("/", "_"), process.start.replace("/", ",")
    return f"{host}~{process.pid}~{start}~{secrets.token_hex(4)}"


def abandoned(file: str) -> bool:
    """Return True for a file or folder whose process has ended; other names are not ours."""
    writer = _writer(os.path.basename(file))
    if writer is None or writer.alive:
        return False
    return writer.gone or (_is_old(file) and not _is_locked(file))


def _writer(name: str) -> Process | None:
    parts = name.rsplit("~", 4)
    if len(parts) < 4:
        return None
    host, pid, start = parts[:3]
    return Process(host, int(pid), start.replace(",", "/")) if pid.isdecimal() else None


def _is_old(file: str) -> bool:
    try:
        return time.time() - os.stat(file).st_mtime > ABANDONED_AFTER.total_seconds()
    except FileNotFoundError:  # another run sweeps too
        return False


def lock(descriptor: int) -> None:
    """Lock a new file for as long as it is open, where the file system has locks."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_locked(file: str) -> bool:
    """Return True if a process on any machine that this file system serves has the file open."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        return False
    finally:
        os.close(descriptor)
