"""Pages of upstream on disk, so that an unchanged one costs a 304 and an offline plan costs
nothing.

A cache, not state: anybody may delete it or parts of it at any time, and a file that is not what it
should be counts as absent. The payload of a page's entry, whose key is its URL and `Accept`, and
whose page it is:

    4 bytes                 length of the head
    head                    JSON: see `Head`
    body                    zlib level 1 (which carries a checksum of its own)
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import msgspec

from reconciler.remote.cache_folder import Entries

_MAGIC = b"reconciler-page 1\n"
_LENGTH = struct.Struct(">I")


class Head(msgspec.Struct, frozen=True):
    """What is known of a cached page. `key`: URL and `Accept` that were asked; `url`: where the
    answer came from; `size`: of the plain body.

    `etag`, `last_modified`: as sent; `validator`: as `Page.validator`.
    """

    key: tuple[str, str]
    url: str
    size: int
    validator: str
    media_type: str
    charset: str
    headers: dict[str, str]
    etag: str | None = None
    last_modified: str | None = None


_HEAD = msgspec.json.Decoder(Head)


class CachedPage(msgspec.Struct, frozen=True):
    """A page as it was found. Unpacking waits until somebody wants the body."""

    head: Head
    packed: bytes

    def body(self) -> bytes | None:
        """The plain body, or None where it cannot be had."""
        stream = zlib.decompressobj()
        try:
            body = stream.decompress(self.packed, self.head.size + 1)
        except zlib.error:
            return None
        return body if stream.eof and len(body) == self.head.size else None


class PageCache:
    """A folder of pages. It comes into being with the first page; where it cannot be written, pages
    are not cached.
    """

    def __init__(self, root: Path, whose: str = "") -> None:
        self._root = root
        self._whose = whose
        self._entries = Entries(root, _MAGIC)

    def of(self, whose: str) -> PageCache:
        """The pages of one remote alone, in the same folder: with other credentials one URL may
        show something else.
        """
        return PageCache(self._root, whose)

    def load(self, url: str, accept: str) -> CachedPage | None:
        """The page, or None. Never raises for what stands in the folder."""
        payload = self._entries.load(self._key(url, accept))
        page = _parsed(payload) if payload is not None else None
        return page if page is not None and page.head.key == (url, accept) else None

    def store(self, head: Head, body: bytes) -> None:
        """Keep a page in the place of the one before. A reader sees the old or the new one, whole."""
        text = msgspec.json.encode(head)
        self._entries.store(
            self._key(*head.key), b"".join((_LENGTH.pack(len(text)), text, _packed(body)))
        )

    def drop(self, url: str, accept: str) -> None:
        """Forget a page, if it is there."""
        self._entries.drop(self._key(url, accept))

    def _key(self, url: str, accept: str) -> str:
        return f"{url}\n{accept}\n{self._whose}" if self._whose else f"{url}\n{accept}"


def _packed(body: bytes) -> bytes:
    """Most pages are small: with the usual memory level, clearing the compressor's tables takes
    longer than compressing.
    """
    packer = zlib.compressobj(level=1, memLevel=5)
    return packer.compress(body) + packer.flush()


def _parsed(payload: bytes) -> CachedPage | None:
    start = _LENGTH.size
    if len(payload) < start:
        return None
    [length] = _LENGTH.unpack_from(payload)
    try:
        head = _HEAD.decode(payload[start : start + length])
    except msgspec.DecodeError:
        return None
    return CachedPage(head, payload[start + length :])
