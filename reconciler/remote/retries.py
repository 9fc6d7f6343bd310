"""Retries of requests, and of bodies.

Opening a response is tried again by `RetryingFetcher`. A body that breaks off or has a wrong digest
is fetched again by its reader, with `read_body`: the transfer may have corrupted what the server
has intact. Neither retries what the other does, so that the numbers of tries do not multiply.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from reconciler.errors import DigestMismatch, Temporary
from reconciler.remote.fetcher import Fetcher, Response, StreamedResponse, Trust
from reconciler.retrying import RetryPolicy

T = TypeVar("T")


class RetryingFetcher:
    """Fetcher that retries `get`, and the opening of `stream`."""

    def __init__(self, fetcher: Fetcher, policy: RetryPolicy) -> None:
        self._fetcher = fetcher
        self._policy = policy

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        """Return a body, tried again; the last error is raised."""
        return await self._policy.run(lambda: self._fetcher.get(url, headers=headers, limit=limit))

    def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trust: Trust = Trust.ORIGIN,
    ) -> _Opening:
        """Open a body, tried again; errors while it is read are the reader's to retry."""
        return _Opening(self._policy, lambda: self._fetcher.stream(url, headers, trust=trust))

    async def close(self) -> None:
        """Close the fetcher."""
        await self._fetcher.close()


class _Opening:
    """Context manager over streams: opens one after the other until one is open."""

    __slots__ = ("_open", "_policy", "_stream")

    def __init__(
        self,
        policy: RetryPolicy,
        open_stream: Callable[[], AbstractAsyncContextManager[StreamedResponse]],
    ) -> None:
        self._policy = policy
        self._open = open_stream
        self._stream: AbstractAsyncContextManager[StreamedResponse] | None = None

    async def __aenter__(self) -> StreamedResponse:
        async def enter() -> StreamedResponse:
            stream = self._open()
            response = await stream.__aenter__()
            self._stream = stream
            return response

        return await self._policy.run(enter)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            await self._stream.__aexit__(kind, error, trace)


class _CorruptBody(Exception):
    """A body that broke off, or has a wrong digest."""

    def __init__(self, error: Temporary | DigestMismatch) -> None:
        super().__init__(str(error))
        self.error = error


async def read_body(
    policy: RetryPolicy,
    open_stream: Callable[[], AbstractAsyncContextManager[StreamedResponse]],
    read: Callable[[StreamedResponse], Awaitable[T]],
) -> T:
    """Open a stream and return the result of `read`; repeat both for a corrupt body.

    `read` raises Temporary for a body that breaks off, DigestMismatch for wrong bytes; the last of
    these is raised. Errors of opening are raised at once: retrying them is the fetcher's.
    """

    async def fetch() -> T:
        async with open_stream() as response:
            try:
                return await read(response)
            except (Temporary, DigestMismatch) as error:
                raise _CorruptBody(error) from error

    spoilt = replace(policy, retry_if=lambda error: isinstance(error, _CorruptBody))
    try:
        return await spoilt.run(fetch)
    except _CorruptBody as failure:
        raise failure.error from None
