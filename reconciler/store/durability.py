"""Durable files: the whole file system in one call, or file by file where there is none."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable
from contextlib import suppress

Flush = Callable[[str], None]


def _find_syncfs() -> Flush | None:
    """Return syncfs(2), which only Linux has and Python does not bind; None elsewhere."""
    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    call.argtypes = [ctypes.c_int]
    call.restype = ctypes.c_int

    def flush(folder: str) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if call(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), folder)
        finally:
            os.close(descriptor)

    return flush


syncfs: Flush | None = _find_syncfs()


def flush_files(files: Iterable[str], root: str) -> None:
    """Flush each file, then every folder from it up to `root`.

    A name is as durable as the folder that lists it.
    """
    folders = {root}
    for file in files:
        with suppress(FileNotFoundError):  # removed since, by `verify`
            _fsync(file)
        folder = os.path.dirname(file)
        while len(folder) > len(root):
            folders.add(folder)
            folder = os.path.dirname(folder)
    for folder in sorted(folders, reverse=True):
        _fsync(folder)


def _fsync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
