"""Interfaces that serve needs: publications, the content of paths, and bytes by digest.

Two more are optional: an `UploadReceiver`, and an `ArtifactSource` of bytes that a version holds
and the store does not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from reconciler.database.records import Entry, PageMoment, ServedContent, ServedPublication
from reconciler.errors import ReconcilerError
from reconciler.model import ChunkedBody, Digest, Grant


class Publications(Protocol):
    """The read side of the database. All methods may be called from several threads at once."""

    def generation(self) -> object:
        """Return a token that is cheap to get and differs once what is served has changed."""
        ...

    def served(self) -> Sequence[ServedPublication]:
        """Return every publication that is served now."""
        ...

    def content(
        self, served: ServedPublication, path: str, *, now: datetime
    ) -> ServedContent | None:
        """Return the representations of a path at the moment `now`; None for no such path."""
        ...

    def names_below(self, served: ServedPublication, folder: str, *, limit: int) -> Sequence[str]:
        """Return names within a folder, `""` or one that ends with `/`; folders end with `/`."""
        ...

    def moment(self, served: ServedPublication) -> datetime | None:
        """Return when a publication was first served; None where it is gone meanwhile."""
        ...

    def page_moments(
        self, served: ServedPublication, folder: str, media_type: str
    ) -> Sequence[PageMoment]:
        """Return pages of groups below a folder that ends with `/`, in one media type, by path."""
        ...

    def pages(self, digests: list[Digest]) -> Mapping[Digest, bytes]:
        """Return gzip bodies of rendered pages; unknown digests are left out."""
        ...

    def chunked_bodies(self, digests: list[Digest]) -> Mapping[Digest, ChunkedBody]:
        """Return those of `digests` that are pages in chunks."""
        ...

    def chunks(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return chunks as they are kept; unknown digests are left out."""
        ...


class PulledContent(NamedTuple):
    """Content of a group that another server was asked for.

    `entries`: empty where there is nothing. `fetched`: it was asked for this request. `left`:
    seconds until it is asked again; negative for what should be newer. `problem`: why it is not.
    """

    entries: Sequence[Entry]
    modified: datetime
    fetched: bool
    left: int
    problem: str = ""


class PullSource(Protocol):
    """Publications that take what they lack from elsewhere when a client asks for it."""

    def pulls(self, publication: str) -> bool:
        """Return True for such a publication. Called in a worker thread."""
        ...

    async def group(self, publication: str, group: str) -> PulledContent | None:
        """Return what is served of a group; None where what is published counts alone.

        Raises ReconcilerError where it cannot be known now.
        """
        ...

    def used(self, publication: str, digest: Digest, size: int | None) -> None:
        """Note that a client asked for a file."""
        ...


class Files(Protocol):
    """The read side of the store. All methods raise StateFault where the bytes are missing."""

    def size(self, digest: Digest) -> int:
        """Return the number of bytes."""
        ...

    def path(self, digest: Digest) -> Path | None:
        """Return a local file with the bytes, or None where the store has no files."""
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """Open the bytes for reading."""
        ...


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that was uploaded.

    name: last path segment of the name that the client sent, hostile until parsed.
    path: where its `size` bytes are until `receive` returns; they may be moved away.
    sha256: 64 lower-case hex digits, computed from the bytes that arrived.
    field: name of the form's part that held it.
    """

    name: str
    path: Path
    size: int
    sha256: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class ArrivedRequest:
    """A request that may change a repository, once its body has arrived.

    path: within the publication; empty for the publication's path itself.
    query: values by name, in order.
    headers: by name in lower case, without credentials.
    fields: the form's texts by name; the texts of a name that came several times are lines.
    files: of the form, in order; a body of another type is one file.
    grant: what its client may do.
    """

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    fields: Mapping[str, str]
    files: Sequence[ReceivedFile]
    grant: Grant


@dataclass(frozen=True, slots=True)
class UploadAnswer:
    """A response in the protocol of a publisher."""

    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UploadReceipt:
    """The result of an upload.

    message: for the uploader. version: of the repository, which holds the file. shown: False where
    it is recorded and not published yet. answer: in the place of the server's own. keys: what
    changed. removes: nothing came in, only out.
    """

    message: str
    version: int
    shown: bool = True
    answer: UploadAnswer | None = None
    keys: Sequence[str] = ()
    removes: bool = False


class UploadReceiver(Protocol):
    """Takes files into the repository behind a publication. Each worker process has its own."""

    def endpoints(self, publication: str, path: str) -> Mapping[str, bool]:
        """Return the methods that are taken at a path; True for those that take forms only.

        Called in a worker thread.
        """
        ...

    def authenticate(self, publication: str, authorization: str | None, path: str) -> Grant | None:
        """Return what an `Authorization` header lets a client do at a path, or None.

        Compares in constant time.

        Called in a worker thread, before any of the body is read. Raises Gone where the publication
        takes no files at all, Refused (a 403 response) where this uploader may not send any.
        """
        ...

    async def receive(self, publication: str, request: ArrivedRequest) -> UploadReceipt:
        """Take a request to one of the endpoints. What it brings is served when this returns.

        `reconciler.serve.uploads` says which error becomes which status.
        """
        ...

    async def error_answer(
        self, publication: str, request: ArrivedRequest, status: int, *, error: ReconcilerError
    ) -> UploadAnswer | None:
        """Return how the client is told of an error of `receive`; None for a sentence.

        `error` says what clients may read. Never raises.
        """
        ...


class Readers(Protocol):
    """Decides who reads publications that are not for every client."""

    def read_grant(self, publication: str, authorization: str | None) -> Grant | None:
        """Return what an `Authorization` header lets a client see, or None. Called in a thread.

        Compares in constant time. Raises Temporary where it cannot be known now.
        """
        ...


class ArtifactSource(Protocol):
    """Source of files that a version holds and the store does not."""

    def can_fetch(self, publication: str, digest: Digest) -> bool:
        """Return True where these bytes can be fetched for a publication. Called in a thread.

        Another publication's remote is none of this one's, whatever it has.
        """
        ...

    def fetch(
        self,
        publication: str,
        digest: Digest,
        size: int | None,
        *,
        announce: Callable[[int | None], None],
    ) -> AsyncIterator[bytes]:
        """Yield the bytes in blocks, on their way into the store.

        Asks only remotes that are sources of the publication's repository.

        `size`: as declared, which is advice, or None. `announce`: called before the first block
        with the number of bytes that will come, or None where upstream does not say.

        The last block comes once the digest was right and the bytes are stored. Raises what the
        remote raises (Gone, Refused, Unreachable), and DigestMismatch instead of the last block.
        """
        ...


class ViewContent(Protocol):
    """Published content, as far as a client may see it; of the plugin API, `ViewConduit`."""

    @property
    def publication(self) -> str: ...

    @property
    def base_url(self) -> str: ...

    @property
    def serial(self) -> int: ...

    def read(self, path: str, media_type: str = "") -> bytes | None: ...

    def serial_of(self, path: str) -> int | None: ...

    def serials(self, folder: str, media_type: str) -> Mapping[str, int]: ...


@dataclass(frozen=True, slots=True)
class MatchedView:
    """A view that is about a path. replaces: media type of the representation that it replaces.

    query: it is told of the query. answer: called in a worker thread with what the client sees, the
    path within the publication and the query; None for nothing. May raise anything.
    """

    replaces: str
    query: bool
    answer: Callable[[ViewContent, str, Mapping[str, Sequence[str]]], UploadAnswer | None]


class ViewPublisher(Protocol):
    """The views of one publisher."""

    def find(self, path: str, replaces: str = "") -> MatchedView | None:
        """Return the view that is about a path within a publication. Cheap.

        `replaces`: media type of what the client would get from the path, if there is anything: the
        view has to replace it.
        """
        ...
