"""Copies of folders that share their files with the original: hard links, and no bytes."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def copy_by_links(folder: Path, copy: Path) -> bool:
    """Make `copy` a folder of the same files; return False, and leave nothing, if that fails.

    It does where the file system has no hard links, or no room.
    """
    try:
        shutil.copytree(folder, copy, copy_function=_link)
    except OSError:
        shutil.rmtree(copy, ignore_errors=True)
        return False
    return True


def write_new(path: Path, body: bytes) -> None:
    """Write a file anew: what is there may be in a copy as well."""
    path.unlink(missing_ok=True)
    path.write_bytes(body)


def _link(file: str, link: str) -> None:
    try:
        os.link(file, link)
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        shutil.copyfile(file, link)
