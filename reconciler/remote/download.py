"""A verified download: from a URL into a store, under the digest that somebody declared."""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from reconciler.errors import DigestMismatch, Malformed, Temporary
from reconciler.model import Digest
from reconciler.remote.addresses import shown
from reconciler.remote.port import Fetcher, Stream
from reconciler.remote.retry import Random, Sleep, delay

SMALL = 1024 * 1024  # up to here handing the interpreter lock to and fro costs more CPU than a thread takes off the loop (4 ms at the most)
BLOCK = 1024 * 1024


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
    """Bring the bytes of `url` into `store`; returns how many. `size`: as declared, or None. `progress`: bytes since its last call,
    negative when a try is thrown away.

    A body that breaks off or has another digest is fetched again, up to `retries` times: a transfer may spoil what the server
    has whole. Opening is tried once only: that is the fetcher's to repeat. Raises DigestMismatch, Malformed for a body larger than `size`, and what
    the fetcher raises. Nothing of a failed try is left in the store.
    """
    attempt = 0
    while True:
        received = _Received(url, size, progress)
        async with fetcher.stream(url) as stream:
            try:
                return await _take(stream, store, expected, received)
            except (Temporary, DigestMismatch) as error:
                received.take_back()
                if attempt >= retries:
                    raise _final(error, url) from None
            except BaseException:
                received.take_back()
                raise
        await sleep(delay(attempt, random))
        attempt += 1


class _Received:
    """What one try has received so far."""

    def __init__(self, url: str, size: int | None, progress: Callable[[int], None]) -> None:
        self._url = url
        self._size = size
        self._progress = progress
        self.total = 0

    def check(self, total: int) -> None:
        """Raises Malformed as soon as the body is known to be larger than declared."""
        if self._size is not None and total > self._size:
            raise Malformed(f"`{shown(self._url)}` is larger than the {self._size:,} bytes that were declared for it")

    def add(self, count: int) -> None:
        self.check(self.total + count)
        self.total += count
        self._progress(count)

    def take_back(self) -> None:
        if self.total:
            self._progress(-self.total)


async def _take(stream: Stream, store: Keeper, expected: Digest, received: _Received) -> int:
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


async def _take_blocks(stream: Stream, store: Keeper, expected: Digest, received: _Received) -> int:
    """Hash and write in worker threads, a block a call, so that two downloads use two cores and the loop stays free."""
    incoming = store.incoming()
    block: list[bytes] = []
    held = 0
    try:
        async for piece in stream.chunks():
            received.add(len(piece))
            block.append(piece)
            held += len(piece)
            if held >= BLOCK:
                await _in_thread(incoming.write, b"".join(block))
                block.clear()
                held = 0
        await _in_thread(_finish, incoming, b"".join(block), expected)
    except BaseException:
        incoming.discard()
        raise
    return received.total


def _finish(incoming: Receiving, rest: bytes, expected: Digest) -> None:
    if rest:
        incoming.write(rest)
    incoming.keep(expected)


async def _in_thread(function: Callable[..., None], *args: object) -> None:
    """Run in a worker thread, and stay until that is through even when cancelled: nobody else may touch its file before."""
    future = asyncio.get_running_loop().run_in_executor(None, function, *args)
    try:
        await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        future.exception()  # the cancellation is what counts
        raise


def _final(error: Temporary | DigestMismatch, url: str) -> Temporary | DigestMismatch:
    """A store knows no URL: name it."""
    if isinstance(error, DigestMismatch):
        return DigestMismatch(f"`{shown(url)}`: {error}", hint="upstream serves other bytes than it declares, or something on the way changes them")
    return error
