"""Temporary folders of a process, in the folder that the system has for them.

Named as temporary files are, and swept as they are: a process that was killed could not remove its
own, and downloads in it may be large.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from reconciler.process_identity import this_process
from reconciler.store.temporary import abandoned, lock, name_of

PREFIX = "reconciler-"


class TemporaryTree:
    """A new folder, locked until it is closed or nothing refers to it any more."""

    def __init__(self) -> None:
        prefix = f"{PREFIX}{name_of(this_process())}~"
        self._folder = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        lock(self._descriptor)

    def close(self) -> None:
        """Remove the folder and all that is in it. May be called any number of times."""
        self._folder.cleanup()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def sweep_trees() -> int:
    """Remove folders of this user that ended processes left behind; return their number."""
    root = tempfile.gettempdir()
    left = [
        f"{root}/{name}"
        for name in os.listdir(root)
        if name.startswith(PREFIX) and _is_ours(f"{root}/{name}") and abandoned(f"{root}/{name}")
    ]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _is_ours(path: str) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
