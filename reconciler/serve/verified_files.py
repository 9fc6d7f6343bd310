"""Stored files whose bytes were compared with their digest before they are given out.

A file is hashed once for each (device, inode, size, modification, change): up to `AT_ONCE` bytes
before anything of it is sent, and before a part of it is; a larger one while it is sent as a whole,
with its last piece held back. Bytes that enter the memory of the server are always hashed.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from reconciler.errors import StateFault
from reconciler.model import Digest
from reconciler.serve.bounded_cache import BoundedCache
from reconciler.serve.ports import Files

AT_ONCE = 1024 * 1024  # bytes up to which a file is hashed before it is sent
REMEMBERED = 32_768  # files

MISSING = "its bytes are missing"
CHANGED = "its bytes have another digest"

Identity = tuple[int, int, int, int, int]
ReportDamage = Callable[[Digest, str], None]
"""Called in a thread with what is damaged, and how; returns when the file was set aside."""


class StoredFile(NamedTuple):
    """An open file; `verified`: its bytes are known to have their digest."""

    file: BinaryIO
    verified: bool


class VerifiedFiles:
    """Files of a store, as the module describes. Methods are called in threads.

    All raise StateFault where the bytes are missing or other ones, after the damage was reported.
    """

    def __init__(self, files: Files, report: ReportDamage | None) -> None:
        self._files = files
        self._report = report or (lambda digest, problem: None)
        self._lock = threading.Lock()
        self._verified: BoundedCache[Digest, Identity] = BoundedCache(REMEMBERED)

    def read(self, digest: Digest) -> bytes:
        """Return all bytes of a file."""
        with self._open(digest) as file:
            data = file.read()
        if Digest.of(data) != digest:
            raise self.damaged(digest, CHANGED)
        return data

    def size(self, digest: Digest) -> int:
        """Return the bytes that a file has now, verified or not."""
        try:
            return self._files.size(digest)
        except StateFault as fault:
            raise self._missing(digest, fault) from None

    def open(self, digest: Digest, *, partly: bool) -> StoredFile:
        """Open a file; hash it first if it is small, or if only a part of it will be sent."""
        file = self._open(digest)
        try:
            return StoredFile(file, self._verify(digest, file, AT_ONCE if not partly else None))
        except BaseException:
            file.close()
            raise

    def path(self, digest: Digest) -> Path | None:
        """Return the path of a verified file.

        Returns None for a large one that was not verified yet, and where the store has no files.
        """
        try:
            path = self._files.path(digest)
        except StateFault as fault:
            raise self._missing(digest, fault) from None
        try:
            if path is None or self._is_remembered(digest, path):
                return path
            with path.open("rb") as file:
                return path if self._verify(digest, file, AT_ONCE) else None
        except FileNotFoundError:  # set aside since
            raise self.damaged(digest, MISSING) from None

    def complete(self, digest: Digest, file: BinaryIO, actual: bytes) -> None:
        """Take note of what was hashed while a whole file was sent."""
        if actual != digest.raw:
            raise self.damaged(digest, CHANGED)
        self._remember(digest, _identity(file))

    def damaged(self, digest: Digest, problem: str) -> StateFault:
        """Report damage and return the error to raise."""
        self._report(digest, problem)
        return StateFault(f"{digest.short} is damaged in the store: {problem}")

    def _open(self, digest: Digest) -> BinaryIO:
        try:
            return self._files.open(digest)
        except StateFault as fault:
            raise self._missing(digest, fault) from None

    def _missing(self, digest: Digest, fault: StateFault) -> StateFault:
        self._report(digest, MISSING)
        return fault

    def _verify(self, digest: Digest, file: BinaryIO, most: int | None) -> bool:
        """Return True for verified bytes; hash a file of at most `most` bytes first."""
        identity = _identity(file)
        with self._lock:
            if identity is not None and self._verified.get(digest) == identity:
                return True
        if most is not None and _size(file) > most:
            return False
        if _hash(file) != digest.raw:
            raise self.damaged(digest, CHANGED)
        file.seek(0)
        self._remember(digest, identity)
        return True

    def _is_remembered(self, digest: Digest, path: Path) -> bool:
        with self._lock:
            identity = self._verified.get(digest)
        return identity is not None and identity == _identity_of(path.stat())

    def _remember(self, digest: Digest, identity: Identity | None) -> None:
        if identity is not None:
            with self._lock:
                self._verified.put(digest, identity)


def _identity(file: BinaryIO) -> Identity | None:
    """Return what changes with the bytes of a file on a disk; None for one in memory."""
    try:
        status = os.fstat(file.fileno())
    except io.UnsupportedOperation:
        return None
    return _identity_of(status)


def _identity_of(status: os.stat_result) -> Identity:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _hash(file: BinaryIO) -> bytes:
    actual = hashlib.sha256()
    while data := file.read(AT_ONCE):
        actual.update(data)
    return actual.digest()


def _size(file: BinaryIO) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size
