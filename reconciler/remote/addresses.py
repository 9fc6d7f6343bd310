"""URLs as messages may show them, and the proxy that the environment names for one."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from reconciler.redaction import sanitize


def shown(url: str) -> str:
    """The URL without user, password and fragment; a query, which may hold a signature, becomes
    `...`.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return sanitize(url, 200)
    host = parts.netloc.rpartition("@")[2]
    text = urlunsplit((parts.scheme, host, parts.path, "..." if parts.query else "", ""))
    return sanitize(text)


class EnvironmentProxies:
    """`http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, read once, as every other client on
    the machine reads them.
    """

    def __init__(self) -> None:
        self._proxies = getproxies()
        self._known: dict[tuple[str, str], str | None] = {}

    def proxy_for(self, scheme: str, host: str) -> str | None:
        """The proxy's URL, credentials included, or None for a direct connection."""
        if not self._proxies:
            return None
        key = (scheme, host)
        if key not in self._known:
            bypassed = bool(proxy_bypass(host))
            self._known[key] = (
                None if bypassed else self._proxies.get(scheme) or self._proxies.get("all")
            )
        return self._known[key]
