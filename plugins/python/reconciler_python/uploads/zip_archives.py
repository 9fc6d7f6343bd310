"""Structure of a zip: every reader must find the same members in it.

Installers read the directory at the end, streaming readers the header before each member; an
archive in which both differ installs one thing and shows another. What a wheel needs of the format
is little, so that everything else is refused: no zip64, no encryption, no comment, no data that
belongs to no member. Installers and public indexes refuse the same.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from reconciler.plugin import sanitize
from reconciler_python.uploads.refusals import UploadRefused

__all__ = ["FREE", "RATIO", "ZipMember", "check_bomb", "check_path", "read_directory"]

_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_LARGEST_DIRECTORY: Final = 32 << 20  # bytes
_MOST: Final = 100_000  # members
_METHODS: Final = frozenset({0, 8})  # stored, deflated
_ENCRYPTED: Final = 0x1 | 0x40
_DESCRIBED_LATER: Final = 0x8
_DESCRIPTORS: Final = frozenset({0, 12, 16, 20, 24})  # bytes that may follow such a member
_UTF8: Final = 0x800
_UNIX: Final = 3
_LARGE: Final = 0xFFFFFFFF
FREE: Final = 64 << 20  # bytes that an archive may unpack to whatever its own size
RATIO: Final = 50  # bytes that it may unpack to beyond that, for each of its own


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A member as the directory announces it. `path`: safe; a folder's ends in a slash."""

    path: str
    size: int
    packed: int
    method: int
    flags: int
    checksum: int
    offset: int


def read_directory(archive: BinaryIO) -> list[ZipMember]:
    """Return the members of a zip, in the order of their bytes. Raises UploadRefused."""
    length = archive.seek(0, os.SEEK_END)
    count, size, offset = _end_record(archive, length)
    archive.seek(offset)
    members = sorted(_entries(archive.read(size), count), key=lambda member: member.offset)
    _check_names(members)
    check_bomb(sum(member.size for member in members), length)
    position = 0
    for member, following in zip(
        members, [*(each.offset for each in members[1:]), offset], strict=True
    ):
        if member.offset != position:
            raise _confusing(f"bytes before `{member.path}` belong to no member")
        _check_local_header(archive, member, following)
        position = following
    return members


def check_path(path: str) -> str:
    """Return the path of a member. Raises UploadRefused unless it stays below its archive."""
    parts = path.removesuffix("/").split("/")
    if (
        not path.isprintable()
        or "\\" in path
        or ":" in parts[0]
        or any(part in {"", ".", ".."} for part in parts)
    ):
        raise UploadRefused(
            "unsafe-path",
            f"the archive has a member {sanitize(ascii(path), 200)}: that is no path"
            " below a folder",
        )
    return path


def check_bomb(size: int, length: int) -> None:
    """Raise UploadRefused where an archive of `length` bytes unpacks to suspiciously many."""
    if size > FREE and size > RATIO * length:
        raise UploadRefused(
            "archive-bomb",
            f"the archive of {length:,} bytes unpacks to more than {RATIO} times as many",
        )


def _end_record(archive: BinaryIO, length: int) -> tuple[int, int, int]:
    """Return number of members, size and offset of the directory."""
    archive.seek(max(0, length - _END.size))
    tail = archive.read(_END.size)
    if len(tail) < _END.size or not tail.startswith(b"PK\x05\x06"):
        raise UploadRefused(
            "not-a-zip",
            "the file does not end as a zip archive does: it is none, is cut off, or has a comment"
            " or other bytes behind it",
        )
    _, disk, first_disk, here, count, size, offset, _ = _END.unpack(tail)
    if disk or first_disk or here != count or offset + size != length - _END.size:
        raise _confusing("its directory is not where its end says, or it is one part of several")
    if size > _LARGEST_DIRECTORY or count > _MOST:
        raise UploadRefused("too-many-members", f"the archive has more than {_MOST:,} members")
    return count, size, offset


def _entries(directory: bytes, count: int) -> Iterator[ZipMember]:
    position = 0
    for _ in range(count):
        if len(directory) < position + _ENTRY.size or directory[position : position + 4] != (
            b"PK\x01\x02"
        ):
            raise _confusing("its directory has fewer members than its end says")
        fields = _ENTRY.unpack_from(directory, position)
        name_end = position + _ENTRY.size + fields[10]
        name = directory[position + _ENTRY.size : name_end]
        end = name_end + fields[11] + fields[12]
        if end > len(directory):
            raise _confusing("its directory ends within a member")
        yield _member(name, fields)
        position = end
    if position != len(directory):
        raise _confusing("its directory has more members than its end says")


def _member(name: bytes, fields: tuple[int, ...]) -> ZipMember:
    made_by, flags, method = fields[1] >> 8, fields[3], fields[4]
    checksum, packed, size = fields[7], fields[8], fields[9]
    path = _decoded(name, flags)
    if fields[12]:
        raise _confusing(f"its member `{path}` has a comment")
    if flags & _ENCRYPTED or method not in _METHODS:
        raise UploadRefused(
            "unsupported-compression",
            f"the member `{path}` is neither stored nor deflated, or is encrypted",
        )
    if _LARGE in {packed, size, fields[16]}:
        raise UploadRefused("archive-too-large", f"the member `{path}` has more than 4 GiB")
    if made_by == _UNIX and stat.S_ISLNK(fields[15] >> 16):
        raise UploadRefused("unsafe-link", f"the member `{path}` is a link")
    return ZipMember(path, size, packed, method, flags, checksum, fields[16])


def _decoded(name: bytes, flags: int) -> str:
    try:
        path = name.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise UploadRefused(
            "unsafe-path", f"the archive has a member {ascii(name)[1:202]}, which is not UTF-8"
        ) from None
    return check_path(path)


def _check_names(members: list[ZipMember]) -> None:
    names: set[str] = set()
    for member in members:
        path = member.path.removesuffix("/")
        if path in names:
            raise UploadRefused("duplicate-member", f"the archive has two members `{path}`")
        names.add(path)


def _check_local_header(archive: BinaryIO, member: ZipMember, following: int) -> None:
    """Check that the header before a member says what the directory says."""
    archive.seek(member.offset)
    head = archive.read(_LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
        raise _confusing(f"`{member.path}` is not where the directory says")
    _, _, flags, method, _, _, checksum, packed, size, name_length, extra_length = _LOCAL.unpack(
        head
    )
    name = archive.read(name_length)
    later = flags & _DESCRIBED_LATER
    told = (checksum, packed, size)
    agrees = told == (member.checksum, member.packed, member.size) or (later and not any(told))
    if (
        (flags, method) != (member.flags, member.method)
        or not agrees
        or name.decode("utf-8", "replace") != member.path
    ):
        raise _confusing(f"`{member.path}` is called something else before its own bytes")
    end = member.offset + _LOCAL.size + name_length + extra_length + member.packed
    gap = following - end
    if gap not in (_DESCRIPTORS if later else {0}):
        raise _confusing(f"bytes behind `{member.path}` belong to no member")


def _confusing(problem: str) -> UploadRefused:
    return UploadRefused(
        "ambiguous-zip",
        f"readers of the archive would disagree: {problem}",
        hint="build it again with a current build backend",
    )
