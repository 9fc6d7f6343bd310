"""URLs: how messages show them, and through which proxy they are requested."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from reconciler.redaction import sanitize, without_queries

_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*/?", re.ASCII)


def joined_url(base: str, url: str) -> str:
    """Return what `urljoin` does.

    Most URLs that are asked for are names in one folder: it is joined once.
    """
    is_name = base.startswith(("https://", "http://")) and _NAME.fullmatch(url)
    return _folder(base) + url if is_name else urljoin(base, url)


@lru_cache(maxsize=64)
def _folder(base: str) -> str:
    return urljoin(base, "./")


def display_url(url: str) -> str:
    """Return a URL for messages.

    Rule: without user, password and fragment, and with `...` for a query, which may hold a
    signature.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return sanitize(without_queries(url), 200)
    host = parts.netloc.rpartition("@")[2]
    text = urlunsplit((parts.scheme, host, parts.path, "..." if parts.query else "", ""))
    return sanitize(text)


class EnvironmentProxies:
    """`http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, read once, by the usual rules."""

    def __init__(self) -> None:
        self._proxies = getproxies()
        self._cache: dict[tuple[str, str], str | None] = {}

    def proxy_for(self, scheme: str, host: str) -> str | None:
        """Return the proxy's URL, credentials included, or None for a direct connection."""
        if not self._proxies:
            return None
        key = (scheme, host)
        if key not in self._cache:
            bypassed = bool(proxy_bypass(host))
            self._cache[key] = (
                None if bypassed else self._proxies.get(scheme) or self._proxies.get("all")
            )
        return self._cache[key]
