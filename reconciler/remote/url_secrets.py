"""Secrets in URLs: what is stored of a URL, and of a page that names some.

Rule: a query or user info, which may be a signature or a token, is never written to disk.
"""

from __future__ import annotations

import re


def _written(char: str, name: str) -> bytes:
    """Return an expression for a character: itself, or as JSON and HTML may write it."""
    code = ord(char)
    forms = rf"\\?{re.escape(char)}|\\u{code:04x}|&#0*{code};?|&#x0*{code:x};?|&{name};"
    return f"(?i:{forms})".encode()


_AT, _QUESTION, _SLASH = _written("@", "commat"), _written("?", "quest"), _written("/", "sol")
_MARKS = (b"?", b"@", b"\\u00", b"&#", b"&quest", b"&commat")  # of bodies that may hold either
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

_AT_URL = re.compile(r"(?i)(https?:(?:\\?/){2})[^/?#\\]*@")
# a fragment begins at `#`, which also stands in character references (`&#38;`)
_QUERY = re.compile(_QUESTION + rb".*?(?=(?<!&)#|\Z)", re.DOTALL)
_USER = re.compile(
    rb"(?i)\A(\s*(?:https?:)?" + _SLASH + rb"{2})(?:(?!" + _SLASH + rb")(?:[^/?#]|(?<=&)#))*" + _AT
)
# also where JSON escapes the slash, the ampersand and others
_ABSOLUTE = re.compile(rb"(?i)https?:(?:\\?/){2}(?:\\[^\"]|[^\s\"<>\\])+")
_ATTRIBUTE = re.compile(
    rb"(?i)(\b(?:href|src|content|data-provenance)\s*=\s*[\"']?)((?<=\")[^\"]*|(?<=')[^']*|[^\s>\"']+)"
)
_MEMBER = re.compile(
    rb"(?i)(\"[\w-]*(?:url|uri|href|link|location|provenance)\"\s*:\s*\")((?:\\.|[^\"\\])*)"
)
_WORD = re.compile(rb"(?m)^([0-9A-Fa-f]{64}[ \t]+\*?|)([^\s<{\[\"'][^\s<>\"]*)")
_LINK = re.compile(rb"(<)([^>]*)")


def storable_url(url: str) -> tuple[str, bool]:
    """Return a URL without user info and query, and True if it had one of them."""
    if not url[:5].lower().startswith("http"):  # of a folder: `?` and `@` belong to names
        return url, False
    bare = url.partition("?")[0]
    if "@" in bare:
        bare = _AT_URL.sub(r"\1", bare)
    return bare, bare != url


def storable_body(body: bytes) -> bytes:
    """Return a page without user info and queries in the URLs that it names.

    It reads absolute URLs wherever they stand, and relative ones in attributes of HTML, in members
    of JSON objects that are named like one, as the first word of a line, and behind a digest. It
    rather cuts too much: such a page is never confirmed by a validator, only shown offline.
    """
    if not any(mark in body for mark in _MARKS):
        return body
    body = _ABSOLUTE.sub(lambda match: _without(match[0], _quoted(body, match.start())), body)
    for pattern in (_ATTRIBUTE, _MEMBER, _WORD):
        body = pattern.sub(lambda match: match[1] + _without(match[2]), body)
    return body


def is_searchable(body: bytes, charset: str) -> bool:
    """Return True for a page whose URLs `storable_body` finds: ASCII is written as such."""
    return not charset.startswith("utf-16") and not body.startswith(_UTF_16)


def storable_link(header: str) -> str:
    """Return a `Link` header (RFC 8288) without user info and queries in its targets."""
    cut = _LINK.sub(lambda match: match[1] + _without(match[2]), header.encode("utf-8", "replace"))
    return cut.decode("utf-8", "replace")


def _quoted(body: bytes, start: int) -> bool:
    """Return True where what begins there is quoted by an apostrophe."""
    return start > 0 and body[start - 1 : start] == b"'"


def _without(url: bytes, quoted: bool = False) -> bytes:
    """Return a URL without user info and query. quoted: it ends at an apostrophe."""
    url, quote, rest = url.partition(b"'") if quoted else (url, b"", b"")
    if any(mark in url for mark in _MARKS):
        url = _QUERY.sub(b"", _USER.sub(rb"\1", url), count=1)
    return url + quote + rest
