"""Addresses that a connection may lead to. Names are resolved by a stub; nothing leaves loopback.

Kind of fault: a URL, a redirect or a name that leads a server's requests into its own network.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Refused
from reconciler.model import ANY_HOST, Egress
from reconciler.remote import Fetcher, Trust, open_fetcher
from reconciler.remote.addresses import AddressRule, ForbiddenAddressError, literal_address
from tests.support import faulty
from tests.support.exchange import LIMIT, drain, meet
from tests.support.faulty import FaultyServer
from tests.support.remotes import remote

FORBIDDEN = [
    "127.0.0.1",
    "127.9.9.9",
    "::1",
    "169.254.169.254",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "255.255.255.255",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::169.254.169.254",
    "2002:7f00:1::1",
]
ALLOWED = [
    "8.8.8.8",
    "10.1.2.3",
    "192.168.1.1",
    "172.16.0.1",
    "100.64.0.1",
    "fd12::1",
    "2001:db8::1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::8.8.8.8",
    "::ffff:10.0.0.1",
]


def forbidden(address: str, own: str = "index.example", **egress: Sequence[str]) -> bool:
    rule = AddressRule(Egress(**{key: tuple(value) for key, value in egress.items()}), own)
    try:
        rule.check(address)
    except ForbiddenAddressError:
        return True
    return False


@pytest.mark.parametrize("address", FORBIDDEN)
def test_addresses_of_this_machine_and_of_its_cloud_are_forbidden(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_public_and_private_addresses_are_allowed(address: str) -> None:
    assert not forbidden(address)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_ipv4_address_is_judged_alike_in_every_ipv6_form(address: IPv4Address) -> None:
    outcome = forbidden(str(address))
    for prefix in ("::ffff:", "64:ff9b::", "::ffff:0:"):
        assert forbidden(f"{prefix}{address}") == outcome
    number = int(address)
    six = IPv6Address((0x2002 << 112) | (number << 80) | 1)
    assert forbidden(str(six)) == outcome
    site = IPv6Address("64:ff9b:1::")
    if number >> 24:  # zeros there are the filling of another prefix
        assert forbidden(str(IPv6Address(int(site) | number))) >= outcome
        split = (number >> 16 << 64) | ((number & 0xFFFF) << 40)
        assert forbidden(str(IPv6Address(int(site) | split))) >= outcome


@pytest.mark.parametrize("own", ["127.0.0.1", "127.0.0.2", "::1", "[::1]", "", "127.1"])
def test_a_remote_on_loopback_uses_loopback_and_no_other_forbidden_range(own: str) -> None:
    loopback = {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::127.0.0.1"}
    loopback |= {"::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"}
    assert {address for address in FORBIDDEN if not forbidden(address, own)} == loopback


def test_the_longest_prefix_decides_and_deny_wins_a_tie() -> None:
    assert not forbidden("127.0.0.1", allow=["127.0.0.0/8"])
    assert not forbidden("fe80::1", allow=["fe80::/10"])
    assert forbidden("10.1.2.3", deny=["10.0.0.0/8"])
    assert not forbidden("10.1.2.3", deny=["10.0.0.0/8"], allow=["10.1.0.0/16"])
    assert forbidden("10.1.2.3", deny=["10.1.2.0/24"], allow=["10.1.0.0/16"])
    assert forbidden("10.1.2.3", deny=["10.1.0.0/16"], allow=["10.1.0.0/16"])
    assert forbidden("::ffff:10.1.2.3", deny=["10.0.0.0/8"])
    assert forbidden("127.0.0.1", own="127.0.0.1", deny=["127.0.0.0/8"])
    assert forbidden("8.8.8.8", deny=["0.0.0.0/0"], allow=["10.0.0.0/8"])
    assert not forbidden("10.0.0.1", deny=["0.0.0.0/0"], allow=["10.0.0.0/8"])


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"])
def test_nothing_allows_the_metadata_of_a_cloud(address: str) -> None:
    assert forbidden(address, own="127.0.0.1", allow=["0.0.0.0/0", "::/0"])


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1."])
def test_addresses_are_known_in_old_spellings(host: str) -> None:
    assert literal_address(host) == ip_address("127.0.0.1")


@pytest.mark.parametrize("host", ["example.org", "1.example", "cafe", "0x", "a.1"])
def test_a_name_is_no_address(host: str) -> None:
    assert literal_address(host) in (None, ip_address("0.0.0.0") if host == "0x" else None)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The addresses of names, instead of a resolver's; `asked`: the names in order."""
    table: dict[str, list[str]] = {"asked": []}

    def resolve(host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        table["asked"].append(host)
        if host not in table:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in table[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return table


def ask(base: str, url: str, **settings: Any) -> bytes:
    async def main() -> bytes:
        fetcher = open_fetcher(remote(retries=0, connect_timeout=1.0, **settings), base)
        try:
            return await drain(fetcher, url)
        finally:
            await fetcher.close()

    return asyncio.run(main())


def test_the_address_that_a_name_resolves_to_is_what_counts(names: dict[str, list[str]]) -> None:
    names["index.example"] = ["10.0.0.1"]
    names["rebound.example"] = ["169.254.169.254"]
    names["inside.example"] = ["127.0.0.1", "::1"]
    for host, address in (
        ("rebound.example", "169.254.169.254"),
        ("inside.example", "(127.0.0.1|::1)"),
        ("[::ffff:169.254.169.254]", "::ffff"),
        ("127.0.0.1", "127.0.0.1"),
    ):
        with pytest.raises(Refused, match=f"leads to {address}"):
            ask("http://index.example/", f"http://{host}:9/f")


def test_a_remote_whose_name_resolves_to_loopback_may_use_it(names: dict[str, list[str]]) -> None:
    names["local.example"] = names["files.example"] = ["127.0.0.1"]

    async def main() -> None:
        async with FaultyServer() as server:
            server.on("/f", faulty.body(b"there"))
            fetcher = open_fetcher(remote(retries=0), server.url("/", "local.example"))
            try:
                assert await drain(fetcher, server.url("/f", "files.example")) == b"there"
                assert await drain(fetcher, server.url("/f")) == b"there"
                assert names["asked"].count("local.example") == 1
            finally:
                await fetcher.close()

    asyncio.run(main())


def test_a_name_that_also_resolves_elsewhere_is_not_on_loopback(
    names: dict[str, list[str]],
) -> None:
    names["both.example"] = ["127.0.0.1", "10.0.0.1"]
    with pytest.raises(Refused, match="leads to 127"):
        ask("http://both.example/", "http://127.0.0.1:9/f")


def test_a_redirect_leads_to_no_forbidden_address_whatever_is_allowed_to_answer() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/a", faulty.redirect("http://169.254.169.254/latest/"))
        with pytest.raises(Refused, match="cloud metadata, which is never allowed"):
            await fetcher.get(upstream.url("/a"), headers={}, limit=LIMIT)
        with pytest.raises(Refused, match="cloud metadata"):
            await drain(fetcher, upstream.url("/a"), Trust.DIGEST)

    meet(talk, remote(retries=0, redirects=ANY_HOST))


def test_the_check_is_once_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[object] = []
    check = AddressRule.check

    def counted(rule: AddressRule, address: Any) -> None:
        checked.append(address)
        check(rule, address)

    monkeypatch.setattr(AddressRule, "check", counted)

    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        upstream.on("/a", faulty.body(b"x"))
        for _ in range(3):
            await fetcher.get(upstream.url("/a"), headers={}, limit=LIMIT)

    meet(talk)
    assert checked == ["127.0.0.1"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "a.localhost", "[::1]", "2130706433", "169.254.1.1"]
)
def test_through_a_proxy_only_literal_addresses_and_localhost_are_checked(
    host: str, names: dict[str, list[str]]
) -> None:
    async def main() -> None:
        async with FaultyServer() as proxy:
            proxy.on("/f", faulty.body(b"there"))
            settings = remote(retries=0, proxy=proxy.url(""))
            fetcher = open_fetcher(settings, "http://index.example/")
            try:
                with pytest.raises(Refused, match="leads to"):
                    await drain(fetcher, f"http://{host}/f")
                assert proxy.requests == []
                await drain(fetcher, "http://inside.example/f")  # the proxy resolves it
                assert len(proxy.requests) == 1
            finally:
                await fetcher.close()

    asyncio.run(main())


def test_a_remote_of_its_own_network_is_denied_by_its_egress() -> None:
    async def talk(upstream: FaultyServer, fetcher: Fetcher) -> None:
        with pytest.raises(Refused, match=r"`egress\.deny`"):
            await fetcher.get(upstream.url("/a"), headers={}, limit=LIMIT)

    meet(talk, remote(retries=0, egress=Egress(deny=("127.0.0.0/8",))))
