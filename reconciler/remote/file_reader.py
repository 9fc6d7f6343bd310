"""Reader of files with known digests, whole or in part: from the cache, or from upstream once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from reconciler.errors import DigestMismatch, ForeignOrigin, Malformed, NotCached, Unreachable
from reconciler.model import Digest
from reconciler.remote.body_blocks import SMALL
from reconciler.remote.download import CHANGED_BYTES
from reconciler.remote.fetcher import Fetcher, StreamedResponse, Trust
from reconciler.remote.file_cache import FileCache, FilePart
from reconciler.remote.page_budget import PageBudget
from reconciler.remote.ranges import cut_part, parse_content_range, range_header, read_all
from reconciler.remote.responses import too_large
from reconciler.remote.retries import read_body
from reconciler.remote.urls import display_url
from reconciler.retrying import RetryPolicy
from reconciler.threads import in_thread

# bytes of a file, or of a part, and how far from the end a part may begin
LARGEST_FILE = 64 * 1024 * 1024

ONCE = RetryPolicy(attempts=1)

T = TypeVar("T")


class FileReader:
    """Reader of one remote. retry: for a body that breaks off or has another digest.

    budget: shared by all readers of a process.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        cache: FileCache,
        offline: bool = False,
        *,
        retry: RetryPolicy = ONCE,
        largest: int = LARGEST_FILE,
        budget: PageBudget | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._cache = cache
        self._offline = offline
        self._retry = retry
        self._largest = largest
        self._budget = budget if budget is not None else PageBudget()

    async def get(self, url: str, sha256: str) -> bytes:
        """Return a whole file.

        Raises Malformed where it is too large or has another digest, NotCached when offline, and
        what the fetcher raises.
        """
        cached = await self._cached(sha256)
        if cached is not None:
            return cached
        self._check_online(url)

        async def read(response: StreamedResponse) -> bytes:
            return await self._read_whole(response, url, sha256)

        try:
            body = await self._read(url, None, read, trust=Trust.DIGEST)
        except DigestMismatch as error:
            raise Malformed(error.message, hint=error.hint) from None
        await _in_thread_if_long(len(body), self._cache.store, sha256, body)
        return body

    async def get_part(self, url: str, sha256: str, offset: int, *, length: int) -> FilePart:
        """Return up to `length` bytes from `offset`; a negative offset counts from the end.

        The part is empty, at the file's end, where the file ends before. A part cannot be verified:
        where another host than the URL's would send it, the whole file is read, which can.

        Raises as `get` does, and ValueError for numbers beyond the limits.
        """
        if not (1 <= length <= self._largest and offset >= -self._largest):
            raise ValueError(
                f"1 to {self._largest:,} bytes make a part, which begins no further from the end:"
                f" not {length:,} from {offset:,}"
            )
        cached = self._cache.load_part(sha256, offset, length) or await self._part_of_cached(
            sha256, offset, length
        )
        if cached is not None:
            return cached
        self._check_online(url)
        try:
            part = await self._fetch_part(url, offset, length)
        except ForeignOrigin as refusal:
            return await self._part_of_verified(url, sha256, offset, length=length, refusal=refusal)
        await _in_thread_if_long(
            len(part.body), partial(self._cache.store_part, sha256, offset, length, part=part)
        )
        return part

    def forget_part(self, sha256: str, offset: int, length: int) -> None:
        """Drop a part from the cache, which turned out to be of no use."""
        self._cache.drop_part(sha256, offset, length)

    async def _cached(self, sha256: str) -> bytes | None:
        return await asyncio.to_thread(self._cache.load, sha256)

    async def _part_of_cached(self, sha256: str, offset: int, length: int) -> FilePart | None:
        whole = await self._cached(sha256)
        return _cut(whole, offset, length) if whole is not None else None

    async def _part_of_verified(
        self, url: str, sha256: str, offset: int, *, length: int, refusal: ForeignOrigin
    ) -> FilePart:
        """Return a part of the whole file, which other hosts may send: its digest verifies it."""
        try:
            whole = await self.get(url, sha256)
        except Malformed as error:
            raise Malformed(f"{refusal}; and whole, {error}", hint=refusal.hint) from None
        return _cut(whole, offset, length)

    def _check_online(self, url: str) -> None:
        if self._offline:
            raise NotCached(
                f"`{display_url(url)}` was never read, so an offline run cannot know it",
                hint="run once without `--offline`",
            )

    async def _read(
        self,
        url: str,
        headers: Mapping[str, str] | None,
        read: Callable[[StreamedResponse], Awaitable[T]],
        *,
        trust: Trust = Trust.HOST,
    ) -> T:
        async def counted(response: StreamedResponse) -> T:
            with self._budget.lease():
                return await read(response)

        return await read_body(
            self._retry, lambda: self._fetcher.stream(url, headers, trust=trust), counted
        )

    async def _read_whole(self, response: StreamedResponse, url: str, sha256: str) -> bytes:
        if response.length is not None and response.length > self._largest:
            raise too_large(url, self._largest)
        body = await read_all(response.chunks(), too_large(url, self._largest), self._largest)
        digest = (await _in_thread_if_long(len(body), Digest.of, body)).hex
        if digest != sha256:
            raise DigestMismatch(
                f"`{display_url(url)}` has the sha256 {digest} instead of {sha256}, which was"
                " declared for it",
                hint=CHANGED_BYTES,
            )
        return body

    async def _fetch_part(self, url: str, offset: int, length: int) -> FilePart:
        async def read(response: StreamedResponse) -> FilePart | None:
            return await _part(response, url, offset, length=length)

        part = await self._read(url, range_header(offset, length), read)
        if part is None:  # the server knows ranges, and makes a mess of this one

            async def cut(response: StreamedResponse) -> FilePart:
                return await cut_part(
                    response.chunks(), response.length, url, offset=offset, length=length
                )

            part = await self._read(url, None, cut)
        return part


def _cut(whole: bytes, offset: int, length: int) -> FilePart:
    start = min(offset, len(whole)) if offset >= 0 else max(0, len(whole) + offset)
    return FilePart(start, len(whole), whole[start : start + length])


async def _part(
    response: StreamedResponse, url: str, offset: int, *, length: int
) -> FilePart | None:
    """Return the part that a response holds; None where it does not say which part that is."""
    if response.status not in (206, 416):
        return await cut_part(response.chunks(), response.length, url, offset=offset, length=length)
    content_range = parse_content_range(response.headers)
    if content_range is None:
        return None
    if content_range.start is None:
        return (
            FilePart(content_range.total, content_range.total, b"")
            if offset >= content_range.total or not content_range.total
            else None
        )
    start = offset if offset >= 0 else max(0, content_range.total + offset)
    end = (
        content_range.total if offset < 0 else min(content_range.total, offset + length)
    )  # of a part that is counted from the end, all of it comes
    if (content_range.start, content_range.end) != (start, end) or response.status == 416:
        return None
    body = await read_all(
        response.chunks(),
        Malformed(f"`{display_url(url)}` answered with a longer part than it says"),
        end - start,
    )
    if len(body) < end - start:
        raise Unreachable(
            f"`{display_url(url)}` ended before the part that was asked for was whole"
        )
    return FilePart(start, content_range.total, body[:length])


async def _in_thread_if_long(size: int, function: Callable[..., T], *args: object) -> T:
    """Call a function whose time grows with `size`, in a worker thread where that is large."""
    return await in_thread(function, *args) if size > SMALL else function(*args)
