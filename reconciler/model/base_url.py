"""The public address of a publication: what stands for it in pages, and its form.

Pages are rendered once and read under many addresses. Where a page has to say an absolute URL its
publisher writes the placeholder, for which server and exports put the address.
"""

from __future__ import annotations

import re

from reconciler.model.content import safe_path

BASE_URL_PLACEHOLDER = "https://publication-address.invalid/"
"""Stands for the address. A URL itself, so that `urljoin` works, of no host (RFC 2606)."""

_PLACEHOLDER = BASE_URL_PLACEHOLDER.encode()
_HOST = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9_-]))*|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_PATH = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*")
_LONGEST_HOST = 262  # a name of 255, and a port
_LONGEST_PATH = 1024


def is_host(text: str) -> bool:
    """Return True for `host` or `host:port`: nothing that means more in HTML, JSON or a URL."""
    match = _HOST.fullmatch(text) if len(text) <= _LONGEST_HOST else None
    return match is not None and 0 < int(match["port"] or 1) < 65536


def is_prefix(text: str) -> bool:
    """Return True for a path that a proxy puts before those of the server; empty is one."""
    return not text or (
        len(text) <= _LONGEST_PATH and _PATH.fullmatch(text) is not None and safe_path(text)
    )


def base_url(text: str) -> str | None:
    """Return an address with a slash at its end; None for what could not be one."""
    scheme, _, rest = text.partition("://")
    host, _, path = rest.partition("/")
    path = path.removesuffix("/")
    if scheme not in ("http", "https") or not is_host(host) or not is_prefix(path):
        return None
    return f"{scheme}://{host}/{path}/" if path else f"{scheme}://{host}/"


def holds_placeholder(body: bytes) -> bool:
    """Return True for the body of a page that has to be told its address."""
    return _PLACEHOLDER in body


def with_base_url(body: bytes, address: str) -> bytes:
    """Return the body of a page with its address, which ends with a slash, for each placeholder."""
    return body.replace(_PLACEHOLDER, address.encode())
