"""The address under which a client sees a publication, for pages that have to say it.

It is the `baseUrl` of the publication. Without one the request says it: as a proxy forwards it, if
the request came from an address that is trusted as a proxy, else by its own `Host`. What a request
says gets into pages, and is refused unless it is a plain host and a plain path: nothing of it means
more than that in HTML, JSON or a URL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.database.records import ServedPublication
from reconciler.model import is_host, is_prefix
from reconciler.serve.client_addresses import TrustedProxies

_HOST = "host"
_FORWARDED_HOST, _FORWARDED_PROTO = "x-forwarded-host", "x-forwarded-proto"
_FORWARDED_PREFIX = "x-forwarded-prefix"
_FORWARDED = (_FORWARDED_HOST, _FORWARDED_PROTO, _FORWARDED_PREFIX)


class PublicAddress(NamedTuple):
    """Address of a publication, with a slash at its end; `vary`: the headers that decided it."""

    url: str
    vary: bytes = b""


class PublicAddresses:
    """Addresses by request.

    trusted: networks of proxies whose `X-Forwarded-Host`, `-Proto` and `-Prefix` are believed.
    """

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        """Raises ValueError for what is no network."""
        self._trusted = TrustedProxies(trusted)
        names = ("Host", *("X-Forwarded-" + name for name in ("Host", "Proto", "Prefix")))
        self._vary = ", ".join(names if trusted else names[:1]).encode()

    def of(self, scope: Mapping[str, Any], served: ServedPublication) -> PublicAddress | None:
        """Return the address of a publication; None where the request's own cannot be one."""
        if served.base_url is not None:
            return PublicAddress(served.base_url)
        said = _headers(scope, (_HOST, *_FORWARDED) if self._trusted.sent(scope) else (_HOST,))
        host = said.get(_FORWARDED_HOST) or said.get(_HOST, "")
        scheme = said.get(_FORWARDED_PROTO) or scope.get("scheme", "http")
        before = said.get(_FORWARDED_PREFIX, "") or scope.get("root_path", "")
        prefix = before.strip("/")
        if scheme not in ("http", "https") or not is_host(host) or not is_prefix(prefix):
            return None
        root = f"{scheme}://{host}/{prefix}/" if prefix else f"{scheme}://{host}/"
        return PublicAddress(f"{root}{served.path}/", self._vary)


def _headers(scope: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Return what headers say, in the last of several values: the nearest proxy has added it.

    A `Host` that comes twice says nothing (RFC 9112, 3.2).
    """
    said: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1")
        if name not in names:
            continue
        text = value.decode("latin-1")
        if name == _HOST:
            said[name] = "" if name in said else text.strip()
        else:
            said[name] = text.rpartition(",")[2].strip()
    return said
