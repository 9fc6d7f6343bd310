"""Resumption: a body that breaks off goes on where it ended, by a range request to the same URL.

For files whose whole bytes are verified by a digest afterwards, and of which the server says that
it answers ranges. Another URL is never asked for the rest.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from reconciler.errors import ReconcilerError, Temporary
from reconciler.remote.fetcher import Fetcher, StreamedResponse, Trust
from reconciler.remote.ranges import parse_content_range
from reconciler.remote.urls import display_url

RESUMPTIONS = 4  # of one body, which has to grow in between

logger = logging.getLogger(__name__)


class ResumedStream:
    """Context manager of a file with a declared digest: a response whose `chunks` go on."""

    def __init__(self, fetcher: Fetcher, url: str) -> None:
        self._fetcher = fetcher
        self._url = url
        self._stream: AbstractAsyncContextManager[StreamedResponse] | None = None

    async def __aenter__(self) -> ResumedResponse:
        return ResumedResponse(self, self._url, await self.open(None))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close(kind, error, trace)

    async def open(self, headers: Mapping[str, str] | None) -> StreamedResponse:
        """Open a response in the place of the one before, whose slot is free again by then."""
        await self._close(None, None, None)
        stream = self._fetcher.stream(self._url, headers, trust=Trust.DIGEST)
        response = await stream.__aenter__()
        self._stream = stream
        return response

    async def _close(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.__aexit__(kind, error, trace)


class ResumedResponse:
    """A `StreamedResponse`, as its first answer described it."""

    def __init__(self, stream: ResumedStream, url: str, first: StreamedResponse) -> None:
        self._stream = stream
        self._first = first
        self._requested = url
        self.status = first.status
        self.headers: Mapping[str, str] = first.headers
        self.length = first.length
        self.url = first.url

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces. Raises what broke it off where it cannot go on."""
        response, position, resumed_at = self._first, 0, 0
        for left in range(RESUMPTIONS, -1, -1):
            try:
                async for piece in response.chunks():
                    position += len(piece)
                    yield piece
                return
            except Temporary as error:
                if not left or position == resumed_at or not self._resumable(position):
                    raise
                response, resumed_at = await self._rest(position, error), position

    def _resumable(self, position: int) -> bool:
        """Return True where the server answers ranges, and it is known that more is to come."""
        accepted = _header(self.headers, "accept-ranges").lower() == "bytes"
        return accepted and self.status == 200 and position < (self.length or 0)

    async def _rest(self, position: int, failure: Temporary) -> StreamedResponse:
        """Return a response with the bytes from `position` on. Raises `failure` without one."""
        headers = {"Range": f"bytes={position}-"}
        etag = _header(self.headers, "etag")
        if etag.startswith('"'):  # a weak one does not vouch for bytes
            headers["If-Range"] = etag
        try:
            response = await self._stream.open(headers)
        except ReconcilerError:
            raise failure from None
        part = parse_content_range(response.headers) if response.status == 206 else None
        if part is None or (part.start, part.end, part.total) != (
            position,
            self.length,
            self.length,
        ):
            raise failure
        logger.info("`%s` goes on at byte %d", display_url(self._requested), position)
        return response


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value.strip() for given, value in headers.items() if given.lower() == name), "")
