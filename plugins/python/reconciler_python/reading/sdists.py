"""PKG-INFO out of a source distribution, reading as little as possible.

Everything here is hostile: sizes lie, bombs unpack to gigabytes, members come without end.
Unpacking is bounded, and every fault is raised as UnreadableArchive.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import tarfile
import zlib
from typing import BinaryIO, Final, cast

from reconciler_python.reading.archives import UnreadableArchive, zip_member

_AT_ONCE: Final = 256 * 1024  # bytes
_UNPACKED: Final = 256 * 1024 * 1024  # bytes of a tar that are unpacked on the way to its PKG-INFO
_LARGEST: Final = 16 * 1024 * 1024  # bytes of a PKG-INFO
_LONGEST: Final = 64 * 1024  # bytes of a header that carries a long name
_MEMBERS: Final = 200_000
_BLOCK: Final = 512

_PKG_INFO = re.compile(r"(?:\./)*[^/]+/PKG-INFO")
_PATH = re.compile(rb"[0-9]+ path=([^\n]*)\n")
_LONG_NAME, _EXTENDED, _GLOBAL = b"L", b"x", b"g"


def sdist_metadata(sdist: BinaryIO, filename: str) -> bytes | None:
    """Return the bytes of `<top>/PKG-INFO`; None where the archive has none.

    None also for archives that are not read (`.tar.Z`). Raises UnreadableArchive, and what reading
    raises.
    """
    if filename.endswith(".zip"):
        return zip_member(sdist, b"/PKG-INFO", lambda top: b"/" not in top.removeprefix(b"./"))
    if filename.endswith(".tar.Z"):
        return None
    return _pkg_info(_Unpacked(sdist, filename))


def _pkg_info(tar: _Unpacked) -> bytes | None:
    longer = ""
    for _ in range(_MEMBERS):
        head = tar.read(_BLOCK)
        if len(head) < _BLOCK or not any(head):
            return None
        try:
            entry = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            raise UnreadableArchive(f"it is no tar archive: {error}") from None
        if entry.size < 0:
            raise UnreadableArchive("it is no tar archive: a member has a negative size")
        if entry.type in (_LONG_NAME, _EXTENDED):
            longer = _long_name(entry.type, _payload(tar, entry.size, _LONGEST)) or longer
            continue
        path, longer = longer or entry.name, ""
        if entry.isreg() and _PKG_INFO.fullmatch(path):
            return _payload(tar, entry.size, _LARGEST)
        if entry.isreg() or entry.type == _GLOBAL or entry.type not in tarfile.SUPPORTED_TYPES:
            tar.skip(_padded(entry.size))
    raise UnreadableArchive(f"no PKG-INFO is among its first {_MEMBERS:,} members")


def _payload(tar: _Unpacked, size: int, limit: int) -> bytes:
    if size > limit:
        raise UnreadableArchive(f"a header or its PKG-INFO has {size:,} bytes")
    body = tar.read(_padded(size))
    if len(body) < size:
        raise UnreadableArchive("it ends within a member")
    return body[:size]


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _long_name(kind: bytes, payload: bytes) -> str:
    """Return a long name: GNU's is the payload, POSIX's a record of `length key=value`."""
    if kind == _EXTENDED:
        match = _PATH.search(payload)
        return match[1].decode("utf-8", "surrogateescape") if match else ""
    return payload.partition(b"\0")[0].decode("utf-8", "surrogateescape")


class _Unpacked:
    """The bytes of a tar with any compression, up to a limit."""

    def __init__(self, packed: BinaryIO, filename: str) -> None:
        self._file = _opened(packed, filename)
        self._left = _UNPACKED

    def read(self, size: int) -> bytes:
        """Return `size` bytes, less only at the end. Raises UnreadableArchive."""
        self._left -= size
        if self._left < 0:
            raise UnreadableArchive(f"no PKG-INFO is among its first {_UNPACKED >> 20} MiB")
        try:
            return self._file.read(size)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, MemoryError) as error:
            raise UnreadableArchive(f"it cannot be unpacked: {error}") from None

    def skip(self, size: int) -> None:
        while size > 0 and (passed := self.read(min(size, _AT_ONCE))):
            size -= len(passed)


def _opened(packed: BinaryIO, filename: str) -> BinaryIO:
    """Return a stream that unpacks as much as is read, and no more."""
    if filename.endswith((".tar.gz", ".tgz")):
        return cast(BinaryIO, gzip.GzipFile(fileobj=packed))
    if filename.endswith(".tar.bz2"):
        return cast(BinaryIO, bz2.BZ2File(packed))
    if filename.endswith(".tar.xz"):
        return cast(BinaryIO, lzma.LZMAFile(packed))
    return packed
