"""Structure of a zip: every reader must find the same members in it, with the same content.

Installers read the directory at the end, streaming readers the header before each member; an
archive in which both differ installs one thing and shows another. What a wheel needs of the format
is little, so that everything else is refused: no archive of 4 GiB, no encryption, no comment, no
second name, no data that belongs to no member. Each member is unpacked once, within bounds, and has
to be what the directory says.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Collection, Iterator
from typing import BinaryIO, Final

from reconciler.plugin import sanitize
from reconciler_python.reading.archives import UnreadableArchive, ZipEntry, zip_entries
from reconciler_python.uploads.refusals import UploadRefused

__all__ = ["FREE", "RATIO", "check_bomb", "check_path", "check_tree", "read_directory"]

_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_FIELD = struct.Struct("<2H")
_LARGE_SIZES = struct.Struct("<2Q")
_DESCRIPTORS: Final = tuple(map(struct.Struct, ("<3L", "<4s3L", "<L2Q", "<4sL2Q")))
_LARGEST_DIRECTORY: Final = 32 << 20  # bytes
_MOST: Final = 65_534  # members: more of them need another kind of directory
_STORED, _DEFLATED = 0, 8
_ENCRYPTED: Final = 0x1 | 0x40
_DESCRIBED_LATER: Final = 0x8
_UTF8: Final = 0x800
_UNIX: Final = 3
_LARGE: Final = 0xFFFFFFFF
_LARGE_FIELD: Final = 0x0001
_OTHER_NAMES: Final = frozenset({0x6375, 0x7075})  # comment and path in Unicode: some readers look
_PIECE: Final = 256 * 1024
_LONGEST_PATH: Final = 1024  # characters
_DEEPEST: Final = 100  # folders
FREE: Final = 64 << 20  # bytes that an archive may unpack to whatever its own size
RATIO: Final = 50  # bytes that it may unpack to beyond that, for each of its own


def read_directory(archive: BinaryIO) -> dict[str, ZipEntry]:
    """Return the members of a zip by path, in the order of their bytes; a folder's ends in a slash.

    Raises UploadRefused.
    """
    length = archive.seek(0, os.SEEK_END)
    count, size, offset = _end_record(archive, length)
    archive.seek(offset)
    try:
        entries = list(zip_entries(archive.read(size)))
    except UnreadableArchive as error:
        raise _confusing(str(error)) from None
    if len(entries) != count:
        raise _confusing("its directory has another number of members than its end says")
    members = _by_path(sorted(entries, key=lambda entry: entry.offset))
    check_tree(members, [path for path in members if not path.endswith("/")])
    check_bomb(sum(entry.size for entry in entries), length)
    position = 0
    begins = [*(entry.offset for entry in members.values())][1:]
    for (path, entry), following in zip(members.items(), [*begins, offset], strict=True):
        if entry.offset != position:
            raise _confusing(f"bytes before `{path}` belong to no member")
        _check_member(archive, path, entry, following=following)
        position = following
    return members


def check_path(path: str) -> str:
    """Return the path of a member. Raises UploadRefused unless it stays below its archive."""
    parts = path.removesuffix("/").split("/")
    if (
        not path.isprintable()
        or len(path) > _LONGEST_PATH
        or len(parts) > _DEEPEST
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


def check_tree(paths: Collection[str], leaves: Collection[str]) -> None:
    """Raise UploadRefused where something lies below what is no folder: a file, or a link."""
    known = frozenset(leaves)
    for path in paths:
        end = path.find("/")
        while end >= 0:
            if path[:end] in known and path[:end] != path:
                raise UploadRefused(
                    "unsafe-path", f"`{path}` lies below `{path[:end]}`, which is no folder"
                )
            end = path.find("/", end + 1)


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
    if size > _LARGEST_DIRECTORY or count > _MOST:
        raise UploadRefused("too-many-members", f"the archive has more than {_MOST:,} members")
    if disk or first_disk or here != count or offset + size != length - _END.size:
        raise _confusing("its directory is not where its end says, or it is one part of several")
    return count, size, offset


def _by_path(entries: Collection[ZipEntry]) -> dict[str, ZipEntry]:
    members: dict[str, ZipEntry] = {}
    for entry in entries:
        path = _path(entry)
        bare = path.removesuffix("/")
        if bare in members or f"{bare}/" in members:
            raise UploadRefused("duplicate-member", f"the archive has two members `{bare}`")
        _check_entry(path, entry)
        members[path] = entry
    return members


def _path(entry: ZipEntry) -> str:
    try:
        return check_path(entry.name.decode("utf-8" if entry.flags & _UTF8 else "ascii"))
    except UnicodeDecodeError:
        raise UploadRefused(
            "unsafe-path",
            f"the archive has a member {ascii(entry.name)[1:202]}, which is not UTF-8",
        ) from None


def _check_entry(path: str, entry: ZipEntry) -> None:
    if entry.has_comment:
        raise _confusing(f"its member `{path}` has a comment")
    if entry.flags & _ENCRYPTED or entry.method not in (_STORED, _DEFLATED):
        raise UploadRefused(
            "unsupported-compression",
            f"the member `{path}` is neither stored nor deflated, or is encrypted",
        )
    if _LARGE in {entry.packed, entry.size, entry.offset}:
        raise UploadRefused("archive-too-large", f"the member `{path}` has more than 4 GiB")
    if entry.made_by == _UNIX and stat.S_ISLNK(entry.attributes >> 16):
        raise UploadRefused("unsafe-link", f"the member `{path}` is a link")
    _extra_fields(path, entry.extra)


def _extra_fields(path: str, extra: bytes) -> dict[int, bytes]:
    """Return the extra fields of a member by number. Raises UploadRefused for a second name."""
    fields: dict[int, bytes] = {}
    position = 0
    while position + _FIELD.size <= len(extra):
        number, size = _FIELD.unpack_from(extra, position)
        position += _FIELD.size + size
        if number in _OTHER_NAMES or position > len(extra):
            raise _confusing(f"`{path}` has a second name, or a field that is cut off")
        fields[number] = extra[position - size : position]
    if any(extra[position:]):
        raise _confusing(f"`{path}` has a field that is cut off")
    return fields


def _check_member(archive: BinaryIO, path: str, entry: ZipEntry, *, following: int) -> None:
    """Check that the header before a member, its content, and what follows it, say the same."""
    archive.seek(entry.offset)
    head = archive.read(_LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
        raise _confusing(f"`{path}` is not where the directory says")
    _, _, flags, method, _, _, *told, name_length, extra_length = _LOCAL.unpack(head)
    name, extra = archive.read(name_length), archive.read(extra_length)
    sizes = _extra_fields(path, extra).get(_LARGE_FIELD, b"")
    if told[1:] == [_LARGE, _LARGE] and len(sizes) >= _LARGE_SIZES.size:
        size, packed = _LARGE_SIZES.unpack_from(sizes)
        told = [told[0], packed, size]
    later = bool(flags & _DESCRIBED_LATER)
    actual = [entry.checksum, entry.packed, entry.size]
    if (flags, method, name) != (entry.flags, entry.method, entry.name) or not (
        told == actual or (later and not any(told))
    ):
        raise _confusing(f"`{path}` is called something else before its own bytes")
    start = entry.offset + _LOCAL.size + name_length + extra_length
    _check_content(archive, path, entry)
    archive.seek(start + entry.packed)
    rest = archive.read(max(0, following - start - entry.packed))
    if start + entry.packed + len(rest) != following or not _describes(rest, actual, later=later):
        raise _confusing(f"bytes behind `{path}` belong to no member")


def _describes(rest: bytes, actual: list[int], *, later: bool) -> bool:
    """Return True for what may follow a member: nothing, or a descriptor that says the same."""
    if not rest:
        return True
    for descriptor in _DESCRIPTORS if later else ():
        if descriptor.size == len(rest):
            *mark, checksum, packed, size = descriptor.unpack(rest)
            return mark in ([], [b"PK\x07\x08"]) and [checksum, packed, size] == actual
    return False


def _check_content(archive: BinaryIO, path: str, entry: ZipEntry) -> None:
    """Unpack a member, which stands where the archive was read to, and forget it."""
    checksum = size = 0
    try:
        for piece in _unpacked(archive, entry):
            checksum = zlib.crc32(piece, checksum)
            size += len(piece)
            if size > entry.size:
                break
    except zlib.error:
        size = -1
    if (size, checksum) != (entry.size, entry.checksum):
        raise UploadRefused(
            "damaged-member", f"`{path}` does not unpack to what the archive says of it"
        )


def _unpacked(archive: BinaryIO, entry: ZipEntry) -> Iterator[bytes]:
    """Yield the content of a member in pieces; nothing where its bytes are not all its own."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS) if entry.method == _DEFLATED else None
    left = entry.packed
    while left > 0:
        data = archive.read(min(_PIECE, left))
        if not data:
            return
        left -= len(data)
        if stream is None:
            yield data
            continue
        while data:
            yield stream.decompress(data, _PIECE)
            data = stream.unconsumed_tail
        if stream.eof and (left or stream.unused_data):
            raise zlib.error("bytes follow the end of the stream")
    if stream is not None:
        yield stream.flush()
        if not stream.eof:
            raise zlib.error("the stream does not end")


def _confusing(problem: str) -> UploadRefused:
    return UploadRefused(
        "ambiguous-zip",
        f"readers of the archive would disagree: {problem}",
        hint="build it again with a current build backend",
    )
