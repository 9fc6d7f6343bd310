"""Verified downloads: from a URL into a store, under a declared digest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Protocol

from reconciler.errors import DigestMismatch, Malformed
from reconciler.model import Digest
from reconciler.remote.body_blocks import SMALL, blocks
from reconciler.remote.fetcher import Fetcher, StreamedResponse
from reconciler.remote.resumption import ResumedStream
from reconciler.remote.retries import read_body
from reconciler.remote.urls import display_url
from reconciler.retrying import RetryPolicy
from reconciler.threads import in_thread


class IncomingArtifact(Protocol):
    """Bytes on their way into a store, as far as a download needs them."""

    def write(self, data: bytes) -> None:
        """Add bytes."""
        ...

    def keep(self, expected: Digest) -> None:
        """Store what was written. Raises DigestMismatch."""
        ...

    def discard(self) -> None:
        """Forget what was written; of no effect once it is stored."""
        ...


class ArtifactStore(Protocol):
    """A store, as far as a download needs it."""

    def incoming(self) -> IncomingArtifact:
        """Begin to write bytes."""
        ...

    def put(self, data: bytes, expected: Digest) -> None:
        """Store bytes at once. Raises DigestMismatch."""
        ...


async def download(
    fetcher: Fetcher,
    store: ArtifactStore,
    url: str,
    *,
    expected: Digest,
    limit: int,
    retry: RetryPolicy,
    progress: Callable[[int], None],
) -> int:
    """Download `url` into `store`; return the number of bytes.

    limit: bytes that are read at most; the digest alone says which ones are right. retry: for a
    body that breaks off, and cannot go on where it ended, or has another digest; opening is the
    fetcher's to retry. progress: bytes since its last call, negative when a try is discarded.

    Raises DigestMismatch, Malformed for a body larger than `limit`, and what the fetcher raises.
    Nothing of a failed try is left in the store.
    """

    async def read(response: StreamedResponse) -> int:
        counter = BodyCounter(url, limit, progress)
        with counter:
            return await _receive(response, store, expected, counter=counter)

    try:
        return await read_body(retry, lambda: ResumedStream(fetcher, url), read)
    except DigestMismatch as error:
        raise with_url(error, url) from None


class BodyCounter:
    """Counter of the bytes of one body, which bounds them.

    A context manager: an error in its block takes back the progress that was reported.
    """

    def __init__(self, url: str, limit: int, progress: Callable[[int], None]) -> None:
        self._url = url
        self._limit = limit
        self._progress = progress
        self.total = 0

    def __enter__(self) -> BodyCounter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self.total:
            self._progress(-self.total)

    def check(self, total: int) -> None:
        """Raise Malformed as soon as the body is known to be larger than the limit."""
        if total > self._limit:
            raise Malformed(
                f"`{display_url(self._url)}` is larger than {self._limit:,} bytes, the most that"
                " is read of a file of unknown size",
                hint="raise `maxSize` of the remote if the file is meant to be that large",
            )

    def add(self, count: int) -> None:
        """Count bytes. Raises Malformed when there are more than the limit."""
        self.check(self.total + count)
        self.total += count
        self._progress(count)

    async def counted(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the same pieces, each counted before."""
        async for piece in pieces:
            self.add(len(piece))
            yield piece


async def _receive(
    response: StreamedResponse, store: ArtifactStore, expected: Digest, *, counter: BodyCounter
) -> int:
    if response.length is None:
        return await _receive_blocks(response, store, expected, counter=counter)
    counter.check(response.length)
    if response.length > SMALL:
        return await _receive_blocks(response, store, expected, counter=counter)
    pieces = [piece async for piece in response.chunks()]
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    counter.add(len(body))
    store.put(body, expected)
    return counter.total


async def _receive_blocks(
    response: StreamedResponse, store: ArtifactStore, expected: Digest, *, counter: BodyCounter
) -> int:
    """Hash and write a body in worker threads, one call a block.

    Two downloads use two cores, and the loop stays free.
    """
    incoming = store.incoming()
    try:
        async for block in blocks(counter.counted(response.chunks())):
            await in_thread(incoming.write, block)
        await in_thread(incoming.keep, expected)
    except BaseException:
        incoming.discard()
        raise
    return counter.total


def with_url(error: DigestMismatch, url: str) -> DigestMismatch:
    """Return the error with its URL, which a store does not know."""
    return DigestMismatch(f"`{display_url(url)}`: {error}", hint=CHANGED_BYTES)


CHANGED_BYTES = "upstream serves other bytes than it declares, or something on the way changes them"
