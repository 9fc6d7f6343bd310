"""A verified download: from a URL into a store, under the digest that somebody declared."""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from reconciler.errors import DigestMismatch, Malformed, Temporary
from reconciler.model import Digest
from reconciler.remote.addresses import shown
from reconciler.remote.blocks import SMALL, blocks
from reconciler.remote.fetcher import Fetcher, Stream
from reconciler.remote.retry import Random, Sleep, delay
from reconciler.threads import in_thread


class Receiving(Protocol):
    """Bytes on their way into a store, as far as a download needs them."""

    def write(self, data: bytes) -> None: ...

    def keep(self, expected: Digest) -> None: ...

    def discard(self) -> None: ...


class Keeper(Protocol):
    """A store, as far as a download needs it. `put` and `keep` raise DigestMismatch."""

    def incoming(self) -> Receiving: ...

    def put(self, data: bytes, expected: Digest) -> None: ...


async def download(
    fetcher: Fetcher,
    store: Keeper,
    url: str,
    expected: Digest,
    size: int | None,
    *,
    retries: int,
    progress: Callable[[int], None],
    sleep: Sleep = asyncio.sleep,
    random: Random = _random.random,
) -> int:
    """Bring the bytes of `url` into `store`; returns how many. `size`: as declared, or None.
    `progress`: bytes since its last call, negative when a try is thrown away.

    A body that breaks off or has another digest is fetched again, up to `retries` times: a transfer
    may spoil what the server has whole. Opening is tried once only: that is the fetcher's to
    repeat. Raises DigestMismatch, Malformed for a body larger than `size`, and what the fetcher
    raises. Nothing of a failed try is left in the store.
    """
    attempt = 0
    while True:
        received = Received(url, size, progress)
        async with fetcher.stream(url) as stream:
            try:
                return await _take(stream, store, expected, received)
            except (Temporary, DigestMismatch) as error:
                received.take_back()
                if attempt >= retries:
                    raise named(error, url) from None
            except BaseException:
                received.take_back()
                raise
        await sleep(delay(attempt, random))
        attempt += 1


class Received:
    """What one try has received so far."""

    def __init__(self, url: str, size: int | None, progress: Callable[[int], None]) -> None:
        self._url = url
        self._size = size
        self._progress = progress
        self.total = 0

    def check(self, total: int) -> None:
        """Raises Malformed as soon as the body is known to be larger than declared."""
        if self._size is not None and total > self._size:
            raise Malformed(
                f"`{shown(self._url)}` is larger than the {self._size:,} bytes that were declared"
                " for it"
            )

    def finish(self) -> None:
        """The body has ended. Raises Malformed when it is smaller than declared."""
        if self._size is not None and self.total < self._size:
            raise Malformed(
                f"`{shown(self._url)}` has {self.total:,} bytes instead of the {self._size:,} that"
                " were declared for it"
            )

    def add(self, count: int) -> None:
        self.check(self.total + count)
        self.total += count
        self._progress(count)

    async def counted(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same pieces, each of them counted before anybody sees it."""
        async for piece in pieces:
            self.add(len(piece))
            yield piece

    def take_back(self) -> None:
        if self.total:
            self._progress(-self.total)


async def _take(stream: Stream, store: Keeper, expected: Digest, received: Received) -> int:
    if stream.length is None:
        return await _take_blocks(stream, store, expected, received)
    received.check(stream.length)
    if stream.length > SMALL:
        return await _take_blocks(stream, store, expected, received)
    pieces = [piece async for piece in stream.chunks()]
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    received.add(len(body))
    store.put(body, expected)
    return received.total


async def _take_blocks(stream: Stream, store: Keeper, expected: Digest, received: Received) -> int:
    """Hash and write in worker threads, a block a call, so that two downloads use two cores and the
    loop stays free.
    """
    incoming = store.incoming()
    try:
        async for block in blocks(received.counted(stream.chunks())):
            await in_thread(incoming.write, block)
        await in_thread(incoming.keep, expected)
    except BaseException:
        incoming.discard()
        raise
    return received.total


def named(error: Temporary | DigestMismatch, url: str) -> Temporary | DigestMismatch:
    """The error with its URL, which a store does not know."""
    if isinstance(error, DigestMismatch):
        return DigestMismatch(
            f"`{shown(url)}`: {error}",
            hint=(
                "upstream serves other bytes than it declares, or something on the way changes them"
            ),
        )
    return error
