"""Bodies, whole and streamed: limits, encodings, conditions, and the URLs that name them."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from reconciler.errors import Gone, Malformed, Unreachable
from reconciler.remote import Fetcher
from tests.support import faulty
from tests.support.exchange import drain, get, meet, stream
from tests.support.faulty import FaultyServer
from tests.support.remotes import remote

TEXT = b"some text that packs " * 500


def test_get_gives_the_whole_answer() -> None:
    response = get(
        faulty.body(b"hello", content_type="text/plain", headers={"X-PyPI-Last-Serial": "7"})
    )
    assert (response.status, response.body) == (200, b"hello")
    assert response.headers["content-type"] == "text/plain"
    assert response.headers["x-pypi-last-serial"] == "7"


def test_bytes_of_a_header_that_are_no_text_become_text_that_can_be_recorded() -> None:
    """Kind: whatever upstream sends is recorded without a crash. RFC 9110 allows any bytes."""
    names = ("Content-Type", "ETag", "Last-Modified", "X-PyPI-Last-Serial")
    sent = b"".join(name.encode() + b": \xe9\r\n" for name in names)
    response = get(faulty.verbatim(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + sent + b"\r\nok"))
    assert response.body == b"ok"
    assert {response.headers[name.lower()].encode() for name in names} == {rb"\udce9"}


def test_not_modified_is_an_answer_to_get_and_nonsense_for_a_stream_without_a_condition() -> None:
    assert get(faulty.status(304)).status == 304
    with pytest.raises(Malformed, match="304"):
        stream(faulty.status(304))


def test_a_stream_with_a_condition_is_answered_with_304_and_no_body() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x", faulty.body(TEXT, conditional=True))
        async with fetcher.stream(upstream.url("/x"), {"Accept": "*/*"}) as opened:
            assert (opened.status, opened.length) == (200, len(TEXT))
            etag = opened.headers["etag"]
        async with fetcher.stream(upstream.url("/x"), {"if-none-match": etag}) as opened:
            assert opened.status == 304
            assert [piece async for piece in opened.chunks()] == []
        upstream.on("/x", faulty.status(304))
        async with fetcher.stream(
            upstream.url("/x"), {"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}
        ) as opened:
            assert opened.status == 304
        with pytest.raises(Malformed, match="304"):
            await fetcher.stream(upstream.url("/x"), {"Accept": "*/*"}).__aenter__()

    meet(talk)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
        ("identity", TEXT),
    ],
    ids=["gzip", "gzip of two members", "zlib", "bare deflate", "identity"],
)
def test_get_unpacks_what_it_asked_for(encoding: str, packed: bytes) -> None:
    assert get(faulty.body(packed, headers={"Content-Encoding": encoding})).body == TEXT


@pytest.mark.parametrize(
    ("encoding", "packed", "reason"),
    [
        ("deflate", zlib.compress(TEXT) + b"g", "goes on behind its end"),
        ("deflate", raw_deflate(TEXT) + b"x" * 70_000, "goes on behind its end"),
        ("gzip", gzip.compress(TEXT) + b"garbage", "cannot be unpacked"),
        ("gzip", gzip.compress(b"") * 20_000, "more than 10,000 members"),
    ],
    ids=["a byte behind zlib", "bytes behind bare deflate", "bytes behind gzip", "empty members"],
)
def test_unpacking_ends_with_its_stream(encoding: str, packed: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        get(faulty.body(packed, headers={"Content-Encoding": encoding}))


def test_a_body_that_unpacks_to_nothing_is_bounded_by_what_arrives() -> None:
    endless = gzip.compress(b"") * 100
    with pytest.raises(Malformed, match="1,000 bytes"):
        get(faulty.body(endless, headers={"Content-Encoding": "gzip"}), limit=1000)


def test_a_large_body_is_unpacked_beside_the_event_loop() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> int:
        large = gzip.compress(bytes(16 << 20))
        upstream.on("/x", faulty.body(large, headers={"Content-Encoding": "gzip"}))
        reading = asyncio.create_task(fetcher.get(upstream.url("/x"), headers={}, limit=32 << 20))
        turns = 0
        while not reading.done():
            await asyncio.sleep(0)
            turns += 1
        assert len((await reading).body) == 16 << 20
        return turns

    assert meet(talk) > 30  # one for each slice at the least


def test_a_body_of_the_limit_is_fine_and_a_byte_more_is_malformed() -> None:
    assert len(get(faulty.huge(1000), limit=1000).body) == 1000
    for answer in (faulty.huge(1001), faulty.huge(1001, declared=True), faulty.gzip_bomb(1001)):
        with pytest.raises(Malformed, match="1,000 bytes"):
            get(answer, limit=1000)


def test_a_huge_page_is_given_up_at_the_limit() -> None:
    with pytest.raises(Malformed, match="larger"):
        get(faulty.huge(1 << 30))


def test_a_bomb_is_defused_at_the_limit() -> None:
    with pytest.raises(Malformed, match="larger"):
        get(faulty.gzip_bomb(32 << 20))


def test_a_broken_gzip_body_is_malformed_and_half_a_one_unreachable() -> None:
    with pytest.raises(Malformed, match="unpacked"):
        get(faulty.body(b"not gzip at all", headers={"Content-Encoding": "gzip"}))
    with pytest.raises(Unreachable, match="compressed"):
        get(faulty.body(gzip.compress(TEXT)[:-20], headers={"Content-Encoding": "gzip"}))


def test_an_encoding_that_was_not_asked_for_is_malformed() -> None:
    with pytest.raises(Malformed, match="`br`"):
        get(faulty.body(b"x", headers={"Content-Encoding": "br"}))


def test_a_stream_is_what_is_on_disk_there() -> None:
    packed = gzip.compress(TEXT)

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x", faulty.body(packed, headers={"Content-Encoding": "gzip"}))
        async with fetcher.stream(upstream.url("/x")) as opened:
            assert opened.length == len(packed)
            assert opened.url == upstream.url("/x")
            assert opened.headers["Content-Encoding"] == "gzip"
            assert b"".join([piece async for piece in opened.chunks()]) == packed
        assert upstream.requests[0].headers["accept-encoding"] == "identity"

    meet(talk)


def test_pieces_of_a_stream_stay_under_a_mebibyte() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> list[int]:
        upstream.on("/x", faulty.huge(8 << 20, declared=True))
        async with fetcher.stream(upstream.url("/x")) as opened:
            return [len(piece) async for piece in opened.chunks()]

    sizes = meet(talk)
    assert sum(sizes) == 8 << 20
    assert max(sizes) <= 1 << 20


def test_a_stream_that_is_left_early_leaves_a_fetcher_that_works() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x", faulty.huge(8 << 20, declared=True))
        upstream.on("/y", faulty.body(b"fine"))
        async with fetcher.stream(upstream.url("/x")) as opened:
            assert await anext(opened.chunks())
        assert await drain(fetcher, upstream.url("/y")) == b"fine"

    meet(talk, remote(retries=0, concurrency=1))


@pytest.mark.parametrize("path", ["/a%2Fb", "/a%2Bb?sig=a%2Fb%3D", "/plus+plus"])
def test_urls_are_asked_as_they_are_written(path: str) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on(path, faulty.body(b"fine"))
        assert await drain(fetcher, upstream.url(path)) == b"fine"

    meet(talk)


def test_urls_with_odd_characters_are_quoted() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/a%20b%C3%A9", faulty.body(b"fine"))
        assert await drain(fetcher, upstream.url("/a b\u00e9")) == b"fine"

    meet(talk)


def test_a_line_break_in_a_url_writes_no_header() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        with pytest.raises(Gone):
            await drain(fetcher, upstream.url("/a HTTP/1.1\r\nX-Injected: y\r\n"))
        assert "x-injected" not in upstream.requests[0].headers

    meet(talk)
