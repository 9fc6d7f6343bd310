"""Pages of upstream on disk, so that an unchanged one costs a 304 and an offline plan costs nothing.

A cache, not state: anybody may delete it or parts of it at any time, and a file that is not what it should be counts as absent.
One file a page, `<root>/ab/cdef...` by the sha256 of URL and `Accept`:

    reconciler-page 1\\n     the format
    4 bytes                 crc32 of everything that follows
    4 bytes                 length of the head
    head                    JSON: see `Head`
    body                    zlib level 1 (which carries a checksum of its own)
"""

from __future__ import annotations

import itertools
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import msgspec

from reconciler.model import Digest

_MAGIC = b"reconciler-page 1\n"
_PREFIX = struct.Struct(">II")
_NUMBERS = itertools.count(1)


class Head(msgspec.Struct, frozen=True):
    """What is known of a cached page. `key`: URL and `Accept` that were asked; `url`: where the answer came from; `size`: of the plain body.

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
    """A folder of pages. It comes into being with the first page; where it cannot be written, pages are not cached."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)

    def load(self, url: str, accept: str) -> CachedPage | None:
        """The page, or None. Never raises for what stands in the folder."""
        try:
            with open(self._file(url, accept), "rb", buffering=0) as file:
                data = file.read()
        except OSError:
            return None
        page = _parsed(data)
        return page if page is not None and page.head.key == (url, accept) else None

    def store(self, head: Head, body: bytes) -> None:
        """Keep a page in the place of the one before. A reader sees the old or the new one, whole."""
        text = msgspec.json.encode(head)
        rest = b"".join((struct.pack(">I", len(text)), text, _packed(body)))
        target = self._file(*head.key)
        temporary = f"{target}.{os.getpid()}.{next(_NUMBERS)}"
        with suppress(OSError):  # a full disk or a folder that is deleted meanwhile costs a request later, not this run
            try:
                _write(temporary, rest)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                _write(temporary, rest)
            os.replace(temporary, target)

    def drop(self, url: str, accept: str) -> None:
        """Forget a page, if it is there."""
        with suppress(OSError):
            os.unlink(self._file(url, accept))

    def _file(self, url: str, accept: str) -> str:
        name = Digest.of(f"{url}\n{accept}".encode()).hex
        return f"{self._root}/{name[:2]}/{name[2:]}"


def _packed(body: bytes) -> bytes:
    """Most pages are small: with the usual memory level, clearing the compressor's tables takes longer than compressing."""
    packer = zlib.compressobj(level=1, memLevel=5)
    return packer.compress(body) + packer.flush()


def _write(path: str, rest: bytes) -> None:
    try:
        with open(path, "xb") as file:
            file.write(b"".join((_MAGIC, struct.pack(">I", zlib.crc32(rest)), rest)))
    except OSError:
        with suppress(OSError):
            os.unlink(path)
        raise


def _parsed(data: bytes) -> CachedPage | None:
    start = len(_MAGIC) + _PREFIX.size
    if len(data) < start or not data.startswith(_MAGIC):
        return None
    checksum, length = _PREFIX.unpack_from(data, len(_MAGIC))
    if zlib.crc32(memoryview(data)[start - 4 :]) != checksum:
        return None
    try:
        head = _HEAD.decode(data[start : start + length])
    except msgspec.DecodeError:
        return None
    return CachedPage(head, data[start + length :])
