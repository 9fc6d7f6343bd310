"""Files under their digests: damaged ones are set aside, unused ones are removed.

Both first rename a file and then look at what they hold: another process may have put the right
bytes in its place, or may have begun to rely on it, in the moment before.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from typing import NamedTuple

from reconciler.model import Digest, is_hex_digest

UNREADABLE = {errno.EIO, errno.EBADMSG, getattr(errno, "EUCLEAN", errno.EIO)}


class KeptFile(NamedTuple):
    """A file of the store. `used_at`: seconds since 1970 when it was last written or claimed."""

    digest: Digest
    size: int
    used_at: float


class KeptFiles:
    """The folders `sha256`, `damaged` and `removed` of a store."""

    def __init__(self, root: str) -> None:
        self._kept = f"{root}/sha256"
        self._damaged = f"{root}/damaged"
        self._removed = f"{root}/removed"

    def file(self, digest: Digest) -> str:
        """Return the path of the file with these bytes."""
        text = digest.raw.hex()
        return f"{self._kept}/{text[:2]}/{text[2:]}"

    def size(self, digest: Digest) -> int | None:
        """Return the bytes of a file, None where it is missing, or anything but a file."""
        try:
            status = os.stat(self.file(digest))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def open(self, digest: Digest) -> BufferedReader:
        """Return an open file. Raises FileNotFoundError, for anything but a file as well.

        Opening a pipe would wait for its other end.
        """
        file = self.file(digest)
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except NotADirectoryError:
            raise FileNotFoundError(file) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(file)
        return open(descriptor, "rb")

    def make_way(self, digest: Digest) -> None:
        """Set aside a folder that has the name of a file, or a file that has that of its folder."""
        file = self.file(digest)
        folder = os.path.dirname(file)
        in_the_way = file if os.path.isdir(folder) else folder
        os.makedirs(self._damaged, exist_ok=True)
        os.rename(in_the_way, f"{self._damaged}/{digest.hex}.{os.urandom(4).hex()}")
        os.makedirs(folder, exist_ok=True)

    def claim(self, digest: Digest) -> int | None:
        """Return the bytes of a file, which counts as used now; None where it is missing."""
        file = self.file(digest)
        try:
            os.utime(file)
        except FileNotFoundError:
            return None
        except OSError:  # another user's file, or a file system for reading: nothing removes there
            pass
        return self.size(digest)

    def verify(self, digest: Digest) -> bool:
        """Return True if a file has its digest; another one is set aside.

        So is one that the disk cannot read.
        """
        try:
            with self.open(digest) as stream:
                read = os.fstat(stream.fileno())
                if _digest_of(stream) == digest.raw:
                    return True
        except FileNotFoundError:
            return False
        self._set_aside(self.file(digest), f"{self._damaged}/{digest.hex}", read)
        return False

    def walk(self) -> Iterator[KeptFile]:
        """Yield every file, folder by folder."""
        for folder in sorted(_names(self._kept)):
            for name in sorted(_names(f"{self._kept}/{folder}")):
                if not is_hex_digest(folder + name):
                    continue
                with suppress(FileNotFoundError):
                    status = os.stat(f"{self._kept}/{folder}/{name}")
                    digest = Digest(bytes.fromhex(folder + name))
                    yield KeptFile(digest, status.st_size, status.st_mtime)

    def remove(self, digest: Digest, unused_since: float) -> bool:
        """Remove a file that was not used since then; return True if it is gone."""
        file, aside = self.file(digest), f"{self._removed}/{digest.hex}"
        try:
            _rename(file, aside)
        except FileNotFoundError:
            return False
        if os.stat(aside).st_mtime > unused_since:
            os.rename(aside, file)
            return False
        _remove(aside)
        return True

    def remove_damaged(self, unused_since: float, *, dry_run: bool) -> tuple[int, int]:
        """Remove files that were set aside before then; return their number and bytes.

        What an interrupted `remove` left goes as well.
        """
        number = size = 0
        for folder in (self._damaged, self._removed):
            for name in _names(folder):
                with suppress(FileNotFoundError):
                    status = os.stat(f"{folder}/{name}")
                    if status.st_ctime > unused_since:
                        continue
                    if not dry_run:
                        _remove(f"{folder}/{name}")
                    number, size = number + 1, size + status.st_size
        return number, size

    def _set_aside(self, file: str, aside: str, read: os.stat_result) -> None:
        """Rename a damaged file, unless its name leads to another file by now."""
        with suppress(FileNotFoundError):
            _rename(file, aside)
            if not os.path.samestat(os.stat(aside), read):
                os.rename(aside, file)


def _digest_of(stream: BufferedReader) -> bytes | None:
    """Return the digest of an open file; None where the disk has lost a part of it."""
    try:
        return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        if error.errno not in UNREADABLE:
            raise
        return None


def _rename(file: str, target: str) -> None:
    if not os.path.exists(file):
        raise FileNotFoundError(file)
    try:
        os.rename(file, target)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(file, target)


def _remove(path: str) -> None:
    if os.path.isdir(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
