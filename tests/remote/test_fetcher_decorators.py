"""Retries and limits, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from reconciler.errors import Gone, Unreachable
from reconciler.remote import (
    ConcurrencyLimiter,
    Fetcher,
    RateLimiter,
    Response,
    RetryingFetcher,
    StreamedResponse,
    Trust,
)
from tests.support.remotes import VirtualTime


class Script:
    """A fetcher that fails with each of `failures` in turn, then answers; counts who is inside."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0
        self.inside = 0
        self.most = 0
        self.closed = False

    async def get(self, url: str, *, headers: Mapping[str, str], limit: int) -> Response:
        with_headers = dict(headers)
        await self._enter()
        self.inside -= 1
        return Response(200, url, with_headers, b"x" * limit)

    @asynccontextmanager
    async def _opened(
        self, url: str, headers: Mapping[str, str] | None
    ) -> AsyncIterator[StreamedResponse]:
        await self._enter()
        try:
            yield Opened(url, headers)
        finally:
            self.inside -= 1

    def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        trust: Trust = Trust.ORIGIN,
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        return self._opened(url, headers)

    async def close(self) -> None:
        self.closed = True

    async def _enter(self) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(0)


class Opened:
    def __init__(self, url: str, headers: Mapping[str, str] | None) -> None:
        self.url = url
        self.status = 200
        self.headers: Mapping[str, str] = headers or {}
        self.length: int | None = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b""


async def use(fetcher: Fetcher, how: str) -> str:
    """One request by `get` or `stream`; returns the URL that answered."""
    if how == "get":
        return (await fetcher.get("http://example.org/x", headers={"accept": "y"}, limit=3)).url
    async with fetcher.stream("http://example.org/x") as stream:
        return stream.url


HOWS = pytest.mark.parametrize("how", ["get", "stream"])


@HOWS
def test_temporary_failures_are_repeated_with_growing_delays(how: str) -> None:
    time, script = VirtualTime(), Script(*(Unreachable("later") for _ in range(4)))
    fetcher = RetryingFetcher(script, time.policy(4, random=lambda: 0.5))
    assert asyncio.run(use(fetcher, how)) == "http://example.org/x"
    assert time.slept == [0.25, 0.5, 1.0, 2.0]
    assert script.inside == 0


@HOWS
def test_the_last_failure_is_raised_when_patience_ends(how: str) -> None:
    time, last = VirtualTime(), Unreachable("last")
    script = Script(Unreachable("first"), Unreachable("second"), last)
    with pytest.raises(Unreachable) as caught:
        asyncio.run(use(RetryingFetcher(script, time.policy(2)), how))
    assert caught.value is last
    assert (script.calls, len(time.slept)) == (3, 2)


@HOWS
def test_permanent_failures_are_not_repeated(how: str) -> None:
    time, script = VirtualTime(), Script(Gone("no"))
    with pytest.raises(Gone):
        asyncio.run(use(RetryingFetcher(script, time.policy(4)), how))
    assert (script.calls, time.slept) == (1, [])


def test_a_server_is_obeyed_up_to_a_cap() -> None:
    time = VirtualTime()
    script = Script(
        Unreachable("later", retry_after=17.0), Unreachable("later", retry_after=86_400.0)
    )
    asyncio.run(use(RetryingFetcher(script, time.policy(2, random=lambda: 0.0)), "get"))
    assert time.slept == [17.0, 120.0]


@HOWS
def test_no_more_requests_are_in_flight_than_allowed(how: str) -> None:
    script = Script()

    async def main() -> None:
        limited = ConcurrencyLimiter(script, 3)
        await asyncio.gather(*(use(limited, how) for _ in range(20)))

    asyncio.run(main())
    assert (script.calls, script.most, script.inside) == (20, 3, 0)


@HOWS
def test_a_failure_gives_its_slot_back(how: str) -> None:
    script = Script(Gone("no"), Gone("no"))

    async def main() -> None:
        limited = ConcurrencyLimiter(script, 1)
        for _ in range(2):
            with pytest.raises(Gone):
                await use(limited, how)
        await use(limited, how)

    asyncio.run(main())
    assert script.calls == 3


@HOWS
def test_requests_begin_evenly_spread(how: str) -> None:
    time, script = VirtualTime(), Script()

    async def main() -> None:
        paced = RateLimiter(script, 4.0, time.sleep, clock=time.clock)
        for _ in range(5):
            await use(paced, how)
        time.now += 10.0
        await use(paced, how)

    asyncio.run(main())
    assert time.slept == [0.25, 0.25, 0.25, 0.25]


def test_every_decorator_passes_headers_limit_and_close_on() -> None:
    script = Script()

    async def main() -> None:
        fetcher = RetryingFetcher(
            ConcurrencyLimiter(RateLimiter(script, 1000.0), 1), VirtualTime().policy(1)
        )
        answer = await fetcher.get("http://example.org/x", headers={"accept": "y"}, limit=3)
        assert (answer.headers, answer.body) == ({"accept": "y"}, b"xxx")
        async with fetcher.stream("http://example.org/x", {"if-none-match": "z"}) as stream:
            assert stream.headers == {"if-none-match": "z"}
        await fetcher.close()

    asyncio.run(main())
    assert script.closed
