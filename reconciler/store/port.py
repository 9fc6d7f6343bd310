"""The port of the store: bytes by digest."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

from reconciler.model import Digest


class Incoming(Protocol):
    """Bytes that are being written; invisible before `keep`. One thread at a time."""

    def write(self, data: bytes) -> None:
        """Append bytes and hash them, both in one call of a worker thread."""
        ...

    @property
    def size(self) -> int: ...

    @property
    def digest(self) -> Digest:
        """The digest of everything written so far."""
        ...

    def keep(self, expected: Digest) -> None:
        """Make the bytes visible under their digest.

        Raises DigestMismatch, and discards the bytes, when they have another digest.
        """
        ...

    def discard(self) -> None:
        """Remove the bytes. May be called at any time, any number of times, also after `keep`."""
        ...


class Store(Protocol):
    """Bytes by digest: what is visible under a digest has that digest.

    All methods may be called from any thread.
    """

    def incoming(self) -> Incoming:
        """Begin to write bytes."""
        ...

    def put(self, data: bytes, expected: Digest) -> None:
        """Store a small body in one call; does nothing when it is stored already.

        Raises DigestMismatch.
        """
        ...

    def has(self, digest: Digest) -> bool: ...

    def claim(self, digest: Digest) -> int | None:
        """Return the number of bytes, None where they are missing; one look, no reading.

        They count as used from now on. Called before rows that refer to them are written, so that
        they are not collected meanwhile.
        """
        ...

    def verify(self, digest: Digest) -> bool:
        """Return True if the bytes have this digest; other bytes are set aside."""
        ...

    def size(self, digest: Digest) -> int:
        """Return the number of bytes.

        Raises StateFault where they are missing, as `open` and `path` do.
        """
        ...

    def open(self, digest: Digest) -> BinaryIO: ...

    def path(self, digest: Digest) -> Path | None:
        """Return a local file with the bytes, or None where the store has no files."""
        ...

    def sync(self) -> None:
        """Make everything kept so far survive a power cut.

        Called before rows that refer to it are committed.
        """
        ...
