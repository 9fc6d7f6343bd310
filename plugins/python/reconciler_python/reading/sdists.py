"""PKG-INFO out of a source distribution, reading as little as possible.

Everything here is hostile: sizes lie, bombs unpack to gigabytes, members come without end.
Unpacking is bounded, and every fault is raised as UnreadableArchive.
"""

from __future__ import annotations

import bz2
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Final, Protocol

from reconciler_python.reading.archives import UnreadableArchive, zip_member

_AT_ONCE: Final = 256 * 1024  # bytes
_UNPACKED: Final = 256 * 1024 * 1024  # bytes of a tar that are unpacked on the way to its PKG-INFO
_LARGEST: Final = 16 * 1024 * 1024  # bytes of a PKG-INFO
_LONGEST: Final = 64 * 1024  # bytes of a header that carries a long name
_MEMBERS: Final = 200_000
_PACKED: Final = 64 * 1024  # bytes of the archive that are unpacked in one piece
_STREAMS: Final = 10_000  # compressed streams one after the other, as parallel tools write them
_MEMORY: Final = 256 * 1024 * 1024  # bytes that unpacking xz may need; `xz -9` asks for 65 MiB
_BLOCK: Final = 512

_PKG_INFO = re.compile(r"(?:\./)*[^/]+/PKG-INFO")
_RECORD_LENGTH = re.compile(rb"([1-9][0-9]{0,8}) ")
_LONG_NAME, _LONG_LINK, _EXTENDED, _GLOBAL = b"L", b"K", b"x", b"g"


def sdist_metadata(sdist: BinaryIO, filename: str) -> bytes | None:
    """Return the bytes of `<top>/PKG-INFO`; None where the archive has none.

    None also for archives that are not read (`.tar.Z`). Raises UnreadableArchive, and what reading
    raises.
    """
    if filename.endswith(".zip"):
        return zip_member(sdist, b"/PKG-INFO", lambda top: b"/" not in top.removeprefix(b"./"))
    if filename.endswith(".tar.Z"):
        return None
    return _pkg_info(Unpacked(sdist, filename))


def _pkg_info(tar: Unpacked) -> bytes | None:
    for member in tar_members(tar):
        if member.is_file and _PKG_INFO.fullmatch(member.path):
            return member.body(_LARGEST)
    return None


class TarMember:
    """A member of a tar; its body can be read until the next one is asked for.

    `path` and `link`: as written, hostile. `extended`: further records of POSIX headers.
    `has_rivals`: several headers say such records of it, and readers differ in whom they believe.
    """

    def __init__(
        self,
        entry: tarfile.TarInfo,
        extended: Mapping[str, str],
        tar: Unpacked,
        *,
        has_rivals: bool = False,
    ) -> None:
        self.has_rivals = has_rivals
        self.path = extended.get("path") or entry.name
        self.link = extended.get("linkpath") or entry.linkname
        self.extended = extended
        self.entry = entry
        self._tar = tar
        self._is_read = False

    @property
    def is_file(self) -> bool:
        return self.entry.isreg()

    def body(self, limit: int) -> bytes:
        """Return the bytes of a file. Raises UnreadableArchive for more than `limit`."""
        self._is_read = True
        return _payload(self._tar, self.entry.size, limit)

    def skip(self) -> None:
        """Pass over the body, unless it was read."""
        kind = self.entry.type
        has_body = self.is_file or kind == _GLOBAL or kind not in tarfile.SUPPORTED_TYPES
        if has_body and not self._is_read:
            self._tar.skip(_padded(self.entry.size))


def tar_members(tar: Unpacked) -> Iterator[TarMember]:
    """Yield the members of a tar, in its order. Raises UnreadableArchive."""
    extended: dict[str, str] = {}
    kinds: list[bytes] = []
    for _ in range(_MEMBERS):
        head = tar.read(_BLOCK)
        if len(head) < _BLOCK or not any(head):
            return
        try:
            entry = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            raise UnreadableArchive(f"it is no tar archive: {error}") from None
        if entry.size < 0:
            raise UnreadableArchive("it is no tar archive: a member has a negative size")
        if entry.type in (_LONG_NAME, _LONG_LINK, _EXTENDED):
            # of several headers the first one counts, as for `tarfile`
            extended = _said(entry.type, _payload(tar, entry.size, _LONGEST)) | extended
            kinds.append(entry.type)
            continue
        rivals = len(kinds) > 1 and (len(set(kinds)) < len(kinds) or _EXTENDED in kinds)
        member = TarMember(entry, extended, tar, has_rivals=rivals)
        extended, kinds = {}, []
        yield member
        member.skip()
    raise UnreadableArchive(f"no PKG-INFO is among its first {_MEMBERS:,} members")


def _payload(tar: Unpacked, size: int, limit: int) -> bytes:
    if size > limit:
        raise UnreadableArchive(f"a header or its PKG-INFO has {size:,} bytes")
    body = tar.read(_padded(size))
    if len(body) < size:
        raise UnreadableArchive("it ends within a member")
    return body[:size]


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _said(kind: bytes, payload: bytes) -> dict[str, str]:
    """Return what a header says of the member that follows: GNU's is a long name or link."""
    if kind == _EXTENDED:
        return pax_records(payload)
    text = payload.partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return {"path" if kind == _LONG_NAME else "linkpath": text}


def pax_records(payload: bytes) -> dict[str, str]:
    """Return the records of a POSIX header, `length key=value` each. Raises UnreadableArchive."""
    records: dict[str, str] = {}
    position = 0
    while position < len(payload) and payload[position]:
        said = _RECORD_LENGTH.match(payload, position)
        end = position + int(said[1]) if said else 0
        record = payload[said.end() : end] if said else b""
        key, equals, value = record.removesuffix(b"\n").partition(b"=")
        if not (record.endswith(b"\n") and key and equals and end <= len(payload)):
            raise UnreadableArchive("a header of it holds something else than records")
        records[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        position = end
    return records


class Unpacked:
    """The bytes of a tar with any compression, up to a limit.

    Unpacks as much as is read, and no more. `gzip`, `bz2` and `lzma` have files of their own for
    that, which bound neither the members of a file nor the memory that its header asks for.
    """

    def __init__(self, packed: BinaryIO, filename: str, *, limit: int = 0) -> None:
        self._packed = packed
        self._new = _decompressor(filename)
        self._stream = self._new() if self._new is not None else None
        self._streams = 1
        self._data = b""
        self._begun = False
        self._limit = self._left = limit or _UNPACKED

    def read(self, size: int) -> bytes:
        """Return `size` bytes, less only at the end. Raises UnreadableArchive."""
        self._left -= size
        if self._left < 0:
            raise UnreadableArchive(f"no PKG-INFO is among its first {self._limit >> 20} MiB")
        if self._stream is None:
            return self._packed.read(size)
        parts = []
        while size > 0 and (part := self._part(self._stream, size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        while size > 0 and (passed := self.read(min(size, _AT_ONCE))):
            size -= len(passed)

    def _part(self, stream: _Decompressor, size: int) -> bytes:
        """Return up to `size` bytes, none at the end."""
        while True:
            if stream.eof:
                rest = (stream.unused_data or self._data) or self._packed.read(_PACKED)
                if not rest.strip(b"\0"):
                    return b""
                self._data, stream = rest, self._next_stream()
            if stream.needs_input and not self._data:
                self._data = self._packed.read(_PACKED)
                if not self._data and not self._begun:
                    return b""  # an empty file is an empty archive
                self._begun = True
                if not self._data:
                    raise UnreadableArchive("it cannot be unpacked: it ends before its stream does")
            data, self._data = self._data, b""
            try:
                part = stream.decompress(data, size)
            except (OSError, EOFError, zlib.error, lzma.LZMAError, MemoryError) as error:
                raise UnreadableArchive(f"it cannot be unpacked: {error}") from None
            if part:
                return part

    def _next_stream(self) -> _Decompressor:
        self._streams += 1
        if self._streams > _STREAMS:
            raise UnreadableArchive(f"it has more than {_STREAMS:,} compressed streams")
        assert self._new is not None
        self._stream = self._new()
        return self._stream


class _Decompressor(Protocol):
    """The interface that decompressors of `bz2` and `lzma` share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """The same of gzip."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


def _decompressor(filename: str) -> Callable[[], _Decompressor] | None:
    """Return what makes a decompressor for a file of this name; None for a plain tar."""
    if filename.endswith((".tar.gz", ".tgz")):
        return _Gunzip
    if filename.endswith(".tar.bz2"):
        return bz2.BZ2Decompressor
    if filename.endswith(".tar.xz"):
        return lambda: lzma.LZMADecompressor(memlimit=_MEMORY)
    return None
