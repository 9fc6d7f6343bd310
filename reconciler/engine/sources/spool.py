"""Where content changes wait between planning and execution: in memory while few, in an unnamed
temporary file when many.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec

from reconciler.model import Digest
from reconciler.plan import (
    ChangeLine,
    Counts,
    GroupChange,
    GroupLine,
    Line,
    counts_of,
    decode_line,
    encode_line,
    merge_source_changes,
)

_IN_MEMORY = 4 * 1024 * 1024  # bytes

_Place = tuple[str, str, int, int]  # group, source, where it starts, how many bytes


class _SpoolFile(tempfile.SpooledTemporaryFile[bytes]):
    """Belongs to the plan that refers to it, and goes with it, however that ends."""

    def __del__(self) -> None:
        self.close()


class SpoolWriter:
    """Takes group changes in any order; `close` gives them back in (name, source) order, and
    counted.
    """

    def __init__(self) -> None:
        self._file = _SpoolFile(max_size=_IN_MEMORY)
        self._places: list[_Place] = []
        self._counts = Counts()

    def add(self, changes: Iterable[GroupChange]) -> None:
        """Append groups, each of one source."""
        for change in changes:
            self._places.append(self._append(change))
            self._counts += counts_of(change.lines)

    def close(self) -> tuple[FileSpool, Counts]:
        """The finished spool and its counts. Groups that several sources touch are settled against
        each other.
        """
        self._places.sort()
        shared = [list(rows) for _, rows in groupby(self._places, key=lambda place: place[0])]
        settled = len(shared) < len(self._places)
        if settled:
            self._places = [place for rows in shared for place in self._settled(rows)]
        spool = FileSpool(self._file, self._places)
        return spool, counts_of(
            line for change in spool for line in change.lines
        ) if settled else self._counts

    def _append(self, change: GroupChange) -> _Place:
        self._file.seek(0, 2)
        start = self._file.tell()
        lines: list[Line] = [change.head, *change.lines]
        self._file.write(b"".join(encode_line(line) + b"\n" for line in lines))
        return change.head.name, change.head.source, start, self._file.tell() - start

    def _settled(self, places: list[_Place]) -> list[_Place]:
        if len(places) < 2:
            return places
        came = sorted(
            (start, length) for _, _, start, length in places
        )  # sources are asked one after the other
        return sorted(
            self._append(change)
            for change in merge_source_changes(
                [_read(self._file, start, length) for start, length in came]
            )
        )


class FileSpool:
    """A finished spool. Iterating reads one group at a time; from any thread."""

    def __init__(self, file: _SpoolFile, places: list[_Place]) -> None:
        self._file = file
        self._reading = threading.Lock()
        self._places = [(start, length) for _, _, start, length in places]
        self._names = [name for name, _, _, _ in places]
        self._digest: Digest | None = None

    def __iter__(self) -> Iterator[GroupChange]:
        for place in self._places:
            yield self._read(place)

    def _read(self, place: tuple[int, int]) -> GroupChange:
        with self._reading:
            return _read(self._file, *place)

    def names(self) -> frozenset[str]:
        """Of the groups that it changes."""
        return frozenset(self._names)

    def of(self, name: str) -> list[GroupChange]:
        """The changes of one group, by source."""
        first = bisect_left(self._names, name)
        return [
            self._read(place) for place in self._places[first : bisect_right(self._names, name)]
        ]

    def __len__(self) -> int:
        return len(self._places)

    @property
    def digest(self) -> Digest:
        """Of all lines in order, without validators: those change with the bytes of a page,
        whatever it says.
        """
        if self._digest is None:
            total = hashlib.sha256()
            for start, length in self._places:
                with self._reading:
                    self._file.seek(start)
                    head, _, lines = self._file.read(length).partition(b"\n")
                total.update(encode_line(_without_validator(_head(head))))
                total.update(lines)
            self._digest = Digest(total.digest())
        return self._digest


def _read(file: _SpoolFile, start: int, length: int) -> GroupChange:
    file.seek(start)
    head, *rows = file.read(length).splitlines()
    lines = map(decode_line, rows)
    return GroupChange(_head(head), [line for line in lines if isinstance(line, ChangeLine)])


def _without_validator(head: GroupLine) -> GroupLine:
    return msgspec.structs.replace(head, validator=None)


def _head(row: bytes) -> GroupLine:
    head = decode_line(row)
    assert isinstance(head, GroupLine)
    return head
