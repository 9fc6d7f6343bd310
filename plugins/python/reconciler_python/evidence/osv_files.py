"""The files of an OSV dump: a folder (at any depth) or a zip of `*.json`.

Names within are names in messages, never paths.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sized
from pathlib import Path
from typing import Final

from reconciler.plugin import Malformed, sanitize

LARGEST: Final = (
    32 * 1024 * 1024
)  # bytes of one record; the longest of real dumps has some hundred thousand
MOST: Final = 2_000_000  # records
TOGETHER: Final = (
    8 * 1024**3
)  # bytes of all records of a zip, which may be the same bytes each time
_ENDING: Final = ".json"
_LOCAL: Final = struct.Struct(
    "<4s22xHH"
)  # of an entry's own header: its mark, how long its name and its extra field are
_LOCAL_MARK: Final = b"PK\x03\x04"
_ENCRYPTED: Final = 1

Signature = tuple[tuple[str, int, int, int, int], ...]
"""Of every file: its name below the dump, size, inode, times of modification and change in
nanoseconds. Never part of an identity.
"""


class BrokenFile(Exception):
    """Raised for one file of a dump: its name, and why it cannot be read."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"`{one_line(name)}` {reason}")


def is_dump(path: Path) -> bool:
    """Return True if the path is a folder or a zip file, which may be a dump."""
    return path.is_dir() or (path.is_file() and zipfile.is_zipfile(path))


def signature(path: Path) -> Signature:
    """Return a signature that changes with the files, for repeated checks. Raises OSError."""
    if not path.is_dir():
        return (("", *_state(str(path))),)
    return tuple((name, *_state(f"{path}/{name}")) for name in _names(path))


def digest(path: Path) -> str:
    """Return the sha256 of the dump's content, without its path and times. Raises OSError."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    content = hashlib.sha256()
    for name in _names(path):
        body = _read(path, name)
        content.update(f"{name}\0{len(body)}\0".encode(errors="surrogateescape"))
        content.update(body)
    return content.hexdigest()


def records(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of every record.

    Raises BrokenFile for a record that cannot be read, OSError and Malformed where nothing can.
    """
    return _of_folder(path) if path.is_dir() else _of_zip(path)


def one_line(name: str) -> str:
    """Return a file's name for one line of a message."""
    return sanitize(name, 200)


def _of_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    names = _names(path)
    _counted(names)
    for name in names:
        try:
            body = _read(path, name)
        except OSError as error:
            raise BrokenFile(name, f"cannot be read: {error.strerror}") from None
        if len(body) > LARGEST:
            raise BrokenFile(name, f"is longer than {LARGEST:,} bytes")
        yield name, body


def _of_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with (
            path.open("rb") as file,
            zipfile.ZipFile(file) as archive,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(_ENDING)]
            _counted(entries)
            if sum(entry.file_size for entry in entries) > TOGETHER:
                raise Malformed(f"its records have more than {TOGETHER >> 30} GiB together")
            for entry in entries:
                yield entry.filename, _entry(data, entry)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise Malformed(f"it is no zip file that can be read: {error}") from None


def _entry(data: mmap.mmap, entry: zipfile.ZipInfo) -> bytes:
    """Return the bytes of one entry.

    It takes a third of the time of `zipfile`, which counts with tens of thousands of small entries.
    """
    if entry.file_size > LARGEST:
        raise BrokenFile(
            entry.filename,
            f"says that it has {entry.file_size:,} bytes; a record has at most {LARGEST:,}",
        )
    start = entry.header_offset
    if entry.flag_bits & _ENCRYPTED or not 0 <= start <= len(data) - _LOCAL.size:
        raise BrokenFile(entry.filename, "cannot be unpacked: it is encrypted, or not in the file")
    mark, name_length, extra_length = _LOCAL.unpack_from(data, start)
    start += _LOCAL.size + name_length + extra_length
    packed = data[start : start + entry.compress_size]
    try:
        body = (
            packed
            if entry.compress_type == zipfile.ZIP_STORED
            else zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.file_size + 1)
        )
    except zlib.error as error:
        raise BrokenFile(entry.filename, f"cannot be unpacked: {error}") from None
    if mark != _LOCAL_MARK or len(body) != entry.file_size or zlib.crc32(body) != entry.CRC:
        raise BrokenFile(
            entry.filename, "cannot be unpacked: what comes out is not what the zip file announces"
        )
    return body


def _names(folder: Path) -> list[str]:
    """Return the names of all records below, with `/`, sorted.

    Links to folders are not followed. Rule: nothing outside of the dump is read; raises OSError for
    a link that leads out of it.
    """
    within = os.path.realpath(folder) + "/"
    names = []
    for root, _, files in os.walk(folder, onerror=_raise):
        below = os.path.relpath(root, folder)
        names += [
            name if below == os.curdir else f"{below}/{name}"
            for name in files
            if name.endswith(_ENDING)
        ]
    for name in names:
        path = f"{folder}/{name}"
        if os.path.islink(path) and not os.path.realpath(path).startswith(within):
            raise PermissionError(errno.EPERM, f"`{one_line(name)}` is a link that leads out of it")
    return sorted(names)


def _counted(files: Sized) -> None:
    if not files:
        raise Malformed(f"no `*{_ENDING}` is in it")
    if len(files) > MOST:
        raise Malformed(f"it has more than {MOST:,} records")


def _read(folder: Path, name: str) -> bytes:
    """Read one byte more than a record may have at most, so that longer ones are noticed."""
    with open(f"{folder}/{name}", "rb", buffering=0) as file:
        return file.read(LARGEST + 1)


def _state(path: str) -> tuple[int, int, int, int]:
    status = os.stat(path)
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _raise(error: OSError) -> None:
    raise error
