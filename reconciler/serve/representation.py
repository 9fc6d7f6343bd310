"""Resources and their representations, each with the headers that go out with it."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from math import ceil
from time import time
from typing import Any

from reconciler.database.records import Entry, ServedContent
from reconciler.model import Digest
from reconciler.serve.negotiation import accepts_gzip, choose
from reconciler.serve.public_addresses import PublicAddress

Header = tuple[bytes, bytes]
Message = dict[str, Any]
BodyKey = tuple[bytes, bool, str | None]
"""Digest of the published bytes, whether they are compressed, and the address that they say."""

REMEMBERED_CHOICES = 16  # (Accept, Accept-Encoding) pairs of one path; clients come in few kinds
LONGEST_CHOICE = 1024  # bytes of both headers; longer ones would hold up every other request

# `is_immutable` says what this is for. All else is asked for again each time, which costs a 304:
# what was published a moment ago is seen at once, also by pip from 26.2 on, which otherwise trusts
# its cache.
REVALIDATE = (b"cache-control", b"no-cache")
IMMUTABLE = (b"cache-control", b"public, max-age=31536000, immutable")
PRIVATE = {  # the same where caches of several users may keep nothing
    REVALIDATE: (b"cache-control", b"private, no-cache"),
    IMMUTABLE: (b"cache-control", b"private, max-age=31536000, immutable"),
}
KEPT_BY_304 = (b"cache-control", b"etag", b"last-modified", b"vary")
COMPRESSED = ("application/gzip", "application/x-xz", "application/zstd")
NOSNIFF = (b"x-content-type-options", b"nosniff")


def is_immutable(entry: Entry) -> bool:
    """Return True where no other body ever comes under the path: the one rule for it.

    That is a path that holds the digest of its bytes, or of which the publisher promised it, to
    which the core holds it. A page that says where it is served has as many bodies as addresses.
    """
    return not entry.addressed and (entry.immutable or entry.digest.hex in entry.path)


class Representation:
    """An entry in one coding, at one address if it says where it is served.

    etag: differs between codings and addresses, as the bytes do. key: of the body in memory.
    modified: seconds since 1970; no other body of the path has the same; None where addresses make
    several. A response says so once the moment is over: no date may lie in the future (RFC 9110,
    8.8.2.1).
    """

    __slots__ = (
        "_dated",
        "_headers",
        "_length",
        "_private",
        "_start",
        "_vary",
        "address",
        "entry",
        "etag",
        "gzip",
        "key",
        "modified",
    )

    def __init__(
        self,
        entry: Entry,
        *,
        modified: int | None,
        gzip: bool,
        vary: bytes,
        address: str | None = None,
        private: bool = False,
    ) -> None:
        self.entry = entry
        self._private = private
        self.modified = modified
        self.gzip = gzip
        self.address = address
        self.key: BodyKey = (entry.digest.raw, gzip, address)
        place = "" if address is None else f"-{Digest.of(address.encode()).hex[:16]}"
        self.etag = f'"{entry.digest.hex}{place}{"-gzip" if gzip else ""}"'
        self._headers = [
            (b"etag", self.etag.encode()),
            *_headers(entry, gzip, vary, private=private),
        ]
        self._vary = vary
        self._dated = modified is None
        self._start: Message | None = None
        self._length: int | None = None

    def at(self, address: PublicAddress) -> Representation:
        """Return the same with the address that a page says."""
        vary = b", ".join(filter(None, (self._vary, address.vary)))
        return Representation(
            self.entry,
            modified=None,
            gzip=self.gzip,
            vary=vary,
            address=address.url,
            private=self._private,
        )

    def start(self, length: int | None) -> Message:
        """Return the start of a whole response.

        `length`: of the body in this coding; None where it is not known before its end.
        """
        if self._start is None or length != self._length or not self._dated:
            known = [] if length is None else [(b"content-length", b"%d" % length)]
            self._start, self._length = start(200, [*self._dated_headers(), *known]), length
        return self._start

    def start_part(self, part: range, size: int) -> Message:
        """Return the start of a partial response: 206, or 416 where `part` is empty.

        `size`: of the whole body.
        """
        if not part:
            return start(
                416,
                [
                    (b"content-range", b"bytes */%d" % size),
                    (b"content-length", b"0"),
                    NOSNIFF,
                ],
            )
        span = b"bytes %d-%d/%d" % (part.start, part.stop - 1, size)
        return start(
            206,
            [
                *self._dated_headers(),
                (b"content-range", span),
                (b"content-length", b"%d" % len(part)),
            ],
        )

    def start_unmodified(self) -> Message:
        """Return a 304, with what a cache needs to go on using what it has (RFC 9110, 15.4.5)."""
        headers = self._dated_headers()
        return start(304, (header for header in headers if header[0] in KEPT_BY_304))

    def _dated_headers(self) -> list[Header]:
        if not self._dated and self.modified is not None and self.modified <= time():
            date = formatdate(self.modified, usegmt=True)
            self._headers.append((b"last-modified", date.encode()))
            self._dated = True
        return self._headers


class Resource:
    """The representations of a path, in order of emission.

    entries: all of them. modified: since when they are served, in seconds since 1970; no other
    content of the path has the same. lingers: a version dropped the path; it stays for a while
    alone. group: that it belongs to, if any. private: not every client may see it.
    """

    __slots__ = (
        "_choices",
        "_private",
        "_variants",
        "_vary",
        "entries",
        "group",
        "lingers",
        "modified",
    )

    def __init__(self, content: ServedContent, *, private: bool = False) -> None:
        self.entries = entries = list(content.entries)
        self._private = private
        self.group = entries[0].group
        self.modified = ceil(content.modified.timestamp())
        self.lingers = content.lingers
        names = [
            name
            for name, varies in (
                (b"Accept", len(entries) > 1),
                (b"Accept-Encoding", any(map(_is_coded, entries))),
                (b"Authorization", private),
            )
            if varies
        ]
        self._vary = b", ".join(names)
        self._variants: dict[tuple[int, bool], Representation] = {}
        self._choices: dict[tuple[bytes, bytes], Representation] = {}

    def choose(self, accept: bytes, accept_encoding: bytes) -> Representation:
        """Return the representation for these headers.

        The default where none is acceptable, and for headers longer than any client sends.
        """
        if len(accept) + len(accept_encoding) > LONGEST_CHOICE:
            accept = accept_encoding = b""
        key = (accept, accept_encoding)
        choice = self._choices.get(key)
        if choice is None:
            choice = self._negotiate(accept, accept_encoding)
            if len(self._choices) >= REMEMBERED_CHOICES:
                self._choices.clear()
            self._choices[key] = choice
        return choice

    def _negotiate(self, accept: bytes, accept_encoding: bytes) -> Representation:
        index = 0
        if len(self.entries) > 1 and accept:
            index = choose(
                accept.decode("latin-1"),
                [(entry.media_type, *entry.aliases) for entry in self.entries],
            )
        entry = self.entries[index]
        gzip = _is_coded(entry) and accepts_gzip(accept_encoding.decode("latin-1"))
        if (index, gzip) not in self._variants:
            self._variants[index, gzip] = Representation(
                entry, modified=self.modified, gzip=gzip, vary=self._vary, private=self._private
            )
        return self._variants[index, gzip]


def start(status: int, headers: Iterable[Header]) -> Message:
    """Return the ASGI message that starts a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes, *, more: bool = False) -> Message:
    """Return the ASGI message that carries a body, or a piece of it."""
    return {"type": "http.response.body", "body": data, "more_body": more}


def _is_coded(entry: Entry) -> bool:
    """Return True for a page that is sent with gzip to clients that accept it."""
    return entry.page and entry.media_type not in COMPRESSED


def _headers(entry: Entry, gzip: bool, vary: bytes, *, private: bool) -> list[Header]:
    media_type = entry.media_type
    if media_type.startswith("text/") and "charset" not in media_type:
        media_type += "; charset=utf-8"
    headers = [(b"content-type", media_type.encode("latin-1", "replace")), NOSNIFF]
    caching = IMMUTABLE if is_immutable(entry) else REVALIDATE
    headers.append(PRIVATE[caching] if private else caching)
    if vary:
        headers.append((b"vary", vary))
    if gzip:
        headers.append((b"content-encoding", b"gzip"))
    if not entry.page:
        headers.append((b"accept-ranges", b"bytes"))
    return headers
