"""The control file of a `.deb` (deb(5)): an ar archive with a tar archive in it.

Hostile input: sizes are limited before anything is read or unpacked.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from reconciler.plugin import Malformed
from reconciler_deb.control.compression import unpack

_CONTROL: Final = "control.tar"
_MAGIC: Final = b"!<arch>\n"
_HEADER: Final = 60  # bytes of a member's header (ar(5))
_LARGEST_PACKED: Final = 16 * 1024 * 1024
_LARGEST_TAR: Final = 64 * 1024 * 1024  # maintainer scripts and lists of checksums lie in it too
_LARGEST_CONTROL: Final = 1024 * 1024
_MOST_MEMBERS: Final = 16
_MOST_FILES: Final = 10_000


class _Member(NamedTuple):
    """A member of an ar archive: its name, and where its bytes lie."""

    name: str
    start: int
    size: int


def read_control(path: Path) -> bytes:
    """Return the control file of a binary package. Raises Malformed for what is none."""
    with path.open("rb") as file:
        members = {member.name: member for member in _members(file, path.stat().st_size)}
        if next(iter(members), "") != "debian-binary":
            raise Malformed("it is no Debian package: `debian-binary` does not come first")
        control = next((each for name, each in members.items() if name.startswith(_CONTROL)), None)
        if control is None or not any(name.startswith("data.tar") for name in members):
            raise Malformed("it is no Debian package: `control.tar` or `data.tar` is missing")
        if control.size > _LARGEST_PACKED:
            raise Malformed(f"its `{control.name}` has {control.size:,} bytes")
        file.seek(control.start)
        packed = file.read(control.size)
    ending = control.name.removeprefix(_CONTROL)
    return _control_file(unpack(packed, ending, limit=_LARGEST_TAR))


def _members(file: BinaryIO, size: int) -> Iterator[_Member]:
    """Yield the members of an ar archive; their bytes are not read."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise Malformed("it is no Debian package: no ar archive")
    position = len(_MAGIC)
    for _ in range(_MOST_MEMBERS):
        header = file.read(_HEADER)
        if not header:
            return
        if len(header) != _HEADER or header[58:] != b"`\n" or not header[48:58].strip().isdigit():
            raise Malformed("it is no Debian package: a broken ar archive")
        length = int(header[48:58])
        start = position + _HEADER
        if start + length > size:
            raise Malformed("it breaks off")
        yield _Member(header[:16].decode("latin-1").rstrip(" /"), start, length)
        position = start + length + length % 2
        file.seek(position)
    raise Malformed(f"it holds more than {_MOST_MEMBERS} members")


def _control_file(body: bytes) -> bytes:
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as archive:
            for number, member in enumerate(archive):
                if number >= _MOST_FILES:
                    break
                if member.name.removeprefix("./") != "control":
                    continue
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or member.size > _LARGEST_CONTROL:
                    break
                return content.read()
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise Malformed(f"its `control.tar` cannot be read: {error}") from None
    raise Malformed("its `control.tar` holds no usable `control`")
