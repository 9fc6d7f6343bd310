"""What this room needs from others: which publications exist, what their paths hold, and bytes by
digest.

Two more are optional: who takes files in (`Receiver`), and who brings bytes that a version holds
and the store does not (`Supply`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
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
        """The representations of one path, in order of emission; empty where the publication has no
        such path.
        """
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


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that was sent. `name`: its last path segment as the client called it, hostile until
    parsed.

    `path`: where its `size` bytes are until the call returns; whoever wants to keep them may move
    them away. `sha256`: 64 lower-case hex digits, computed from the bytes that arrived.
    """

    name: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of a file. `message`: for the person who sent it; `version`: the repository's that
    holds it; `url`: where it is served.

    `shown`: is it visible already, or recorded and not published yet?
    """

    message: str
    version: int
    url: str | None = None
    shown: bool = True


class Receiver(Protocol):
    """Takes files into the repository behind a publication. Each worker process has one of its own."""

    def authenticate(self, publication: str, authorization: str | None) -> str | None:
        """The name of the uploader that an `Authorization` header proves, or None. Compares in
        constant time.

        Called in a worker thread, before any of the body is read. Raises Gone where the publication
        takes no files at all, Refused (answered with 403) where this uploader may not send any.
        """
        ...

    async def receive(
        self,
        publication: str,
        path: str,
        fields: Mapping[str, str],
        file: ReceivedFile,
        principal: str,
    ) -> Receipt:
        """Take a file that `principal` sent to `path` within the publication, empty for its very
        prefix. It is served when this returns.

        `fields`: the form's texts by name; a name that came several times has its texts in order, a
        line each. What is raised becomes a status as `reconciler.serve.uploads` says.
        """
        ...


class Supply(Protocol):
    """Brings the bytes of files that a version holds and the store does not."""

    def lacks(self, digest: Digest) -> bool:
        """May these bytes be missing, because it is known where they can be had? Called in a worker
        thread.
        """
        ...

    def bring(self, digest: Digest, size: int) -> AsyncIterator[bytes]:
        """The `size` bytes in blocks, on their way into the store: the last block comes once the
        digest was right and they are stored.

        Raises what the remote raises (Gone, Refused, Unreachable), and DigestMismatch instead of
        yielding the last block.
        """
        ...
