"""Addresses: which ones a connection may lead to. The rule stands here alone.

The address is looked at when the connection is made, after the name was resolved: a name that
resolves to something else a moment later gains nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from reconciler.model import Egress

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


_LOOPBACK = "loopback"
_METADATA = _networks("169.254.0.0/16", "fd00:ec2::/32")
_FORBIDDEN: dict[str, tuple[Network, ...]] = {
    _LOOPBACK: _networks("127.0.0.0/8", "::1/128"),
    "link-local": _networks("169.254.0.0/16", "fe80::/10"),
    "multicast": _networks("224.0.0.0/4", "ff00::/8"),
    "unspecified": _networks("0.0.0.0/8", "::/128"),
    "broadcast": _networks("255.255.255.255/32"),
}
# IPv6 addresses that stand for an IPv4 address in their last 32 bits: mapped (RFC 4291 2.5.5.2),
# compatible (2.5.5.1), translated (RFC 2765), NAT64 (RFC 6052)
_ENDS_IN_IPV4 = tuple(
    IPv6Network(text) for text in ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
_SITE_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215
_IPV4_BITS = 0xFFFFFFFF
_OLD_IPV4 = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]*|[0-9]+)){0,3}\.?")


class ForbiddenAddressError(OSError):
    """Raised where a connection would lead to an address that `AddressRule` forbids.

    reason, hint: for a message. Its own text is the same for every address, so that a client that
    tries several raises one of them.
    """

    def __init__(self, address: Address, reason: str, hint: str | None = None) -> None:
        super().__init__("the address is not allowed")
        self.address = address
        self.reason = reason
        self.hint = hint


class AddressRule:
    """Rule: no loopback, link-local, multicast and unspecified addresses.

    A remote whose own host is on loopback may use loopback. `egress` of the remote allows and
    denies further ranges: the longest prefix decides, `deny` where both are as long. Addresses of
    cloud metadata are never allowed. An IPv6 address that stands for an IPv4 address is both.
    """

    def __init__(self, egress: Egress, own_host: str) -> None:
        """own_host: of the remote's URL; empty for a folder, which is on this machine."""
        self._allow = tuple(ip_network(text) for text in egress.allow)
        self._deny = tuple(ip_network(text) for text in egress.deny)
        self._own_host = own_host
        self._on_loopback = _known_loopback(own_host)

    def check(self, address: str | Address) -> None:
        """Raise ForbiddenAddressError for an address that no connection may lead to."""
        outer = ip_address(address.partition("%")[0]) if isinstance(address, str) else address
        for form in _forms(outer):
            self._check_form(form, outer)

    def check_host(self, host: str) -> None:
        """Check a host that something else resolves (a proxy): an address, or `localhost`."""
        literal = literal_address(host)
        if literal is not None:
            self.check(literal)
        elif _is_localhost(host):
            self.check("127.0.0.1")

    async def learn_own_host(self) -> bool:
        """Find out if the remote's own host is on loopback; return True if that was not known."""
        if self._on_loopback is not None:
            return False
        resolved: list[Address] = []
        with suppress(OSError, UnicodeError):
            loop = asyncio.get_running_loop()
            infos = await loop.getaddrinfo(self._own_host, None, type=socket.SOCK_STREAM)
            resolved = [ip_address(str(info[4][0]).partition("%")[0]) for info in infos]
        self._on_loopback = bool(resolved) and all(map(_is_loopback, resolved))
        return True

    def _check_form(self, address: Address, outer: Address) -> None:
        if any(address in network for network in _METADATA):
            raise ForbiddenAddressError(
                outer, "a link-local address of cloud metadata, which is never allowed"
            )
        allowed, denied = _longest(self._allow, address), _longest(self._deny, address)
        if denied is not None and (allowed is None or denied >= allowed):
            raise ForbiddenAddressError(outer, "which `egress.deny` of the remote denies")
        if allowed is not None:
            return
        for name, networks in _FORBIDDEN.items():
            if any(address in network for network in networks):
                if name == _LOOPBACK and self._on_loopback:
                    return
                raise ForbiddenAddressError(
                    outer,
                    f"a {name} address",
                    f"`egress: {{allow: [{ip_network(address)}]}}` of the remote allows it",
                )


def literal_address(host: str) -> Address | None:
    """Return the address that a host of a URL is, None for a name.

    IPv4 also as old C libraries read it: `127.1`, `0x7f000001`, `2130706433`.
    """
    text = host.removeprefix("[").removesuffix("]").partition("%")[0]
    with suppress(ValueError):
        return ip_address(text)
    if _OLD_IPV4.fullmatch(text):
        with suppress(OSError):
            return IPv4Address(socket.inet_aton(text.removesuffix(".")))
    return None


def _forms(address: Address) -> Iterator[Address]:
    """Yield an address, and every IPv4 address that it stands for."""
    yield address
    if isinstance(address, IPv4Address):
        return
    # `::` and `::1` are addresses of their own, no IPv4 ones
    if int(address) > 1 and any(address in network for network in _ENDS_IN_IPV4):
        yield IPv4Address(int(address) & _IPV4_BITS)
    if address in _SITE_NAT64:
        yield from _behind_site_prefix(int(address))
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


def _behind_site_prefix(bits: int) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses behind prefixes of 48, 56, 64 and 96 bits (RFC 6052 2.2).

    The bits 64 to 71 are left out of the shorter ones. Which prefix a site has cannot be seen:
    zeros are the filling of another one.
    """
    shorter = ((bits >> 64) << 56) | (bits & ((1 << 56) - 1))
    numbers = [shorter >> (120 - prefix - 32) & _IPV4_BITS for prefix in (48, 56, 64)]
    for number in (*numbers, bits & _IPV4_BITS):
        if number >> 24:
            yield IPv4Address(number)


def _longest(networks: tuple[Network, ...], address: Address) -> int | None:
    """Return the length of the longest prefix that an address has; None for none."""
    return max((network.prefixlen for network in networks if address in network), default=None)


def _is_loopback(address: Address) -> bool:
    return any(form in network for form in _forms(address) for network in _FORBIDDEN[_LOOPBACK])


def _known_loopback(own_host: str) -> bool | None:
    """Return whether a host is on loopback; None for a name that has yet to be resolved."""
    if not own_host:
        return True
    literal = literal_address(own_host)
    return None if literal is None else _is_loopback(literal)


def _is_localhost(host: str) -> bool:
    """RFC 6761 6.3: `localhost` and every name below it."""
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")
