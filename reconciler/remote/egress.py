"""Egress rules: where credentials go, what comes from where, which redirects are followed.

Each stands here alone.
"""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import urljoin

from yarl import URL

from reconciler.errors import ForeignOrigin, Malformed, Refused
from reconciler.model import ANY_HOST, Remote
from reconciler.remote.fetcher import Trust
from reconciler.remote.urls import display_url

MAX_REDIRECTS = 10
_PLAIN = r"[A-Za-z0-9\-._~!$&'()*+,;=:@/?]*"
_PLAIN_URL = re.compile(rf"https?://[a-z0-9.\-\[\]:]+/{_PLAIN}(?:%[0-9A-Fa-f]{{2}}{_PLAIN})*")


def request_url(url: str) -> URL:
    """Return a URL as it is requested.

    Rule: a user and a password in it are dropped; credentials come from the remote's `auth` only.

    Written as it is where every character may stand in a request (signed URLs must not be quoted
    again), else quoted.
    """
    if _PLAIN_URL.fullmatch(url):
        return URL(url, encoded=True)
    return URL(url).with_user(None)


class CredentialScope:
    """Rule: credentials, extra headers and the client certificate go to the remote's own origin.

    Origin: scheme, host and port of the remote's URL; None for a remote without one. The first
    redirect that leaves the origin ends the scope, also when a later one comes back.
    """

    def __init__(self, base_url: str | None) -> None:
        base = request_url(base_url) if base_url is not None else None
        self._origin = _origin(base) if base is not None else None
        self._prefix = f"{base.origin()}/" if base is not None else None

    def includes(self, url: URL, text: str = "") -> bool:
        """Return True for a URL of the origin. text: the URL as written, compared first."""
        return (self._prefix is not None and text.startswith(self._prefix)) or (
            _origin(url) == self._origin
        )


class OriginRule:
    """Rule: a remote is one origin, for everything whose bytes no declared digest verifies.

    Origin: scheme, host and port of its URL. For a remote with http, https is the same origin, both
    on their default ports; never the other way round. `redirects` of the remote names further
    hosts, whose https answers count as the remote's own, or `any`. It bounds where a request goes
    at first as well as where redirects lead. A remote on disk has no origin on the network.
    """

    def __init__(self, remote: Remote, base_url: str | None) -> None:
        base = request_url(base_url) if base_url is not None else None
        self.host = (base.raw_host or "") if base is not None else ""
        self._shown = _shown_host(base, port=True) if base is not None else ""
        self._origins = _origins(base) if base is not None else ()
        self._prefix = f"{base.origin()}/" if base is not None else None
        self._remote = remote.meta.name
        self._any = remote.redirects == ANY_HOST
        self._hosts = (
            frozenset() if isinstance(remote.redirects, str) else frozenset(remote.redirects)
        )

    def check(self, target: URL, trust: Trust, *, start: URL, text: str = "") -> None:
        """Raise ForeignOrigin where a request must not go.

        start: the URL that was asked for at first. text: `target` as written, compared first.
        """
        if trust is Trust.DIGEST or self._any:
            return
        if self._prefix is not None and text.startswith(self._prefix):
            return
        if target.scheme not in ("http", "https"):  # no request is made of it
            return
        allowed = (*self._origins, *(_origins(start) if trust is Trust.HOST else ()))
        if _origin(target) not in allowed and not self._names(target):
            raise self._refusal(target, start)

    def _names(self, target: URL) -> bool:
        host = _shown_host(target)
        return target.scheme == "https" and not self._hosts.isdisjoint(
            (host, f"{host}:{target.port}")
        )

    def _refusal(self, target: URL, start: URL) -> ForeignOrigin:
        host = _shown_host(target, port=True)
        own = f"`{self._shown}`" if self._shown else "its folder"
        first, last = display_url(str(start)), display_url(str(target))
        what = (
            f"`{first}` is on another host than the remote `{self._remote}`, which is {own} alone,"
            " and has no declared digest"
            if start == target
            else f"`{first}` redirects to `{last}`, which is another host than the remote"
            f" `{self._remote}`: that is {own} alone"
        )
        hint = (
            f"`redirects: [{host}]` in the remote's `spec` lets that host answer, over https;"
            " `redirects: any` every host"
        )
        return ForeignOrigin(what, hint=hint)


class RedirectChain:
    """Rule: at most `MAX_REDIRECTS`, never in a loop, and never from https to http."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._visited: set[URL] = set()

    def next(self, current: URL, location: str | None) -> URL:
        """Return where a redirect of `current` leads.

        Raises Malformed without a location, Refused where the rule is broken.
        """
        self._visited.add(current)
        if not location:
            raise Malformed(f"`{display_url(str(current))}` redirects without saying where to")
        target = _target(current, location)
        start, end = display_url(self._url), display_url(str(target))
        if target in self._visited:
            raise Refused(f"`{start}` redirects in a loop, through `{end}`")
        if len(self._visited) > MAX_REDIRECTS:
            raise Refused(f"`{start}` redirects more than {MAX_REDIRECTS} times")
        if current.scheme == "https" and target.scheme == "http":
            raise Refused(f"`{start}` redirects from https to http, to `{end}`")
        return target


def _target(current: URL, location: str) -> URL:
    """Return the URL that a `Location` means. Raises Malformed where no request can be made."""
    with suppress(ValueError):
        target = request_url(urljoin(str(current), location)).with_fragment(None)
        if target.scheme in ("http", "https") and target.raw_host and target.port:
            return target
    raise Malformed(f"`{display_url(str(current))}` redirects to something that is no web address")


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


def _shown_host(url: URL, *, port: bool = False) -> str:
    """Return the host of a URL as manifests write it. `port`: with its port, if it names one."""
    host = url.raw_host or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{url.explicit_port}" if port and url.explicit_port else shown


def _origins(url: URL) -> tuple[tuple[str, str | None, int | None], ...]:
    """Return a URL's origin; for http on its default port that of https as well."""
    own = _origin(url)
    return (own, ("https", url.raw_host, 443)) if own[::2] == ("http", 80) else (own,)
