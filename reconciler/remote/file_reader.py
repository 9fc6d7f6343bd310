"""Reading files whose digest is known, whole or in part: from the cache, or from upstream once."""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from reconciler.errors import DigestMismatch, Malformed, NotCached, Temporary, Unreachable
from reconciler.model import Digest
from reconciler.remote.addresses import shown
from reconciler.remote.blocks import SMALL
from reconciler.remote.fetcher import Fetcher, Stream
from reconciler.remote.file_cache import FileCache, FilePart
from reconciler.remote.ranges import asking_for, collected, cut_out, placed
from reconciler.remote.responses import too_large
from reconciler.remote.retry import Random, Sleep, delay
from reconciler.threads import in_thread

LARGEST_FILE = (
    64 * 1024 * 1024
)  # bytes of a file, or of a part, and how far from the end a part may begin

T = TypeVar("T")


class FileReader:
    """Files of one remote. `retries`: how often a body that breaks off, or has another digest, is
    fetched again.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        cache: FileCache,
        offline: bool = False,
        *,
        retries: int = 0,
        largest: int = LARGEST_FILE,
        sleep: Sleep = asyncio.sleep,
        random: Random = _random.random,
    ) -> None:
        self._fetcher = fetcher
        self._cache = cache
        self._offline = offline
        self._retries = retries
        self._largest = largest
        self._sleep = sleep
        self._random = random

    async def get(self, url: str, sha256: str) -> bytes:
        """A whole file. Raises Malformed where it is too large or has another digest, NotCached
        when offline, and what the fetcher raises.
        """
        cached = await self._cached(sha256)
        if cached is not None:
            return cached
        self._check_online(url)

        async def take(stream: Stream) -> bytes:
            return await self._take(stream, url, sha256)

        try:
            body = await self._read(url, None, take)
        except DigestMismatch as error:
            raise Malformed(error.message, hint=error.hint) from None
        await _threaded(len(body), self._cache.store, sha256, body)
        return body

    async def get_part(self, url: str, sha256: str, offset: int, length: int) -> FilePart:
        """Up to `length` bytes from `offset`, a negative one counting from the end; nothing, at the
        file's end, where it ends before.

        Raises as `get` does, and ValueError for numbers beyond the limits.
        """
        if not (1 <= length <= self._largest and offset >= -self._largest):
            raise ValueError(
                f"1 to {self._largest:,} bytes make a part, which begins no further from the end:"
                f" not {length:,} from {offset:,}"
            )
        cached = self._cache.load_part(sha256, offset, length) or await self._of_whole(
            sha256, offset, length
        )
        if cached is not None:
            return cached
        self._check_online(url)
        part = await self._ask_for(url, offset, length)
        await _threaded(len(part.body), self._cache.store_part, sha256, offset, length, part)
        return part

    def forget_part(self, sha256: str, offset: int, length: int) -> None:
        """Drop a part from the cache: what it says turned out to be no use."""
        self._cache.drop_part(sha256, offset, length)

    async def _cached(self, sha256: str) -> bytes | None:
        return await asyncio.to_thread(self._cache.load, sha256)

    async def _of_whole(self, sha256: str, offset: int, length: int) -> FilePart | None:
        whole = await self._cached(sha256)
        if whole is None:
            return None
        start = min(offset, len(whole)) if offset >= 0 else max(0, len(whole) + offset)
        return FilePart(start, len(whole), whole[start : start + length])

    def _check_online(self, url: str) -> None:
        if self._offline:
            raise NotCached(
                f"`{shown(url)}` was never read, so an offline run cannot know it",
                hint="run once without `--offline`",
            )

    async def _read(
        self, url: str, headers: Mapping[str, str] | None, take: Callable[[Stream], Awaitable[T]]
    ) -> T:
        """Opening is the fetcher's to repeat; a body that was spoilt on its way is ours."""
        attempt = 0
        while True:
            async with self._fetcher.stream(url, headers) as stream:
                try:
                    return await take(stream)
                except (Temporary, DigestMismatch):
                    if attempt >= self._retries:
                        raise
            await self._sleep(delay(attempt, self._random))
            attempt += 1

    async def _take(self, stream: Stream, url: str, sha256: str) -> bytes:
        if stream.length is not None and stream.length > self._largest:
            raise too_large(url, self._largest)
        body = await collected(stream.chunks(), too_large(url, self._largest), self._largest)
        found = (await _threaded(len(body), Digest.of, body)).hex
        if found != sha256:
            raise DigestMismatch(
                f"`{shown(url)}` has the sha256 {found} instead of {sha256}, which was declared"
                " for it",
                hint=(
                    "upstream serves other bytes than it declares, or something on the way changes"
                    " them"
                ),
            )
        return body

    async def _ask_for(self, url: str, offset: int, length: int) -> FilePart:
        async def take(stream: Stream) -> FilePart | None:
            return await _part(stream, url, offset, length)

        part = await self._read(url, asking_for(offset, length), take)
        if part is None:  # the server knows ranges, and makes a mess of this one

            async def cut(stream: Stream) -> FilePart:
                return await cut_out(stream.chunks(), stream.length, url, offset, length)

            part = await self._read(url, None, cut)
        return part


async def _part(stream: Stream, url: str, offset: int, length: int) -> FilePart | None:
    """What an answer to a request for a part holds of it; None where nobody can tell."""
    if stream.status not in (206, 416):
        return await cut_out(stream.chunks(), stream.length, url, offset, length)
    place = placed(stream.headers)
    if place is None:
        return None
    if place.start is None:
        return (
            FilePart(place.total, place.total, b"")
            if offset >= place.total or not place.total
            else None
        )
    start = offset if offset >= 0 else max(0, place.total + offset)
    end = (
        place.total if offset < 0 else min(place.total, offset + length)
    )  # of a part that is counted from the end, all of it comes
    if (place.start, place.end) != (start, end) or stream.status == 416:
        return None
    body = await collected(
        stream.chunks(),
        Malformed(f"`{shown(url)}` answered with a longer part than it says"),
        end - start,
    )
    if len(body) < end - start:
        raise Unreachable(f"`{shown(url)}` ended before the part that was asked for was whole")
    return FilePart(start, place.total, body[:length])


async def _threaded(size: int, function: Callable[..., T], *args: object) -> T:
    """What takes as long as there are bytes, in a worker thread where there are many."""
    return await in_thread(function, *args) if size > SMALL else function(*args)
