"""Source distributions: safe to unpack, one folder, and PKG-INFO in it (PEP 625, PEP 721)."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from reconciler_python.reading.archives import UnreadableArchive, zip_member
from reconciler_python.reading.sdists import TarMember, Unpacked, tar_members
from reconciler_python.uploads.refusals import UploadRefused
from reconciler_python.uploads.zip_archives import (
    FREE,
    RATIO,
    check_bomb,
    check_path,
    read_directory,
)

__all__ = ["check_sdist"]

ENDINGS: Final = (".tar.gz", ".zip")
_LARGEST: Final = 16 << 20  # bytes of a PKG-INFO
_LINKS: Final = frozenset({tarfile.SYMTYPE, tarfile.LNKTYPE})
_PLAIN: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE}) | _LINKS
_GLOBAL: Final = b"g"
_BLOCK: Final = 64 * 1024


def check_sdist(path: Path, filename: str) -> bytes:
    """Return PKG-INFO of a source distribution.

    Raises UploadRefused for an archive that is unsafe, or is none of those.
    """
    if not filename.endswith(ENDINGS):
        raise UploadRefused(
            "unknown-filename",
            f"a source distribution ends in {' or '.join(f'`{each}`' for each in ENDINGS)}",
        )
    try:
        return _of_zip(path) if filename.endswith(".zip") else _of_tar(path, filename)
    except UnreadableArchive as error:
        raise UploadRefused("unreadable-archive", f"the archive cannot be read: {error}") from None


def _of_zip(path: Path) -> bytes:
    with path.open("rb") as archive:
        members = read_directory(archive)
        top = _top_folder(member.path for member in members)
        metadata = zip_member(archive, b"/PKG-INFO", lambda folder: folder == top.encode())
    return _present(metadata, top)


def _of_tar(path: Path, filename: str) -> bytes:
    """Read a whole archive once; nothing of it is kept but paths and PKG-INFO."""
    length = path.stat().st_size
    paths: set[str] = set()
    metadata: bytes | None = None
    size = 0
    with path.open("rb") as stream:
        tar = Unpacked(stream, filename, limit=2 * max(FREE, RATIO * length))
        for member in tar_members(tar):
            if member.entry.type == _GLOBAL:
                continue
            size += member.entry.size
            check_bomb(size, length)
            name = _checked(member)
            if name in paths and member.entry.type != tarfile.DIRTYPE:
                raise UploadRefused("duplicate-member", f"the archive has two members `{name}`")
            paths.add(name)
            if name.partition("/")[2] == "PKG-INFO" and member.is_file:
                metadata = member.body(_LARGEST)
        _check_end(tar)
    return _present(metadata, _top_folder(paths))


def _check_end(tar: Unpacked) -> None:
    """Raise UploadRefused where something but zeros follows the end that was read."""
    while block := tar.read(_BLOCK):
        if any(block):
            raise UploadRefused(
                "ambiguous-tar", "readers of the archive would disagree: it goes on behind its end"
            )


def _checked(member: TarMember) -> str:
    """Return the path of a member that is safe to unpack."""
    path = member.path.removeprefix("./").rstrip("/")
    if path in {"", "."}:
        return "./"
    check_path(path)
    if member.entry.type not in _PLAIN or any(
        key == "size" or key.startswith("GNU.sparse") for key in member.extended
    ):
        raise UploadRefused(
            "unsafe-member", f"the member `{path}` is neither a file, a folder nor a link"
        )
    if member.entry.type in _LINKS:
        _check_link(path, member)
    return path


def _check_link(path: str, member: TarMember) -> None:
    """Raise UploadRefused for a link that leads out of its archive (PEP 721)."""
    base = posixpath.dirname(path) if member.entry.type == tarfile.SYMTYPE else ""
    target = posixpath.normpath(posixpath.join(base, member.link))
    if target.startswith(("/", "../")) or target == ".." or not member.link.isprintable():
        raise UploadRefused("unsafe-link", f"the link `{path}` leads out of the archive")


def _top_folder(paths: Iterable[str]) -> str:
    tops = {path.partition("/")[0] for path in paths if path != "./"}
    if len(tops) != 1:
        raise UploadRefused(
            "incomplete-sdist",
            f"a source distribution has one folder at its top, and this has {len(tops)}",
        )
    return tops.pop()


def _present(metadata: bytes | None, top: str) -> bytes:
    if metadata is None:
        raise UploadRefused(
            "incomplete-sdist", f"the source distribution has no `{top}/PKG-INFO` (PEP 643)"
        )
    return metadata
