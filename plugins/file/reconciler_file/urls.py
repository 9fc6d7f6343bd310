"""A list of URLs: one file a line.

A line is `URL [sha256=<hex>] [size=<bytes>]`, or `<hex> URL` as `sha256sum` writes it.
`sha256:<hex>` is understood as well. Relative URLs are relative to the list. A file is named by the
last segment of its URL's path. Blank lines and lines that begin with `#` do not count.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from reconciler.plugin import Malformed
from reconciler_file.listing import Entry, LineFormat, decode_name

_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_SIZE = re.compile(r"[0-9]{1,15}")
_FETCHED: Final = ("http", "https")


class UrlLines(LineFormat):
    """Lines of a list of URLs."""

    def name(self, line: bytes) -> tuple[bytes, bool]:
        url, sha256, _ = _parts(line)
        return _file_name(url), bool(sha256)

    def entry(self, line: bytes) -> Entry:
        written, sha256, size = _parts(line)
        url = urljoin(self.base, written.partition("#")[0])
        return Entry(decode_name(_file_name(written)), url, sha256, size, self._fault(url))

    def _fault(self, url: str) -> str:
        """Return why a URL is not fetched; empty if it is.

        A list from another machine must not name files of this one.
        """
        parts = urlsplit(url)
        if parts.scheme not in _FETCHED and (
            parts.scheme != "file" or urlsplit(self.base).scheme != "file"
        ):
            return f"`{parts.scheme}:` URLs are not fetched from here"
        return (
            "credentials in its URL; the remote's `auth` is the place for them"
            if "@" in parts.netloc
            else ""
        )


def _parts(line: bytes) -> tuple[str, str, int | None]:
    """Return URL, sha256 (empty where there is none) and size."""
    try:
        first, *rest = line.decode("utf-8").split() or [""]  # text knows more blanks than bytes do
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    if _HEX.fullmatch(first):
        if len(rest) != 1:
            raise Malformed("not `<sha256>  URL`")
        return rest[0].removeprefix("*"), first.lower(), None
    fields: dict[str, str] = {}
    for word in rest:
        key, value = re.split("[=:]", f"{word}=", maxsplit=1)
        if key in fields or key not in ("sha256", "size"):
            raise Malformed("not `URL [sha256=<hex>] [size=<bytes>]`")
        fields[key] = value.removesuffix("=")
    return first, _digest(fields), _size(fields)


def _digest(fields: dict[str, str]) -> str:
    if "sha256" in fields and not _HEX.fullmatch(fields["sha256"]):
        raise Malformed("its sha256 is not of 64 hex digits")
    return fields.get("sha256", "").lower()


def _size(fields: dict[str, str]) -> int | None:
    if "size" not in fields:
        return None
    if not _SIZE.fullmatch(fields["size"]):
        raise Malformed("its size is no number of bytes")
    return int(fields["size"])


def _file_name(url: str) -> bytes:
    try:
        name = unquote_to_bytes(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        raise Malformed("not a URL") from None
    if not name:
        raise Malformed("its URL names no file")
    return name
