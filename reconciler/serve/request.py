"""What matters of a request, read out of the ASGI scope in one pass over its headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from reconciler.serve.conditional_requests import Conditions

CONDITIONAL = {
    b"if-match": "if_match",
    b"if-none-match": "if_none_match",
    b"if-range": "if_range",
    b"range": "wanted_range",
}


class Request:
    """`path`: decoded, below the root path of the server. `conditions`: None for the plain request
    that nearly all are.
    """

    __slots__ = (
        "_headers",
        "accept",
        "accept_encoding",
        "conditions",
        "files_by_path",
        "head",
        "method",
        "path",
        "query",
    )

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self.method: str = scope["method"]
        self.head = self.method == "HEAD"
        self.query: bytes = scope["query_string"]
        self.path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        self.files_by_path = "http.response.pathsend" in scope.get("extensions", ())
        self.accept = self.accept_encoding = b""
        self._headers = scope["headers"]
        special: dict[str, str] = {}
        for name, value in self._headers:
            if name == b"accept":
                self.accept = _joined(self.accept, value)
            elif name == b"accept-encoding":
                self.accept_encoding = _joined(self.accept_encoding, value)
            elif name in CONDITIONAL:
                special[CONDITIONAL[name]] = value.decode("latin-1")
        if self.query:
            self.accept = _format(self.query) or self.accept
        self.conditions = Conditions(**special) if special else None

    def header(self, name: bytes) -> str | None:
        """A header that may come once, by its name in lower case: the first of that name."""
        return next((value.decode("latin-1") for key, value in self._headers if key == name), None)


def _joined(before: bytes, value: bytes) -> bytes:
    """A header that comes twice is a list (RFC 9110, 5.3)."""
    return before + b"," + value if before else value


def _format(query: bytes) -> bytes:
    """The media type of `?format=`, for clients that cannot send `Accept` (PEP 691). A bare `+`
    stands for itself.
    """
    for parameter in query.split(b"&"):
        name, _, value = parameter.partition(b"=")
        if name == b"format":
            return unquote(value.decode("latin-1")).encode("latin-1", "replace")
    return b""
