"""The folder of bytes on their way in: files named `<host>~<pid>~<process>~<number>`, and the
removal of those left behind.
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
_READ_ONLY = 0o444  # for whoever opens the file later; the descriptor that creates it may write


class TemporaryFolder:
    """Makes new files in a folder that comes into being with the first one."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def create(self) -> tuple[int, str]:
        """A descriptor to write to, and the file's path."""
        file = f"{self.folder}/{_HOST}~{os.getpid()}~{_PROCESS}~{next(_NUMBERS)}"
        try:
            return os.open(file, _CREATE, _READ_ONLY), file
        except FileNotFoundError:
            os.makedirs(self.folder, exist_ok=True)
            return os.open(file, _CREATE, _READ_ONLY), file

    def sweep(self) -> int:
        """Remove what processes of this host that are gone left behind; returns how many files that
        were.
        """
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
    """One system call where that is enough: a write may be cut short by a signal or a full disk."""
    written = os.write(descriptor, data)
    if written != len(data):
        view = memoryview(data)
        while written < len(data):
            written += os.write(descriptor, view[written:])


def _abandoned(name: str) -> bool:
    """Files of other hosts may be alive, and files that are not named like ours are none of our
    business.
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
