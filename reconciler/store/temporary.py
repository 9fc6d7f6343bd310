"""Temporary files of bytes that are being written, and removal of those left behind.

They are named `<host>~<pid>~<process>~<number>`.
"""

from __future__ import annotations

import itertools
import os
import secrets
from contextlib import suppress

_HOST = os.uname().nodename.replace("/", "_")
_PROCESS = secrets.token_hex(
    4
)  # tells this process from an earlier one that had the same pid, as in a container
_NUMBERS = itertools.count(1)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_READ_ONLY = 0o444  # for later readers; the descriptor that creates it may write


class TemporaryFolder:
    """A folder for new temporary files; it is created with the first one."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def create(self) -> tuple[int, str]:
        """Create a file; return a descriptor to write to, and its path."""
        file = f"{self.folder}/{_HOST}~{os.getpid()}~{_PROCESS}~{next(_NUMBERS)}"
        try:
            return os.open(file, _CREATE, _READ_ONLY), file
        except FileNotFoundError:
            os.makedirs(self.folder, exist_ok=True)
            return os.open(file, _CREATE, _READ_ONLY), file

    def sweep(self) -> int:
        """Remove files of ended processes of this host; return their number."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return 0
        abandoned = [name for name in names if _abandoned(name)]
        for name in abandoned:
            with suppress(FileNotFoundError):  # another run sweeps too
                os.unlink(f"{self.folder}/{name}")
        return len(abandoned)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes, usually in one system call.

    A signal or a full disk may cut a write short.
    """
    written = os.write(descriptor, data)
    if written != len(data):
        view = memoryview(data)
        while written < len(data):
            written += os.write(descriptor, view[written:])


def _abandoned(name: str) -> bool:
    """Return True for a file of an ended process of this host.

    Files of other hosts may be in use; files with other names are not ours.
    """
    parts = name.rsplit("~", 3)
    if len(parts) != 4 or parts[0] != _HOST or not parts[1].isdecimal():
        return False
    pid = int(parts[1])
    if pid == os.getpid():
        return parts[2] != _PROCESS
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
