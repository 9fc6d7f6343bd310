"""The port: bytes by digest."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol

from reconciler.model import Digest


class Incoming(Protocol):
    """Bytes on their way in. Nobody sees them before `keep`. Not thread-safe; one thread at a time
    may call it.
    """

    def write(self, data: bytes) -> None:
        """Append: hashes and writes in one call, so that one worker thread call does both."""
        ...

    @property
    def size(self) -> int: ...

    @property
    def digest(self) -> Digest:
        """Of everything written so far."""
        ...

    def keep(self, expected: Digest) -> None:
        """Make the bytes visible under their digest. Raises DigestMismatch (and discards them) when
        it is another.
        """
        ...

    def discard(self) -> None:
        """Forget the bytes. May be called at any time, any number of times, also after `keep`."""
        ...


class Store(Protocol):
    """Bytes by digest. What is visible under a digest has that digest. All methods may be called
    from any thread.
    """

    def incoming(self) -> Incoming:
        """Start taking bytes in."""
        ...

    def put(self, data: bytes, expected: Digest) -> None:
        """Keep a small body in one call. Raises DigestMismatch. Nothing happens when it is there
        already.
        """
        ...

    def has(self, digest: Digest) -> bool: ...

    def verify(self, digest: Digest) -> bool:
        """Are there bytes under this digest, and do they have it? Bytes that do not are removed."""
        ...

    def size(self, digest: Digest) -> int:
        """Raises StateFault where the bytes are missing; so do `open` and `path`."""
        ...

    def open(self, digest: Digest) -> BinaryIO: ...

    def path(self, digest: Digest) -> Path | None:
        """A local file with the bytes, or None where the store has no files."""
        ...

    def sync(self) -> None:
        """Everything kept so far survives a power cut once this returns. Call it before committing
        rows that refer to it.
        """
        ...
