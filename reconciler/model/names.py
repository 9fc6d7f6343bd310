"""The rule for names of files: what no surface could hold is refused where it comes in.

Every source (sync, upload, copy) and `explain` ask here, so that one name can never stop a
publication or an export of everything else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple
from unicodedata import normalize

from reconciler.model.content import StoredUnit, Unit

MAX_SEGMENT = 240  # bytes: file systems take 255, and `.provenance` or `.gz` may be added
MAX_COMPANION_SEGMENT = 255  # of a file beside another, whose name has its ending already
NAMES_REVISION = 1  # raised when the rule changes, so that what is held is decided again

TOO_LONG = "name too long"
FILE_AND_FOLDER = "file and folder at once"
ALIKE = "names differ only by case or Unicode form"


class NameFault(NamedTuple):
    """Refusal of a name: `reason` says why, `rule` is what a plan counts it by."""

    reason: str
    rule: str


class CheckedTree(NamedTuple):
    """Extent of a check of names, so that a commit looks at what came in since.

    Attributes:
        version: The latest version then; 0 to have everything looked at again.
        folded: As of FileTree.
    """

    version: int
    folded: bool

    @property
    def everything(self) -> CheckedTree:
        """The same rule where something that was to leave stays after all."""
        return self._replace(version=0)


def name_fault(unit: Unit | StoredUnit, group: str) -> NameFault | None:
    """Return why no file system could hold the files of a unit; None if one can.

    Its artifacts, its key and its group all become names of files.
    """
    for path in (group, unit.key):
        if fault := _too_long(path, MAX_SEGMENT):
            return fault
    for artifact in unit.artifacts:
        companion = artifact.path.startswith(f"{unit.key}.")
        if fault := _too_long(artifact.path, MAX_COMPANION_SEGMENT if companion else MAX_SEGMENT):
            return fault
    return None


class FileTree:
    """Paths that want to join one tree, compared with each other and with what it holds.

    A path cannot be a file and a folder at once. With `folded`, names that differ only by case or
    Unicode form are one name: an export may lie on a file system that cannot tell them apart.

    Usage: construct it with the new paths, the most important first; pass every path that the tree
    holds to `meet`; `faults` then says which of the new ones cannot join.
    """

    def __init__(self, paths: Iterable[str], *, folded: bool) -> None:
        self._folded = folded
        self._files: dict[str, list[str]] = {}
        self._faults: dict[str, NameFault] = {}
        for path in paths:
            self._files.setdefault(self._form(path), []).append(path)
        self._sorted = sorted(self._files)

    def meet(self, held: str) -> None:
        """Refuse the new paths that cannot lie beside a file that the tree holds."""
        form = self._form(held)
        for path in self._files.get(form, ()):
            if path != held:
                self._faults.setdefault(path, _alike(path, held))
        for other in chain(_folders(form), self._below(form)):
            for path in self._files.get(other, ()):
                self._faults.setdefault(path, _file_and_folder(path, held))

    def faults(self) -> dict[str, NameFault]:
        """Return the paths that cannot join; of new ones that exclude each other the first may."""
        faults = dict(self._faults)
        joined: dict[str, str] = {}
        for form, paths in self._files.items():
            for path in paths:
                if path in faults:
                    continue
                if fault := self._conflict(form, path, joined):
                    faults[path] = fault
                else:
                    joined[form] = path
        return faults

    def _conflict(self, form: str, path: str, joined: Mapping[str, str]) -> NameFault | None:
        """Return why `path` cannot join those that were let in before, by form."""
        if form in joined:
            return None if joined[form] == path else _alike(path, joined[form])
        others = (
            joined[other] for other in chain(_folders(form), self._below(form)) if other in joined
        )
        other = next(others, None)
        return None if other is None else _file_and_folder(path, other)

    def _below(self, folder: str) -> Iterator[str]:
        """Yield the forms of new paths in a folder. They lie together in the order of all forms."""
        start = f"{folder}/"
        for index in range(bisect_left(self._sorted, start), len(self._sorted)):
            if not self._sorted[index].startswith(start):
                return
            yield self._sorted[index]

    def _form(self, path: str) -> str:
        """Return what file systems that ignore case and form compare (Unicode 3.13, D145)."""
        return normalize("NFD", normalize("NFD", path).casefold()) if self._folded else path


def _too_long(path: str, limit: int) -> NameFault | None:
    if len(path) * 4 <= limit:  # no character has more than four bytes
        return None
    longest = max(len(segment.encode(errors="surrogatepass")) for segment in path.split("/"))
    if longest <= limit:
        return None
    return NameFault(
        f"a name of {longest:,} bytes in its path: at most {limit} fit every file system", TOO_LONG
    )


def _file_and_folder(path: str, other: str) -> NameFault:
    return NameFault(
        f"cannot lie beside `{_shortened(other)}`: one name would be a file and a folder",
        FILE_AND_FOLDER,
    )


def _alike(path: str, other: str) -> NameFault:
    return NameFault(
        f"differs from `{_shortened(other)}` only by case or Unicode form, and an export must hold"
        " both",
        ALIKE,
    )


def _shortened(path: str) -> str:
    return path if len(path) <= 200 else f"{path[:200]}..."


def _folders(path: str) -> Iterator[str]:
    """Yield the folders above a path, the outermost first."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)
