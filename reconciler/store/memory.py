"""A store in memory, without a disk, for tests."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO

from reconciler.model import Digest
from reconciler.store.store_errors import mismatch, missing

_PLACE = "the store in memory"


class MemoryStore:
    """A store in a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[Digest, bytes] = {}

    def incoming(self) -> MemoryIncoming:
        """Begin to write bytes."""
        return MemoryIncoming(self._kept)

    def put(self, data: bytes, expected: Digest) -> None:
        """Store a body. Raises DigestMismatch."""
        actual = Digest.of(data)
        if actual != expected:
            raise mismatch(expected, actual, len(data))
        self._kept.setdefault(expected, data)

    def has(self, digest: Digest) -> bool:
        """Return True if there are bytes under this digest."""
        return digest in self._kept

    def claim(self, digest: Digest) -> int | None:
        """Return the number of bytes, None where they are missing."""
        data = self._kept.get(digest)
        return None if data is None else len(data)

    def verify(self, digest: Digest) -> bool:
        """Return True if the bytes have their digest; other bytes are removed."""
        data = self._kept.get(digest)
        if data is None:
            return False
        if Digest.of(data) == digest:
            return True
        self._kept.pop(digest, None)
        return False

    def size(self, digest: Digest) -> int:
        """Return the number of bytes. Raises StateFault where they are missing."""
        return len(self._bytes(digest))

    def open(self, digest: Digest) -> BinaryIO:
        """Return the bytes as a file. Raises StateFault where they are missing."""
        return io.BytesIO(self._bytes(digest))

    def path(self, digest: Digest) -> None:
        """Return None: there are no files. Raises StateFault where the bytes are missing."""
        self._bytes(digest)

    def sync(self) -> None:
        """Do nothing: memory does not survive its process."""

    def _bytes(self, digest: Digest) -> bytes:
        try:
            return self._kept[digest]
        except KeyError:
            raise missing(digest, _PLACE) from None


class MemoryIncoming:
    """Bytes that are being written to a MemoryStore."""

    def __init__(self, kept: dict[Digest, bytes]) -> None:
        self._kept = kept
        self._parts: list[bytes] = []
        self._hash = hashlib.sha256()
        self._size = 0
        self._over = False

    @property
    def size(self) -> int:
        return self._size

    @property
    def digest(self) -> Digest:
        """The digest of everything written so far."""
        return Digest(self._hash.digest())

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._check()
        self._hash.update(data)
        self._parts.append(bytes(data))
        self._size += len(data)

    def keep(self, expected: Digest) -> None:
        """Make the bytes visible under their digest, or raise DigestMismatch and discard them."""
        self._check()
        actual = self.digest
        parts = self._parts
        self.discard()
        if actual != expected:
            raise mismatch(expected, actual, self._size)
        self._kept.setdefault(expected, b"".join(parts))

    def discard(self) -> None:
        """Remove the bytes; does nothing after `keep`."""
        self._parts = []
        self._over = True

    def _check(self) -> None:
        if self._over:
            raise ValueError("these bytes were kept or discarded already")
