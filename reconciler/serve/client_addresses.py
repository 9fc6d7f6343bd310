"""The address of a client: of its connection, or as a trusted proxy forwards it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

_FORWARDED_FOR = b"x-forwarded-for"
MOST_HOPS = 20  # of `X-Forwarded-For` that are looked at, from the server's end


class ClientAddress(NamedTuple):
    """The origin of a request. `proxy`: that passed it on; "" for none that is trusted."""

    client: str
    proxy: str = ""


class TrustedProxies:
    """Networks of proxies whose word on their clients counts."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        """Raises ValueError for what is no network."""
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(text) for text in networks]

    def includes(self, address: str) -> bool:
        """Return True for the address of a trusted proxy."""
        parsed = _parsed(address) if self._networks else None
        return parsed is not None and any(parsed in network for network in self._networks)

    def sent(self, scope: Mapping[str, Any]) -> bool:
        """Return True for a request that a trusted proxy passes on."""
        return self.includes(_peer(scope))

    def client_of(self, scope: Mapping[str, Any]) -> ClientAddress:
        """Return where a request comes from.

        Of `X-Forwarded-For` the last address counts that is no trusted proxy: what stands before
        it is what a client says.
        """
        peer = _peer(scope)
        if not self.includes(peer):
            return ClientAddress(peer)
        client = peer
        for hop in reversed(_hops(scope)[-MOST_HOPS:]):
            parsed = _parsed(hop)
            if parsed is None:
                break
            client = str(parsed)
            if not self.includes(client):
                break
        return ClientAddress(client, peer if client != peer else "")


def _peer(scope: Mapping[str, Any]) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _hops(scope: Mapping[str, Any]) -> list[str]:
    values = [value for name, value in scope["headers"] if name == _FORWARDED_FOR]
    return [hop.strip() for hop in b",".join(values).decode("latin-1").split(",")]


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address, also in the form `host:port` or `[host]:port` that some proxies send."""
    bare = text[1:].partition("]")[0] if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
