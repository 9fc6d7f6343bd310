"""Cache of upstream pages on disk: an unchanged page costs a 304, an offline plan nothing.

Not state: all of it or parts of it may be deleted at any time, and a file that is not what it
should be counts as absent. Nothing in it holds a query or user info of a URL. The payload of an
entry, whose key is URL, `Accept` and remote:

    4 bytes                 length of the head
    head                    JSON: see `PageHead`
    body                    zlib level 1 (which carries a checksum of its own)
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import msgspec

from reconciler.model import Digest
from reconciler.remote.cache_folder import CacheFolder

_MAGIC = b"reconciler-page 2\n"
_HTML_ALONE = "html alone"  # no digest, as the keys of pages are
_LENGTH = struct.Struct(">I")


class PageHead(msgspec.Struct, frozen=True):
    """Everything of a cached page but its body.

    key: see `page_key`. url: of the response. size: of the plain body. etag, last_modified: as
    sent. validator: as `Page.validator`. cut: queries and user info of URLs were cut out of the
    body; what it names can be shown, and not fetched.
    """

    key: str
    url: str
    size: int
    validator: str
    media_type: str
    charset: str
    headers: dict[str, str]
    etag: str | None = None
    last_modified: str | None = None
    cut: bool = False


_HEAD = msgspec.json.Decoder(PageHead)


class CachedPage(msgspec.Struct, frozen=True):
    """A cached page, whose body is unpacked when it is asked for."""

    head: PageHead
    packed: bytes

    def body(self) -> bytes | None:
        """Return the plain body, or None where it cannot be unpacked."""
        stream = zlib.decompressobj()
        try:
            body = stream.decompress(self.packed, self.head.size + 1)
        except zlib.error:
            return None
        return body if stream.eof and len(body) == self.head.size else None


class PageCache:
    """Folder of pages, made with the first one; where it cannot be written, none is cached."""

    def __init__(self, root: Path, remote_key: str = "") -> None:
        self._root = root
        self._remote_key = remote_key
        self._entries = CacheFolder(root, _MAGIC)

    def for_remote(self, remote_key: str) -> PageCache:
        """Return the cache of one remote, in the same folder.

        With other credentials a URL may hold something else.
        """
        return PageCache(self._root, remote_key)

    def load(self, url: str, accept: str) -> CachedPage | None:
        """Return the page, or None. Never raises for what stands in the folder."""
        payload = self._entries.load(self._key(page_key(url, accept)))
        page = _parsed(payload) if payload is not None else None
        return page if page is not None and page.head.key == page_key(url, accept) else None

    def store(self, head: PageHead, body: bytes) -> None:
        """Replace a page. A reader sees the old or the new one, whole."""
        text = msgspec.json.encode(head)
        self._entries.store(
            self._key(head.key), b"".join((_LENGTH.pack(len(text)), text, _packed(body)))
        )

    def drop(self, url: str, accept: str) -> None:
        """Forget a page, if it is there."""
        self._entries.drop(self._key(page_key(url, accept)))

    def html_alone(self) -> bool:
        """Return True if it is cached that the remote is to be asked for HTML alone."""
        return self._entries.load(self._key(_HTML_ALONE)) is not None

    def keep_html_alone(self) -> None:
        """Cache that the remote is to be asked for HTML alone."""
        self._entries.store(self._key(_HTML_ALONE), b"")

    def _key(self, key: str) -> str:
        return f"{key}\n{self._remote_key}"


def page_key(url: str, accept: str) -> str:
    """Return a digest of URL and `Accept` of a request: the URL may hold a token."""
    return Digest.of(f"{url}\n{accept}".encode()).hex


def _packed(body: bytes) -> bytes:
    """Compress a body.

    Most are small: with the usual memory level, clearing the tables of the compressor takes longer
    than compressing.
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
