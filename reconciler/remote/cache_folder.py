"""Folder of small files by key, for caches: whole or absent, whatever happens to the folder.

One file a key, `<root>/ab/cdef...` by the sha256 of the key:

    the format's name       as `reconciler-page 1\\n`
    4 bytes                 crc32 of everything that follows
    payload
"""

from __future__ import annotations

import itertools
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

from reconciler.model import Digest

_CHECKSUM = struct.Struct(">I")
_NUMBERS = itertools.count(1)


class CacheFolder:
    """Payloads by key. The folder is made with the first one.

    Where it cannot be written, nothing is kept.
    """

    def __init__(self, root: Path, magic: bytes) -> None:
        self._root = str(root)
        self._magic = magic

    def load(self, key: str) -> bytes | None:
        """Return the payload, or None. Never raises for what stands in the folder."""
        try:
            data = _content(self._file(key))
        except OSError:
            return None
        start = len(self._magic) + _CHECKSUM.size
        if len(data) < start or not data.startswith(self._magic):
            return None
        [checksum] = _CHECKSUM.unpack_from(data, len(self._magic))
        return data[start:] if zlib.crc32(memoryview(data)[start:]) == checksum else None

    def store(self, key: str, payload: bytes) -> None:
        """Replace a payload. A reader sees the old or the new one, whole."""
        target = self._file(key)
        temporary = f"{target}.{os.getpid()}.{next(_NUMBERS)}"
        # a full disk or a folder that is deleted meanwhile costs a request later, not this run
        with suppress(OSError):
            try:
                self._write(temporary, payload)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                self._write(temporary, payload)
            os.replace(temporary, target)

    def drop(self, key: str) -> None:
        """Forget a payload, if it is there."""
        with suppress(OSError):
            os.unlink(self._file(key))

    def _file(self, key: str) -> str:
        name = Digest.of(key.encode()).hex
        return f"{self._root}/{name[:2]}/{name[2:]}"

    def _write(self, path: str, payload: bytes) -> None:
        try:
            with open(path, "xb") as file:
                file.write(b"".join((self._magic, _CHECKSUM.pack(zlib.crc32(payload)), payload)))
        except OSError:
            with suppress(OSError):
                os.unlink(path)
            raise


def _content(path: str) -> bytes:
    """Return what a file holds: half a file object's calls of the system, a million times."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        data = os.read(descriptor, size)
        while data and len(data) < size:  # a signal, or more than a system reads at once
            more = os.read(descriptor, size - len(data))
            if not more:
                break
            data += more
        return data
    finally:
        os.close(descriptor)
