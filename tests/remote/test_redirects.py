"""Redirects: followed, counted, refused."""

from __future__ import annotations

import pytest

from reconciler.errors import Malformed, Refused
from reconciler.model import Tls
from reconciler.remote import Fetcher
from tests.support import faulty
from tests.support.exchange import LIMIT, get, meet
from tests.support.faulty import FaultyServer
from tests.support.remotes import remote


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


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "data:,x", "javascript:1", "http://[", "http://h:99999/"],
)
def test_a_redirect_to_what_is_no_web_address_says_so_of_the_redirect(location: str) -> None:
    with pytest.raises(Malformed, match="/x` redirects to something that is no web address"):
        get(faulty.redirect(location))


def test_a_redirect_out_of_tls_is_refused() -> None:
    with pytest.raises(Refused, match="from https to http"):
        get(
            faulty.redirect("http://127.0.0.1/x"),
            remote(retries=0, tls=Tls(verify=False)),
            server=FaultyServer(tls=True),
        )
