"""Globs over paths.

`*`, `?` and `[...]` mean what they mean to `fnmatch`, within one segment of the path; case counts.
A segment that is `**` stands for any number of folders, none included. A glob without `/` is about
the file's own name, in whatever folder.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from reconciler.plugin import OptionFault, safe_path

ANY_FOLDERS: Final = "**"

_Segment = Callable[[str], object] | None  # None: `**`


def checked_glob(text: str) -> str:
    """Return the glob as it is. Raises OptionFault for one that could never match a path."""
    if not safe_path(text):
        raise OptionFault(
            f"{text!r:.80} matches no path",
            hint="`*.iso`, `docs/*.html` or `docs/**`: relative, with `/`, without `.` and `..`",
        )
    if any(ANY_FOLDERS in segment and segment != ANY_FOLDERS for segment in text.split("/")):
        raise OptionFault(
            f"`{text}`: `**` stands for whole folders",
            hint="write it between slashes: `docs/**/*.html`",
        )
    return text


class Globs:
    """All globs of one key."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._globs = [(text, _matcher(text)) for text in sorted(set(texts))]

    def __bool__(self) -> bool:
        return bool(self._globs)

    def find(self, path: str) -> str | None:
        """Return the first glob, in alphabetical order, that matches the path, or None."""
        return next((text for text, matches in self._globs if matches(path)), None)


def _matcher(text: str) -> Callable[[str], object]:
    segments = [
        None if segment == ANY_FOLDERS else re.compile(fnmatch.translate(segment)).match
        for segment in text.split("/")
    ]
    first = segments[0]
    if len(segments) == 1 and first is not None:
        return lambda path: first(path.rpartition("/")[2])
    return lambda path: _matches(segments, path.split("/"))


def _matches(glob: Sequence[_Segment], path: Sequence[str]) -> bool:
    """Return True if the segments of a glob match those of a path.

    Only the last `**` ever has to take more: time is the product of both lengths, for any names
    upstream.
    """
    at = place = 0
    after, taken = (
        -1,
        0,
    )  # where to go on behind the last `**`, and up to where it has taken folders
    while place < len(path):
        segment = glob[at] if at < len(glob) else _never
        if segment is None:
            at += 1
            after, taken = at, place
        elif segment(path[place]):
            at += 1
            place += 1
        elif after >= 0:
            taken += 1
            at, place = after, taken
        else:
            return False
    return all(segment is None for segment in glob[at:])


def _never(_: str) -> object:
    return None
