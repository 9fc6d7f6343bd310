"""The listing of a local folder, as a page."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from stat import S_ISREG

import msgspec

from reconciler.errors import Refused
from reconciler.reach import is_below, is_git_data

FOLDER_MEDIA_TYPE = "application/vnd.reconciler.folder+json"
_LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class ListedFile(msgspec.Struct, frozen=True):
    """A file: path relative to the folder, with `/`; size in bytes; the entity tag of `etag_of`."""

    path: str
    size: int
    etag: str


class FolderListing(msgspec.Struct, frozen=True):
    """The page: every file below the folder, sorted by path."""

    files: list[ListedFile]


def list_folder(folder: str, base: str) -> bytes:
    """Return JSON of every regular file below `folder`; the same files give the same bytes.

    `folder` lies below `base`, both without links.

    Files and folders whose names begin with a dot are left out (`.git`, half-written files of many
    tools); so are links that lead out of `base`. Links to folders are not entered: what they lead
    to is listed in its own place, and a link upwards would have no end. Raises OSError for a folder
    that cannot be read (a listing that leaves out what it could not see would say that it is gone),
    Refused for a name that is not UTF-8.
    """
    root = folder.rstrip("/")
    files = [
        _listed_file(path.removeprefix(f"{root}/"), facts) for path, facts in _walk(root, base)
    ]
    return msgspec.json.encode(FolderListing(sorted(files, key=lambda file: file.path)))


def etag_of(facts: os.stat_result) -> str:
    """Return an entity tag that changes whenever a file is written or replaced."""
    return f'"{facts.st_mtime_ns:x}-{facts.st_size:x}-{facts.st_ino:x}"'


def is_within(path: str, base: str) -> bool:
    """Return True where `path` is the folder `base` or below it; both absolute, without links.

    What lies in a `.git` below it does not count: credentials of a checkout are no content.
    """
    return is_below(path, base) and not is_git_data(path.removeprefix(base))


def _walk(root: str, base: str) -> Iterator[tuple[str, os.stat_result]]:
    waiting = [root or "/"]
    while waiting:
        for entry in _entries(waiting.pop(), root):
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif (facts := _status(entry, base)) is not None:
                yield entry.path, facts


def _entries(folder: str, root: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        if folder == root:
            raise
        return []  # went away since its parent was read


def _status(entry: os.DirEntry[str], base: str) -> os.stat_result | None:
    """Return the status of a regular file, None for anything else.

    Also of a file behind a link that stays below `base`; None as well for what went away meanwhile.
    """
    path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
    if path != entry.path and not is_within(path, base):
        return None
    try:
        facts = os.stat(path)
    except OSError as error:
        if error.errno in _LEADS_NOWHERE:
            return None
        raise
    return facts if S_ISREG(facts.st_mode) else None


def _listed_file(path: str, facts: os.stat_result) -> ListedFile:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise Refused(
            f"the folder holds a file whose name is not UTF-8: {path!r}",
            hint="rename it, or begin its name with a dot",
        ) from None
    return ListedFile(path, facts.st_size, etag_of(facts))
