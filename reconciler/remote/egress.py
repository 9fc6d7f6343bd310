"""Egress rules: where credentials go, and which redirects are followed. Each stands here alone."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from yarl import URL

from reconciler.errors import Malformed, Refused
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
        target = request_url(urljoin(str(current), location)).with_fragment(None)
        start, end = display_url(self._url), display_url(str(target))
        if target in self._visited:
            raise Refused(f"`{start}` redirects in a loop, through `{end}`")
        if len(self._visited) > MAX_REDIRECTS:
            raise Refused(f"`{start}` redirects more than {MAX_REDIRECTS} times")
        if current.scheme == "https" and target.scheme == "http":
            raise Refused(f"`{start}` redirects from https to http, to `{end}`")
        return target


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port
