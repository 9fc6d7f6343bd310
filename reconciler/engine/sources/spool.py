"""Spools of content changes between planning and execution.

Few changes are kept in memory, many in an unnamed temporary file.
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

_Position = tuple[str, str, int, int]  # group, source, where it starts, how many bytes


class _SpoolFile(tempfile.SpooledTemporaryFile[bytes]):
    """A temporary file that is closed with the plan that refers to it, however that ends."""

    def __del__(self) -> None:
        self.close()


class SpoolWriter:
    """Takes group changes in any order; `close` returns them sorted by name and source."""

    def __init__(self) -> None:
        self._file = _SpoolFile(max_size=_IN_MEMORY)
        self._positions: list[_Position] = []
        self._counts = Counts()

    def add(self, changes: Iterable[GroupChange]) -> None:
        """Append groups, each of one source."""
        for change in changes:
            self._positions.append(self._append(change))
            self._counts += counts_of(change.lines)

    def names(self) -> set[str]:
        """Return the names of the groups that came so far."""
        return {name for name, *_ in self._positions}

    def close(self) -> tuple[FileSpool, Counts]:
        """Return the finished spool and its counts.

        Groups that several sources touch are settled against each other.
        """
        self._positions.sort()
        shared = [
            list(rows) for _, rows in groupby(self._positions, key=lambda position: position[0])
        ]
        settled = len(shared) < len(self._positions)
        if settled:
            self._positions = [position for rows in shared for position in self._settled(rows)]
        spool = FileSpool(self._file, self._positions)
        return spool, counts_of(
            line for change in spool for line in change.lines
        ) if settled else self._counts

    def _append(self, change: GroupChange) -> _Position:
        self._file.seek(0, 2)
        start = self._file.tell()
        lines: list[Line] = [change.head, *change.lines]
        self._file.write(b"".join(encode_line(line) + b"\n" for line in lines))
        return change.head.name, change.head.source, start, self._file.tell() - start

    def _settled(self, positions: list[_Position]) -> list[_Position]:
        if len(positions) < 2:
            return positions
        appended = sorted(
            (start, length) for _, _, start, length in positions
        )  # sources are asked one after the other
        return sorted(
            self._append(change)
            for change in merge_source_changes(
                [_read(self._file, start, length) for start, length in appended]
            )
        )


class FileSpool:
    """A finished spool. Iterating reads one group at a time; from any thread."""

    def __init__(self, file: _SpoolFile, positions: list[_Position]) -> None:
        self._file = file
        self._reading = threading.Lock()
        self._positions = [(start, length) for _, _, start, length in positions]
        self._names = [name for name, _, _, _ in positions]
        self._digest: Digest | None = None

    def __iter__(self) -> Iterator[GroupChange]:
        for position in self._positions:
            yield self._read(position)

    def _read(self, position: tuple[int, int]) -> GroupChange:
        with self._reading:
            return _read(self._file, *position)

    def names(self) -> frozenset[str]:
        """Return the names of the groups that change."""
        return frozenset(self._names)

    def of(self, name: str) -> list[GroupChange]:
        """Return the changes of one group, sorted by source."""
        first = bisect_left(self._names, name)
        return [
            self._read(position)
            for position in self._positions[first : bisect_right(self._names, name)]
        ]

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def digest(self) -> Digest:
        """Digest of all lines in order.

        Validators are left out: they change with the bytes of a page, whatever its content. So is
        what upstream no longer lists, or lists again, and what it offers: of itself that changes no
        content.
        """
        if self._digest is None:
            total = hashlib.sha256()
            for start, length in self._positions:
                with self._reading:
                    self._file.seek(start)
                    head, _, lines = self._file.read(length).partition(b"\n")
                total.update(encode_line(_content_of(_head(head))))
                total.update(lines)
            self._digest = Digest(total.digest())
        return self._digest


def _read(file: _SpoolFile, start: int, length: int) -> GroupChange:
    file.seek(start)
    head, *rows = file.read(length).splitlines()
    lines = map(decode_line, rows)
    return GroupChange(_head(head), [line for line in lines if isinstance(line, ChangeLine)])


def _content_of(head: GroupLine) -> GroupLine:
    return msgspec.structs.replace(head, validator=None, delisted=[], relisted=[], offered=None)


def _head(row: bytes) -> GroupLine:
    head = decode_line(row)
    assert isinstance(head, GroupLine)
    return head
