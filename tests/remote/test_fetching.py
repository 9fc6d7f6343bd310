"""The aiohttp fetcher against a server that lies and stumbles: every error class of the port, redirects, credentials, bodies."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from reconciler import __version__
from reconciler.errors import Gone, Malformed, Permanent, ReconcilerError, Refused, Temporary, Unreachable, UsageFault
from reconciler.model import Auth, Remote, Secret, Tls
from reconciler.remote import Fetcher, Response, open_fetcher
from tests.support import faulty
from tests.support.faulty import Answer, FaultyServer
from tests.support.remotes import remote

T = TypeVar("T")
LIMIT = 1_000_000


def meet(talk: Callable[[FaultyServer, Fetcher], Awaitable[T]], settings: Remote | None = None, server: FaultyServer | None = None) -> T:
    """Run `talk` between a server and a fetcher whose own host it is."""

    async def main() -> T:
        async with server or FaultyServer() as upstream:
            fetcher = open_fetcher(settings or remote(retries=0), upstream.url("/"))
            try:
                return await talk(upstream, fetcher)
            finally:
                await fetcher.close()

    return asyncio.run(main())


def get(answer: Answer, settings: Remote | None = None, *, limit: int = LIMIT, server: FaultyServer | None = None) -> Response:
    """GET /x, answered by `answer`."""

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> Response:
        upstream.on("/x", answer)
        return await fetcher.get(upstream.url("/x"), headers={}, limit=limit)

    return meet(talk, settings, server)


async def drain(fetcher: Fetcher, url: str) -> bytes:
    async with fetcher.stream(url) as stream:
        return b"".join([piece async for piece in stream.chunks()])


def stream(answer: Answer, settings: Remote | None = None) -> bytes:
    """The streamed body of /x, answered by `answer`."""

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> bytes:
        upstream.on("/x", answer)
        return await drain(fetcher, upstream.url("/x"))

    return meet(talk, settings)


def silent() -> Answer:
    return faulty.late(asyncio.Event(), faulty.body(b"never"))


# What each kind of trouble becomes


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
def test_a_status_becomes_its_error(code: int, expected: type[ReconcilerError], ask: Callable[[Answer], object]) -> None:
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


@pytest.mark.parametrize("text", ["soon", "Wed, 99 Foo", "-3"])
def test_a_retry_after_that_nobody_understands_is_none(text: str) -> None:
    with pytest.raises(Unreachable) as caught:
        get(faulty.status(503, retry_after=text))
    assert caught.value.retry_after is None


@pytest.mark.parametrize("answer", [faulty.truncated(b"x" * 5000), faulty.broken_chunks(b"x" * 5000)])
@pytest.mark.parametrize("ask", [get, stream])
def test_a_body_that_ends_early_is_unreachable(answer: Answer, ask: Callable[[Answer], object]) -> None:
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


def alone(url: str, settings: Remote | None = None, base: str | None = None) -> None:
    """GET `url` with nobody prepared to answer."""

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


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "/x", "http://", "http://[half/x", "http://127.0.0.1:99999/x"])
def test_what_is_no_http_url_is_malformed(url: str) -> None:
    with pytest.raises(Malformed, match="no URL"):
        alone(url, base="http://127.0.0.1/")


def test_a_proxy_that_is_gone_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="proxy"):
        alone("http://example.org/x", remote(retries=0, proxy=f"http://127.0.0.1:{faulty.closed_port()}"))


# Bodies


def test_get_gives_the_whole_answer() -> None:
    response = get(faulty.body(b"hello", content_type="text/plain", headers={"X-PyPI-Last-Serial": "7"}))
    assert (response.status, response.body) == (200, b"hello")
    assert response.headers["content-type"] == "text/plain"
    assert response.headers["x-pypi-last-serial"] == "7"


def test_not_modified_is_an_answer_to_get_and_nonsense_for_a_stream() -> None:
    assert get(faulty.status(304)).status == 304
    with pytest.raises(Malformed, match="304"):
        stream(faulty.status(304))


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


TEXT = b"some text that packs " * 500


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
        ("identity", TEXT),
    ],
)
def test_get_unpacks_what_it_asked_for(encoding: str, packed: bytes) -> None:
    assert get(faulty.body(packed, headers={"Content-Encoding": encoding})).body == TEXT


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
        get(faulty.gzip_bomb(64 << 20))


def test_a_broken_gzip_body_is_malformed_and_half_a_one_unreachable() -> None:
    with pytest.raises(Malformed, match="unpacked"):
        get(faulty.body(b"not gzip at all", headers={"Content-Encoding": "gzip"}))
    with pytest.raises(Unreachable, match="compressed"):
        get(faulty.body(gzip.compress(TEXT)[:-20], headers={"Content-Encoding": "gzip"}))


def test_an_encoding_that_nobody_asked_for_is_malformed() -> None:
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


# Redirects


def test_redirects_are_followed_and_the_last_url_is_told() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/a", faulty.redirect("b?c=1", 301))
        upstream.on("/b?c=1", faulty.redirect(upstream.url("/d#part"), 308))
        upstream.on("/d", faulty.body(b"there"))
        response = await fetcher.get(upstream.url("/a"), headers={}, limit=LIMIT)
        assert (response.url, response.body) == (upstream.url("/d"), b"there")
        async with fetcher.stream(upstream.url("/a")) as opened:
            assert opened.url == upstream.url("/d")

    meet(talk)


def test_a_redirect_loop_is_refused() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/a", faulty.redirect("/b"))
        upstream.on("/b", faulty.redirect("/a"))
        with pytest.raises(Refused, match="loop"):
            await fetcher.get(upstream.url("/a"), headers={}, limit=LIMIT)
        assert len(upstream.requests) == 2

    meet(talk)


def test_ten_redirects_are_followed_and_no_more() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        for number in range(11):
            upstream.on(f"/{number}", faulty.redirect(f"/{number + 1}"))
        upstream.on("/11", faulty.body(b"there"))
        assert (await fetcher.get(upstream.url("/1"), headers={}, limit=LIMIT)).body == b"there"
        with pytest.raises(Refused, match="more than 10 times"):
            await fetcher.get(upstream.url("/0"), headers={}, limit=LIMIT)

    meet(talk)


def test_a_redirect_to_nowhere_is_malformed() -> None:
    with pytest.raises(Malformed, match="without saying where"):
        get(faulty.status(302))


def test_a_redirect_out_of_tls_is_refused() -> None:
    with pytest.raises(Refused, match="from https to http"):
        get(faulty.redirect("http://127.0.0.1/x"), remote(retries=0, tls=Tls(verify=False)), server=FaultyServer(tls=True))


# Credentials


@pytest.fixture
def authorised(monkeypatch: pytest.MonkeyPatch) -> Remote:
    monkeypatch.setenv("INDEX_PASSWORD", "opensesame")
    monkeypatch.setenv("INDEX_TOKEN", "t0ken")
    return remote(
        retries=0,
        auth=Auth("ali", Secret(env="INDEX_PASSWORD")),
        headers={"X-Team": "data", "X-Token": Secret(env="INDEX_TOKEN")},
    )


def test_credentials_and_headers_reach_the_own_host(authorised: Remote) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/a", faulty.redirect("/b"))
        upstream.on("/b", faulty.body(b"there"))
        await fetcher.get(upstream.url("/a"), headers={"Accept": "text/html"}, limit=LIMIT)
        await drain(fetcher, upstream.url("/b"))
        for request in upstream.requests:
            assert request.headers["authorization"] == "Basic " + b64encode(b"ali:opensesame").decode()
            assert request.headers["x-team"] == "data"
            assert request.headers["x-token"] == "t0ken"
            assert request.headers["user-agent"] == f"reconciler/{__version__}"
        assert upstream.requests[0].headers["accept"] == "text/html"

    meet(talk, authorised)


def secretless(headers: dict[str, str]) -> bool:
    return not {"authorization", "x-team", "x-token"} & set(headers)


def test_credentials_never_follow_a_redirect_to_another_host_nor_come_back(authorised: Remote) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/a", faulty.redirect(upstream.url("/b", "localhost")))
        upstream.on("/b", faulty.redirect(upstream.url("/c")))
        upstream.on("/c", faulty.body(b"there"))
        await fetcher.get(upstream.url("/a"), headers={}, limit=LIMIT)
        await drain(fetcher, upstream.url("/a"))
        assert [request.host.split(":")[0] for request in upstream.asked("/b")] == ["localhost", "localhost"]
        assert all(secretless(request.headers) for request in upstream.asked("/b") + upstream.asked("/c"))

    meet(talk, authorised)


def test_credentials_stay_at_home_when_a_file_lies_on_another_host(authorised: Remote) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x", faulty.body(b"there"))
        await drain(fetcher, upstream.url("/x", "localhost"))
        assert secretless(upstream.requests[0].headers)

    meet(talk, authorised)


def test_credentials_stay_at_home_when_only_the_port_differs(authorised: Remote) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        async with FaultyServer() as other:
            other.on("/x", faulty.body(b"there"))
            await drain(fetcher, other.url("/x"))
            assert secretless(other.requests[0].headers)

    meet(talk, authorised)


def test_messages_hold_no_credentials(authorised: Remote) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x?token=hidden", faulty.status(403))
        with pytest.raises(Refused) as caught:
            await fetcher.get(upstream.url("/x?token=hidden", "user:pass@127.0.0.1"), headers={}, limit=LIMIT)
        text = f"{caught.value!r} {caught.value} {caught.value.hint}"
        for secret in ("hidden", "pass@", "opensesame", "t0ken"):
            assert secret not in text

    meet(talk, authorised)


def test_a_missing_secret_names_the_reference_and_the_remote() -> None:
    with pytest.raises(UsageFault, match=r"remote/upstream: .*`NOT_SET_ANYWHERE`"):
        open_fetcher(remote(auth=Auth("ali", Secret(env="NOT_SET_ANYWHERE"))), "http://example.org/")


# TLS and proxies


def test_an_unknown_certificate_is_refused_with_a_hint() -> None:
    with pytest.raises(Refused, match="not trusted") as caught:
        get(faulty.body(b"x"), server=FaultyServer(tls=True))
    assert caught.value.hint is not None
    assert "tls.ca" in caught.value.hint


@pytest.mark.parametrize("tls", [Tls(ca=str(faulty.CERTIFICATE)), Tls(verify=False)])
def test_a_certificate_is_accepted_when_its_authority_is_named_or_nobody_looks(tls: Tls) -> None:
    assert get(faulty.body(b"x"), remote(retries=0, tls=tls), server=FaultyServer(tls=True)).body == b"x"


def test_a_certificate_for_another_name_is_refused() -> None:
    async def main() -> None:
        async with FaultyServer(tls=True, address="127.0.0.2") as upstream:
            url = upstream.url("/x", "127.0.0.2")
            fetcher = open_fetcher(remote(retries=0, tls=Tls(ca=str(faulty.CERTIFICATE))), url)
            try:
                with pytest.raises(Refused, match="not trusted"):
                    await fetcher.get(url, headers={}, limit=LIMIT)
            finally:
                await fetcher.close()

    asyncio.run(main())


def parts_of_the_certificate(folder: Path) -> tuple[str, str]:
    """The certificate in a file of its own, and the key's text."""
    text = faulty.CERTIFICATE.read_text()
    certificate, mark, key = text.partition("-----BEGIN PRIVATE KEY-----")
    file = folder / "client.pem"
    file.write_text(certificate)
    return str(file), mark + key


def test_a_client_certificate_is_shown_to_the_own_host_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = parts_of_the_certificate(tmp_path)
    monkeypatch.setenv("CLIENT_KEY", key)
    tls = Tls(ca=str(faulty.CERTIFICATE), client_cert=certificate, client_key=Secret(env="CLIENT_KEY"))

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x", faulty.body(b"x"))
        assert (await fetcher.get(upstream.url("/x"), headers={}, limit=LIMIT)).body == b"x"
        with pytest.raises((Unreachable, Refused)):
            await fetcher.get(upstream.url("/x", "localhost"), headers={}, limit=LIMIT)

    meet(talk, remote(retries=0, tls=tls), FaultyServer(tls=True, client_certificates=True))


def test_certificates_that_cannot_be_used_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, _ = parts_of_the_certificate(tmp_path)
    monkeypatch.setenv("CLIENT_KEY", "not a key")
    with pytest.raises(UsageFault, match=r"nowhere\.pem"):
        open_fetcher(remote(tls=Tls(ca=str(tmp_path / "nowhere.pem"))), "https://example.org/")
    with pytest.raises(UsageFault, match=r"client\.pem") as caught:
        open_fetcher(remote(tls=Tls(client_cert=certificate, client_key=Secret(env="CLIENT_KEY"))), "https://example.org/")
    assert "not a key" not in str(caught.value)


def through_proxy(upstream: FaultyServer, settings: Remote) -> Awaitable[Response]:
    async def ask() -> Response:
        upstream.on("http://example.org/x", faulty.body(b"by proxy"))
        fetcher = open_fetcher(settings, "http://example.org/")
        try:
            return await fetcher.get("http://example.org/x", headers={}, limit=LIMIT)
        finally:
            await fetcher.close()

    return ask()


def test_the_remotes_proxy_is_used_with_its_credentials() -> None:
    async def main() -> None:
        async with FaultyServer() as upstream:
            answer = await through_proxy(upstream, remote(retries=0, proxy=upstream.url("", "ali:pw@127.0.0.1")))
            assert answer.body == b"by proxy"
            assert upstream.requests[0].host == "example.org"
            assert upstream.requests[0].headers["proxy-authorization"] == "Basic " + b64encode(b"ali:pw").decode()

    asyncio.run(main())


def test_the_proxy_of_the_environment_is_used_unless_no_proxy_names_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with FaultyServer() as upstream:
            monkeypatch.setenv("http_proxy", upstream.url(""))
            monkeypatch.setenv("no_proxy", "host.invalid")
            assert (await through_proxy(upstream, remote(retries=0))).body == b"by proxy"
            fetcher = open_fetcher(remote(retries=0), "http://host.invalid/")
            try:
                with pytest.raises(Unreachable, match="does not resolve"):
                    await fetcher.get("http://host.invalid/x", headers={}, limit=LIMIT)
            finally:
                await fetcher.close()

    asyncio.run(main())


# The whole chain


def test_temporary_failures_are_tried_again_and_permanent_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.remote.retry.FIRST_DELAY", 0.0)

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/x", faulty.status(503), faulty.truncated(b"fine"), faulty.body(b"fine"))
        upstream.on("/y", faulty.status(403))
        assert (await fetcher.get(upstream.url("/x"), headers={}, limit=LIMIT)).body == b"fine"
        assert len(upstream.asked("/x")) == 3
        with pytest.raises(Permanent):
            await fetcher.get(upstream.url("/y"), headers={}, limit=LIMIT)
        assert len(upstream.asked("/y")) == 1
        upstream.on("/z", faulty.status(503))
        with pytest.raises(Temporary):
            await drain(fetcher, upstream.url("/z"))
        assert len(upstream.asked("/z")) == 4

    meet(talk, remote(retries=3))
