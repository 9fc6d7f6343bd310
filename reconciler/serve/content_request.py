"""A request for published content, parsed from the ASGI scope in one pass over its headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from reconciler.serve.conditional_requests import ConditionalHeaders

_SLASH = re.compile(rb"(?i)/|%2f")
CONDITIONAL = {
    b"if-match": "if_match",
    b"if-none-match": "if_none_match",
    b"if-modified-since": "if_modified_since",
    b"if-unmodified-since": "if_unmodified_since",
    b"if-range": "if_range",
    b"range": "range_header",
}


class ContentRequest:
    """A `GET` or `HEAD` request.

    path: decoded, below the root path of the server.
    files_by_path: the server sends a file by itself when it is given a path.
    conditions: None for the plain request that nearly all are.
    scope: as the server gave it.
    """

    __slots__ = (
        "accept",
        "accept_encoding",
        "conditions",
        "files_by_path",
        "head",
        "method",
        "path",
        "query",
        "scope",
    )

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.head = self.method == "HEAD"
        self.query: bytes = scope["query_string"]
        self.path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        self.files_by_path = "http.response.pathsend" in scope.get("extensions", ())
        self.accept = self.accept_encoding = b""
        conditional: dict[str, str] = {}
        for name, value in scope["headers"]:
            if name == b"accept":
                self.accept = _joined(self.accept, value)
            elif name == b"accept-encoding":
                self.accept_encoding = _joined(self.accept_encoding, value)
            elif name in CONDITIONAL:
                conditional[CONDITIONAL[name]] = value.decode("latin-1")
        if self.query:
            self.accept = _format(self.query) or self.accept
        self.conditions = ConditionalHeaders(**conditional) if conditional else None

    @property
    def authorization(self) -> str | None:
        """The `Authorization` header; None without one, and where it comes twice."""
        values = [value for name, value in self.scope["headers"] if name == b"authorization"]
        return values[0].decode("latin-1") if len(values) == 1 else None

    @property
    def is_browser(self) -> bool:
        """True for a client that shows pages to a person: it takes all, and HTML first."""
        return self.accept.lstrip().startswith(b"text/html") and b"*/*" in self.accept

    def folders_above(self, slashes: int) -> int:
        """Return how many of the last slashes of the path clients take for one.

        Relative references count no slash that was sent as `%2F`.
        """
        raw = self.scope.get("raw_path") or b""
        sent = _SLASH.findall(raw.partition(b"?")[0]) or [b"/"] * slashes
        return sent[-slashes:].count(b"/") if slashes else 0

    @property
    def asks_for_part(self) -> bool:
        """Return True if there is a `Range` header, which may turn out to mean all of the body."""
        return not self.head and self.conditions is not None and bool(self.conditions.range_header)

    def part(self, etag: str, size: int) -> range | None:
        """Return the part of a body of `size` bytes that is asked for, or None for all of it."""
        if self.conditions is None or not self.asks_for_part:
            return None
        return self.conditions.byte_range(etag, size)


def _joined(before: bytes, value: bytes) -> bytes:
    """Join the values of a header that comes twice (RFC 9110, 5.3)."""
    return before + b"," + value if before else value


def _format(query: bytes) -> bytes:
    """Return the media type of `?format=`, for clients that cannot send `Accept` (PEP 691).

    A bare `+` stands for itself.
    """
    for parameter in query.split(b"&"):
        name, _, value = parameter.partition(b"=")
        if name == b"format":
            return unquote(value.decode("latin-1")).encode("latin-1", "replace")
    return b""
