"""A remote is one origin: what no declared digest verifies comes from no other host.

Kind of fault: whatever decides where an answer came from.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from reconciler.errors import ForeignOrigin, Refused
from reconciler.model import ANY_HOST, Digest, Tls
from reconciler.remote import Fetcher, MeasurementCache, Trust, measure, open_fetcher
from reconciler.remote.egress import OriginRule
from reconciler.retrying import RetryPolicy
from tests.support import faulty
from tests.support.exchange import LIMIT, drain, meet
from tests.support.faulty import FaultyServer
from tests.support.remotes import remote

HOSTS = st.sampled_from(["own.example", "named.example", "evil.example", "own.example.evil"])
PORTS = st.sampled_from(["", ":80", ":443", ":8443"])
URLS = st.builds(
    lambda scheme, host, port: f"{scheme}://{host}{port}/simple/",
    st.sampled_from(["http", "https"]),
    HOSTS,
    PORTS,
)
REDIRECTS = st.sampled_from(["same-origin", ("named.example",), ("named.example:8443",), "any"])


def allowed(base: str | None, target: str, trust: Trust, redirects: Any = "same-origin") -> bool:
    rule = OriginRule(remote(redirects=redirects), base)
    try:
        rule.check(URL(target), trust, start=URL(base or target), text=target)
    except ForeignOrigin:
        return False
    return True


def is_own(base: str, target: str) -> bool:
    own, other = URL(base), URL(target)
    upgraded = (own.scheme, own.port, other.scheme, other.port) == ("http", 80, "https", 443)
    same = (own.scheme, own.port) == (other.scheme, other.port)
    return own.host == other.host and (same or upgraded)


@given(base=URLS, target=URLS, redirects=REDIRECTS)
def test_only_the_own_origin_and_named_https_hosts_say_what_no_digest_verifies(
    base: str, target: str, redirects: Any
) -> None:
    url = URL(target)
    named = url.scheme == "https" and not isinstance(redirects, str)
    named = named and (url.host in redirects or f"{url.host}:{url.port}" in redirects)
    expected = is_own(base, target) or named or redirects == "any"
    assert allowed(base, target, Trust.ORIGIN, redirects) == expected
    assert allowed(base, target, Trust.DIGEST, redirects)


@given(target=URLS, redirects=REDIRECTS)
def test_a_folder_has_no_origin_on_the_network(target: str, redirects: Any) -> None:
    assert not allowed(None, target, Trust.ORIGIN)
    assert allowed(None, target, Trust.DIGEST)


def test_a_refused_redirect_names_both_hosts_and_the_key() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/simple/acme/", faulty.redirect(upstream.url("/public/", "localhost")))
        upstream.on("/public/", faulty.body(b"a stranger's"))
        for ask in (
            fetcher.get(upstream.url("/simple/acme/"), headers={}, limit=LIMIT),
            drain(fetcher, upstream.url("/simple/acme/"), Trust.ORIGIN),
            drain(fetcher, upstream.url("/simple/acme/"), Trust.HOST),
        ):
            with pytest.raises(ForeignOrigin) as caught:
                await ask
            assert "127.0.0.1" in caught.value.message
            assert "localhost" in caught.value.message
            assert f"redirects: [localhost:{upstream.port}]" in (caught.value.hint or "")
        assert upstream.asked("/public/") == []
        assert await drain(fetcher, upstream.url("/simple/acme/")) == b"a stranger's"

    meet(talk)


def test_a_named_host_and_any_host_answer_over_https() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/a", faulty.redirect(upstream.url("/b", "localhost")))
        upstream.on("/b", faulty.body(b"there"))
        response = await fetcher.get(upstream.url("/a"), headers={}, limit=LIMIT)
        assert response.body == b"there"

    for redirects in (("localhost",), ANY_HOST):
        settings = remote(retries=0, tls=Tls(verify=False), redirects=redirects)
        meet(talk, settings, FaultyServer(tls=True))


def test_a_direct_link_elsewhere_needs_a_digest(tmp_path: Path) -> None:
    """Also where nothing redirects: a page may name any host."""

    async def main() -> None:
        async with FaultyServer() as own, FaultyServer() as other:
            other.on("/f", faulty.body(b"x"))
            fetcher = open_fetcher(remote(retries=0), own.url("/"))
            try:
                with pytest.raises(ForeignOrigin, match="no declared digest"):
                    await measured(fetcher, other.url("/f"), tmp_path)
                md5 = {"md5": "9dd4e461268c8034f5c8564e155c67a6"}
                sha256 = await measured(fetcher, other.url("/f"), tmp_path, md5)
                assert sha256 == Digest.of(b"x").hex
            finally:
                await fetcher.close()
            assert len(other.requests) == 1

    asyncio.run(main())


async def measured(
    fetcher: Fetcher, url: str, folder: Path, digests: dict[str, str] | None = None
) -> str:
    result = await measure(
        fetcher,
        MeasurementCache(folder / "measures"),
        url,
        into=folder,
        limit=1 << 30,
        retry=RetryPolicy(attempts=1),
        digests=digests or {},
    )
    return result.sha256


def test_an_unknown_algorithm_verifies_nothing(tmp_path: Path) -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        with pytest.raises(Refused, match="no declared digest"):
            await measured(fetcher, upstream.url("/f", "localhost"), tmp_path, {"crc": "00"})

    meet(talk)
