"""Cache of files with known digests on disk, whole ones and parts: none is requested twice.

Not state: all of it or parts of it may be deleted at any time. Whole files are verified whenever
they are read, and belong to every remote; a part cannot be verified, so each remote has parts of
its own. The payload of a part's entry:

    8 bytes, 8 bytes        where it starts in the file; how long the whole file is
    body
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import NamedTuple

from reconciler.remote.cache_folder import CacheFolder

_FILE_MAGIC = b"reconciler-file 1\n"
_PART_MAGIC = b"reconciler-part 2\n"
_PLACE = struct.Struct(">QQ")


class FilePart(NamedTuple):
    """Part of a file: where it starts, the size of the whole file, and the bytes."""

    start: int
    total: int
    body: bytes


class FileCache:
    """Two folders below `root`; where they cannot be written, nothing is cached.

    whose: the remote to which the parts belong.
    """

    def __init__(self, root: Path, remote_key: str = "") -> None:
        self._root = root
        self._remote_key = remote_key
        self._files = CacheFolder(root / "whole", _FILE_MAGIC)
        self._parts = CacheFolder(root / "parts-2", _PART_MAGIC)

    def for_remote(self, remote_key: str) -> FileCache:
        """Return a cache of the same files, and of the parts of one remote."""
        return FileCache(self._root, remote_key)

    def load(self, sha256: str) -> bytes | None:
        """Return a whole file, or None.

        Never raises for what stands in the folder, and never returns other bytes.
        """
        body = self._files.load(sha256)
        return body if body is not None and hashlib.sha256(body).hexdigest() == sha256 else None

    def store(self, sha256: str, body: bytes) -> None:
        """Cache a file whose digest was right."""
        self._files.store(sha256, body)

    def load_part(self, sha256: str, offset: int, length: int) -> FilePart | None:
        """Return the part that was requested with just these numbers, or None."""
        payload = self._parts.load(self._key(sha256, offset, length))
        if payload is None or len(payload) < _PLACE.size:
            return None
        start, total = _PLACE.unpack_from(payload)
        return FilePart(start, total, payload[_PLACE.size :])

    def store_part(self, sha256: str, offset: int, length: int, *, part: FilePart) -> None:
        """Cache a part under the numbers of its request."""
        self._parts.store(
            self._key(sha256, offset, length), _PLACE.pack(part.start, part.total) + part.body
        )

    def drop_part(self, sha256: str, offset: int, length: int) -> None:
        """Forget a part, which turned out to be of no use."""
        self._parts.drop(self._key(sha256, offset, length))

    def _key(self, sha256: str, offset: int, length: int) -> str:
        return f"{self._remote_key} {sha256} {offset} {length}"
