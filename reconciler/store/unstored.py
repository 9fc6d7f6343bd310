"""A store that verifies and keeps nothing: for bytes that only pass through."""

from __future__ import annotations

import hashlib

from reconciler.model import Digest
from reconciler.store.store_errors import mismatch


class UnstoredBytes:
    """Takes bytes as a store does, and forgets them once their digest is known to be right."""

    def incoming(self) -> HashedBytes:
        """Begin to hash bytes."""
        return HashedBytes()

    def put(self, data: bytes, expected: Digest) -> None:
        """Verify a small body in one call. Raises DigestMismatch."""
        incoming = self.incoming()
        incoming.write(data)
        incoming.keep(expected)


class HashedBytes:
    """Bytes that are hashed, and nothing else."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self._hash.update(data)
        self._size += len(data)

    def keep(self, expected: Digest) -> None:
        """Raise DigestMismatch unless the bytes have this digest."""
        actual = Digest(self._hash.digest())
        if actual != expected:
            raise mismatch(expected, actual, self._size)

    def discard(self) -> None:
        """Do nothing: nothing is kept."""
