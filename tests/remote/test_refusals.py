"""What each kind of trouble becomes: every error class of the port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress

import pytest

from reconciler.errors import Gone, Malformed, ReconcilerError, Refused, Unreachable
from reconciler.model import Remote
from reconciler.remote import open_fetcher
from tests.support import faulty
from tests.support.exchange import LIMIT, get, stream
from tests.support.faulty import Answer
from tests.support.remotes import remote


def silent() -> Answer:
    return faulty.late(asyncio.Event(), faulty.body(b"never"))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *((code, Gone) for code in (404, 410)),
        *((code, Refused) for code in (400, 401, 403, 407, 451)),
        *((code, Unreachable) for code in (408, 425, 429, 500, 502, 503, 599)),
        *((code, Malformed) for code in (206, 300, 305)),
    ],
)
@pytest.mark.parametrize("ask", [get, stream])
def test_a_status_becomes_its_error(
    code: int, expected: type[ReconcilerError], ask: Callable[[Answer], object]
) -> None:
    with pytest.raises(expected, match=f"answered {code}") as caught:
        ask(faulty.status(code))
    assert type(caught.value) is expected
    assert "/x" in str(caught.value)


def test_retry_after_is_carried_in_seconds() -> None:
    with pytest.raises(Unreachable) as caught:
        get(faulty.status(503, retry_after="17"))
    assert caught.value.retry_after == 17.0


def test_retry_after_may_be_a_date() -> None:
    with pytest.raises(Unreachable) as caught:
        get(faulty.status(429, retry_after="Wed, 21 Oct 2065 07:28:00 GMT"))
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 86_400


@pytest.mark.parametrize("text", ["9" * 400, "Wed, 21 Oct 9999 07:28:00 GMT"])
def test_a_retry_after_beyond_all_measure_is_a_number_that_can_be_told(text: str) -> None:
    """Kind: a number of an upstream that ends in `inf`, which nothing rounds."""
    with pytest.raises(Unreachable) as caught:
        get(faulty.status(503, retry_after=text))
    assert caught.value.retry_after == 30 * 86_400


@pytest.mark.parametrize("text", ["soon", "Wed, 99 Foo", "-3", "1 Jan 99999999999 0:0"])
def test_a_retry_after_that_makes_no_sense_is_none(text: str) -> None:
    with pytest.raises(Unreachable) as caught:
        get(faulty.status(503, retry_after=text))
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    "answer", [faulty.truncated(b"x" * 5000), faulty.broken_chunks(b"x" * 5000)]
)
@pytest.mark.parametrize("ask", [get, stream])
def test_a_body_that_ends_early_is_unreachable(
    answer: Answer, ask: Callable[[Answer], object]
) -> None:
    with pytest.raises(Unreachable, match="ended before"):
        ask(answer)


def test_a_closed_connection_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        get(faulty.hang_up())


def test_an_answer_in_another_protocol_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="not HTTP"):
        get(faulty.not_http())


def test_silence_is_unreachable_after_the_read_time_out() -> None:
    with pytest.raises(Unreachable, match="time-out"):
        get(silent(), remote(retries=0, read_timeout=0.05))


def test_a_slow_drip_is_unreachable_after_the_total_time_out() -> None:
    settings = remote(retries=0, read_timeout=5.0, total_timeout=0.2)
    with pytest.raises(Unreachable, match="time-out"):
        get(faulty.dripping(10_000, 0.01), settings)
    with pytest.raises(Unreachable, match="time-out"):
        stream(faulty.dripping(10_000, 0.01), settings)


@pytest.mark.parametrize("piece", [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"X: y\r\n"])
def test_headers_without_end_are_unreachable_after_connect_and_read_time_outs(
    piece: bytes,
) -> None:
    """Kind: an answer that is always under way, and never begins."""

    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"" if piece.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n")
        with suppress(ConnectionError), closing(writer):
            while True:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        ended.set()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        settings = remote(retries=0, connect_timeout=0.2, read_timeout=0.1)
        fetcher = open_fetcher(settings, url)
        try:
            async with asyncio.timeout(10):
                await fetcher.get(url, headers={}, limit=LIMIT)
        finally:
            await fetcher.close()
            server.close()
            await ended.wait()

    with pytest.raises(Unreachable, match="within the time-out"):
        asyncio.run(main())


def alone(url: str, settings: Remote | None = None, base: str | None = None) -> None:
    """GET `url`, for which no response is prepared."""

    async def main() -> None:
        fetcher = open_fetcher(settings or remote(retries=0), base or url)
        try:
            await fetcher.get(url, headers={}, limit=LIMIT)
        finally:
            await fetcher.close()

    asyncio.run(main())


def test_a_closed_port_is_unreachable() -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        alone(f"http://127.0.0.1:{faulty.closed_port()}/x")


def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="does not resolve"):
        alone("http://host.invalid/x")


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/x", "/x", "http://", "http://[half/x", "http://127.0.0.1:99999/x"]
)
def test_what_is_no_http_url_is_malformed(url: str) -> None:
    with pytest.raises(Malformed, match="no URL"):
        alone(url, base="http://127.0.0.1/")


def test_a_proxy_that_is_gone_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="proxy"):
        alone(
            "http://example.org/x",
            remote(retries=0, proxy=f"http://127.0.0.1:{faulty.closed_port()}"),
        )
