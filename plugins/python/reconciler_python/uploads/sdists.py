"""Source distributions: safe to unpack, one folder, and PKG-INFO in it (PEP 625, PEP 721)."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import Final

from reconciler_python.reading.archives import UnreadableArchive, member_content
from reconciler_python.reading.sdists import TarMember, Unpacked, pax_records, tar_members
from reconciler_python.uploads.refusals import UploadRefused
from reconciler_python.uploads.zip_archives import (
    FREE,
    RATIO,
    check_bomb,
    check_path,
    check_tree,
    read_directory,
)

__all__ = ["check_sdist"]

ENDINGS: Final = (".tar.gz", ".zip")
_LARGEST: Final = 16 << 20  # bytes of a PKG-INFO
_LINKS: Final = frozenset({tarfile.SYMTYPE, tarfile.LNKTYPE})
_PLAIN: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE}) | _LINKS
_GLOBAL: Final = b"g"
_LARGEST_HEADER: Final = 64 * 1024
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
        top = _top_folder(members)
        entry = members.get(f"{top}/PKG-INFO")
        return _present(member_content(archive, entry) if entry else None, top)


def _of_tar(path: Path, filename: str) -> bytes:
    """Read a whole archive once; nothing of it is kept but paths and PKG-INFO."""
    length = path.stat().st_size
    tree = _Tree()
    metadata: bytes | None = None
    size = 0
    with path.open("rb") as stream:
        tar = Unpacked(stream, filename, limit=2 * max(FREE, RATIO * length))
        for member in tar_members(tar):
            if member.entry.type == _GLOBAL:
                _check_global(member)
                continue
            size += member.entry.size
            check_bomb(size, length)
            name = tree.add(member)
            if name.partition("/")[2] == "PKG-INFO" and member.is_file:
                metadata = member.body(_LARGEST)
        _check_end(tar)
    tree.check()
    return _present(metadata, _top_folder(tree.kinds))


class _Tree:
    """The members of a tar, each safe by itself, and safe together.

    Nothing lies below a link, and no target climbs but from the link's own folder: so each target
    lies in the archive, whatever links it passes.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, bytes] = {}  # of each path, as the archive has it

    def add(self, member: TarMember) -> str:
        """Return the path of a member. Raises UploadRefused unless it is safe to unpack."""
        path = _path(member)
        kind = member.entry.type
        if kind in _LINKS:
            self._check_link(path, member)
        if path in self.kinds and not kind == self.kinds[path] == tarfile.DIRTYPE:
            raise UploadRefused("duplicate-member", f"the archive has two members `{path}`")
        self.kinds[path] = kind
        return path

    def check(self) -> None:
        """Raise UploadRefused where a member lies below a file or a link."""
        check_tree(
            self.kinds, [path for path, kind in self.kinds.items() if kind != tarfile.DIRTYPE]
        )

    def _check_link(self, path: str, member: TarMember) -> None:
        """Raise UploadRefused for a link that may lead out of its archive (PEP 721)."""
        if member.entry.type == tarfile.SYMTYPE:
            is_safe = _stays_inside(posixpath.dirname(path), member.link)
        else:
            kind = self.kinds.get(member.link.removeprefix("./"))
            is_safe = kind is not None and kind not in {tarfile.DIRTYPE, *_LINKS}
        if not is_safe or not member.link.isprintable():
            raise UploadRefused(
                "unsafe-link",
                f"the link `{path}` may lead out of the archive, or leads to none of its files",
            )


def _stays_inside(folder: str, target: str) -> bool:
    """Return True for a target that climbs no further than its folder is deep, and only first."""
    parts = target.rstrip("/").split("/")
    climbing = list(takewhile(lambda part: part in {".", ".."}, parts))
    depth = len(folder.split("/")) if folder else 0
    descending = parts[len(climbing) :]
    return climbing.count("..") <= depth and {"", ".", ".."}.isdisjoint(descending)


def _check_global(member: TarMember) -> None:
    """Raise UploadRefused for a header about all members that says where they lie."""
    for key in pax_records(member.body(_LARGEST_HEADER)):
        if key in {"path", "linkpath"} or _changes_size(key):
            raise _confusing_tar("a header speaks of paths or sizes of all members")


def _changes_size(key: str) -> bool:
    """Return True for a record by which a member has another size than its own header says."""
    return key == "size" or key.startswith("GNU.sparse")


def _check_end(tar: Unpacked) -> None:
    """Raise UploadRefused where something but zeros follows the end that was read."""
    while block := tar.read(_BLOCK):
        if any(block):
            raise _confusing_tar("it goes on behind its end")


def _confusing_tar(problem: str) -> UploadRefused:
    return UploadRefused(
        "ambiguous-tar",
        f"readers of the archive would disagree: {problem}",
        hint="build it again with a current build backend",
    )


def _path(member: TarMember) -> str:
    """Return the path of a member. Raises UploadRefused for what no reader should unpack."""
    path = member.path.removeprefix("./").rstrip("/")
    if path in {"", "."} and member.entry.type == tarfile.DIRTYPE:
        return "./"
    check_path(path)
    if member.has_rivals or member.extended.get("path") == "":
        raise _confusing_tar(f"several headers, or an empty one, name `{path}`")
    if member.entry.type not in _PLAIN or any(map(_changes_size, member.extended)):
        raise UploadRefused(
            "unsafe-member", f"the member `{path}` is neither a file, a folder nor a link"
        )
    if member.entry.size and not member.is_file:
        raise _confusing_tar(f"`{path}` is no file and has a size")
    return path


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
