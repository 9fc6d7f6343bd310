"""What this room needs from others: which publications exist, what their paths hold, and bytes by digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from reconciler.database.records import Entry, Served
from reconciler.model import Digest


class Publications(Protocol):
    """The read side of the database. All methods may be called from several threads at once."""

    def generation(self) -> object:
        """A token that is cheap to get and differs once what is served has changed."""
        ...

    def served(self) -> Sequence[Served]:
        """Every publication that is served now."""
        ...

    def entries(self, publication_id: int, number: int, path: str) -> Sequence[Entry]:
        """The representations of one path, in order of emission; empty where the publication has no such path."""
        ...

    def pages(self, digests: list[Digest]) -> Mapping[Digest, bytes]:
        """Gzip bodies of rendered pages; digests that are not known are left out."""
        ...


class Files(Protocol):
    """The read side of the store. Both methods raise StateFault where the bytes are missing."""

    def path(self, digest: Digest) -> Path | None:
        """A local file with the bytes, or None where the store has no files."""
        ...

    def open(self, digest: Digest) -> BinaryIO: ...
