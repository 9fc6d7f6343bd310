"""METADATA out of a wheel, or PKG-INFO out of a zip file, without reading the rest of it.

Only the end of the file is looked at: its directory, entry by entry, as every reader of zip files
walks it: a search for names would also find those that an archive hides in a comment. Whatever
comes out is compared with a declared digest by the caller, where there is one.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, NamedTuple

from packaging.utils import canonicalize_name

_LIMIT: Final = 64 * 1024 * 1024  # bytes of a directory
_LARGEST: Final = 16 * 1024 * 1024  # bytes of the member, packed or not
_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END_MARK, _ENTRY_MARK, _LOCAL_MARK = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_FILE = b"/METADATA"
_NAME = b".dist-info" + _FILE
_STORED, _DEFLATED = 0, 8
_ENCRYPTED: Final = 1


class UnreadableArchive(ValueError):
    """Raised for an archive that lacks an expected part; the text gives the reason."""


class ZipEntry(NamedTuple):
    """A member as the directory announces it: `packed` bytes that unpack to `size`.

    `name`: hostile. `made_by`, `attributes`: system that wrote it, and what it says of the file.
    `has_comment`: another text belongs to it.
    """

    name: bytes
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    offset: int
    made_by: int
    attributes: int
    extra: bytes
    has_comment: bool


def zip_entries(directory: bytes) -> Iterator[ZipEntry]:
    """Yield the entries of a directory, in its order. Raises UnreadableArchive."""
    position, length = 0, len(directory)
    while position < length:
        start = position + _ENTRY.size
        if not directory.startswith(_ENTRY_MARK, position) or start > length:
            raise UnreadableArchive("its directory holds something else than members")
        fields = _ENTRY.unpack_from(directory, position)
        named = start + fields[10]
        extended = named + fields[11]
        position = extended + fields[12]
        if position > length:
            raise UnreadableArchive("its directory ends within a member")
        yield ZipEntry(
            directory[start:named],
            flags=fields[3],
            method=fields[4],
            checksum=fields[7],
            packed=fields[8],
            size=fields[9],
            offset=fields[16],
            made_by=fields[1] >> 8,
            attributes=fields[15],
            extra=directory[named:extended],
            has_comment=bool(fields[12]),
        )


def wheel_metadata(wheel: BinaryIO, project: str) -> bytes | None:
    """Return `<project>-<version>.dist-info/METADATA` of a wheel, at most 16 MiB; None without.

    None as well for wheels over 4 GiB, for encrypted, damaged or exotically compressed ones, and
    for those with several `.dist-info` folders, which no client installs. Raises only what reading
    raises.
    """
    try:
        at_top: dict[bytes, ZipEntry] = {}
        for member in _members(wheel, _NAME):
            if b"/" not in member.name[: -len(_FILE)]:
                at_top.setdefault(member.name, member)
        if len(at_top) != 1:
            return None
        name, member = at_top.popitem()
        return member_content(wheel, member) if _belongs(name, project) else None
    except UnreadableArchive:
        return None


def zip_member(archive: BinaryIO, tail: bytes, belongs: Callable[[bytes], bool]) -> bytes | None:
    """Return the last member whose name ends in `tail`, at most 16 MiB; None if there is none.

    `belongs` decides on what stands before `tail`. Raises UnreadableArchive, and what reading
    raises.
    """
    for member in _members(archive, tail):
        if belongs(member.name[: -len(tail)]):
            return member_content(archive, member)
    return None


def _members(archive: BinaryIO, tail: bytes) -> list[ZipEntry]:
    """Return the members whose names end in `tail`, the last first."""
    directory = _directory(archive)
    if directory is None:
        raise UnreadableArchive("it is no zip archive, or its directory is out of bounds")
    if tail not in directory:
        return []
    return [entry for entry in zip_entries(directory) if entry.name.endswith(tail)][::-1]


def _directory(wheel: BinaryIO) -> bytes | None:
    """Return the central directory.

    The end record tells its place: 22 bytes and a comment of at most 64 KiB.
    """
    length = wheel.seek(0, os.SEEK_END)
    for tail_length in (
        _END.size,
        _END.size + 0xFFFF,
    ):  # wheels have no comment, so the first try is nearly always enough
        wheel.seek(max(0, length - tail_length))
        tail = wheel.read(tail_length)
        position = tail.rfind(_END_MARK, 0, len(tail) - _END.size + len(_END_MARK))
        while position >= 0:
            *_, size, offset, comment_length = _END.unpack_from(tail, position)
            if position + _END.size + comment_length == len(tail):
                wheel.seek(offset)
                return wheel.read(size) if size <= _LIMIT else None
            position = tail.rfind(_END_MARK, 0, position)
    return None


def _belongs(name: bytes, project: str) -> bool:
    """Return True if `name` is `<project>-<version>.dist-info/METADATA`."""
    text = name.decode("utf-8", errors="replace")
    return canonicalize_name(text.partition("-")[0]) == project


def member_content(archive: BinaryIO, member: ZipEntry) -> bytes:
    """Return the bytes of a member. Raises UnreadableArchive where they are not as announced."""
    content = _unpacked(archive, member)
    if content is None or len(content) != member.size or zlib.crc32(content) != member.checksum:
        raise UnreadableArchive(f"its member `{ascii(member.name)[2:-1]}` cannot be unpacked")
    return content


def _unpacked(archive: BinaryIO, member: ZipEntry) -> bytes | None:
    if max(member.packed, member.size) > _LARGEST or member.flags & _ENCRYPTED:
        return None
    archive.seek(member.offset)
    local = archive.read(_LOCAL.size)
    if len(local) < _LOCAL.size or not local.startswith(_LOCAL_MARK):
        return None
    *_, name_length, extra_length = _LOCAL.unpack(local)
    archive.seek(name_length + extra_length, os.SEEK_CUR)
    data = archive.read(member.packed)
    if member.method == _STORED:
        return data
    if member.method != _DEFLATED:
        return None
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.size + 1)
    except zlib.error:
        return None
