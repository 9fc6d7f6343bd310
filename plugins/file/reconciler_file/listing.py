"""Entries and groups that all formats share, and the division of a page into groups.

A group is one of 256, by the path's sha256: a million files make groups of some 4,000, and however
many there are, a file stays in its group.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Final
from urllib.parse import urljoin

import msgspec

from reconciler.plugin import Artifact, Group, Malformed, Page, Unit, safe_path, sanitize

GROUPS: Final = tuple(f"{number:02x}" for number in range(256))

MOST_FILES: Final = 5_000_000  # of one source
_MOST_OF_GROUP: Final = (
    150_000  # of one of 256 groups: only names that were made for it crowd there
)
_MOST_TEXT_OF_GROUP: Final = _MOST_OF_GROUP * 400  # characters of its names and URLs
_LONGEST_LINE: Final = 16 * 1024  # a path of 1,024 characters and a URL of 8,192 bytes fit
_MARK: Final = b"\xef\xbb\xbf"

Refuse = Callable[[str, str], None]


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One file that upstream lists.

    `name`: hostile until checked. `sha256`: empty where upstream declares none; `size`: bytes, or
    None; `fault`: why it cannot be fetched, empty where it can.
    """

    name: str
    url: str
    sha256: str = ""
    size: int | None = None
    fault: str = ""


class LineFormat:
    """Reads one line of a format.

    `base`: URL of the page; both methods raise Malformed for a line that is no entry.
    """

    def __init__(self, base: str) -> None:
        self.base = base
        self.folder = urljoin(base, ".")

    def name(self, line: bytes) -> tuple[bytes, bool]:
        """Return the file's name, UTF-8 or not, and whether a digest pins its bytes."""
        raise NotImplementedError

    def entry(self, line: bytes) -> Entry:
        raise NotImplementedError


class Lines(Iterable[Entry]):
    """The lines of one group, as places in the page.

    A million of them cost four bytes each, beside the page.
    """

    def __init__(self, body: bytes, grammar: LineFormat) -> None:
        self._body = body
        self._grammar = grammar
        self._starts = array("I")
        self._digest = sha256()
        self._pinned = True

    def add(self, start: int, line: bytes, *, pinned: bool) -> None:
        self._starts.append(start)
        self._digest.update(line + b"\n")
        self._pinned = self._pinned and pinned

    @property
    def validator(self) -> str | None:
        """Changes with the lines; None where they do not pin the bytes."""
        return self._digest.hexdigest() if self._pinned else None

    def __iter__(self) -> Iterator[Entry]:
        for start in self._starts:
            yield self._grammar.entry(self._body[start : _end(self._body, start)].strip())


def group_of(path: str) -> str:
    """Return the group that a path belongs to."""
    return GROUPS[sha256(path.encode("utf-8", "surrogateescape")).digest()[0]]


def line_groups(page: Page, grammar: LineFormat) -> list[Group]:
    """Return the groups of a page of lines, by name.

    Raises Malformed, naming the first line that is not an entry, and where no line can be used: a
    list of which nothing can be taken does not say that everything is gone.
    """
    body = page.body
    buckets: dict[int, Lines] = {}
    reason: str | None = None  # why the first line cannot be used; empty once one can
    for number, (start, line) in enumerate(_lines(body), 1):
        if not line or line.startswith(b"#"):
            continue
        try:
            if len(line) > _LONGEST_LINE:
                raise Malformed(f"longer than {_LONGEST_LINE:,} bytes")
            name, pinned = grammar.name(line)
            if reason != "":
                fault = _fault(grammar.entry(line))
                reason = fault and (reason or f"line {number}: {fault}")
        except Malformed as error:
            excerpt = "" if b"://" in line else f": {line[:80]!r}"  # a URL may hold secrets
            raise Malformed(
                f"{page.url}: line {number}: {error}{excerpt}",
                hint="nothing of this source is changed",
            ) from None
        bucket = sha256(name).digest()[0]
        if bucket not in buckets:
            buckets[bucket] = Lines(body, grammar)
        buckets[bucket].add(start, line, pinned=pinned)
    if reason:
        raise Malformed(
            f"{page.url}: none of its lines can be used; {reason}",
            hint="nothing of this source is changed",
        )
    return [
        Group(GROUPS[bucket], lines.validator, listed=True, data=lines)
        for bucket, lines in sorted(buckets.items())
    ]


def as_units(entries: Iterable[Entry], type: str, refuse: Refuse) -> list[Unit]:
    """Return a unit for every valid entry; of two with one name the first counts.

    `refuse(name, reason)` is called for the others. Raises Malformed for more than a group can be.
    """
    entries_by_name: dict[str, Entry] = {}
    characters = 0
    for number, entry in enumerate(entries):
        characters += len(entry.name) + len(entry.url)
        if number == _MOST_OF_GROUP or characters > _MOST_TEXT_OF_GROUP:
            raise Malformed(
                f"more than {_MOST_OF_GROUP:,} files, or {_MOST_TEXT_OF_GROUP:,} characters of"
                f" names and URLs, in one of {len(GROUPS)} groups"
            )
        fault = _fault(entry)
        first = entry if fault else entries_by_name.setdefault(entry.name, entry)
        if first is not entry and not _same(first, entry):
            fault = "listed again, with other content; the first counts"
        if fault:
            refuse(sanitize(entry.name, 200) or "(no name)", fault)
    return [
        Unit(type, listed.name, {}, [Artifact(listed.name, listed.sha256, listed.size, listed.url)])
        for listed in entries_by_name.values()
    ]


def decode_name(name: bytes) -> str:
    """Return the text of a name; what is not UTF-8 becomes characters that no safe path has."""
    return name.decode("utf-8", "surrogateescape")


def _fault(entry: Entry) -> str:
    """Return why an entry cannot be a file of a tree; empty where it can."""
    if entry.fault or safe_path(entry.name):
        return entry.fault
    return "not a relative path that stays below its folder, of printable characters"


def usable(entry: Entry) -> bool:
    """Return True if an entry can be a file of a tree."""
    return not _fault(entry)


def _same(first: Entry, other: Entry) -> bool:
    """Return True if two entries mean the same bytes, as far as upstream says."""
    return (
        first.sha256 == other.sha256
        and first.size == other.size
        and bool(first.sha256 or first.url == other.url)
    )


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield where each line starts, and the line without blanks around it.

    A byte order mark is no part of it.
    """
    start = len(_MARK) if body.startswith(_MARK) else 0
    while start < len(body):
        end = _end(body, start)
        yield start, body[start:end].strip()
        start = end + 1


def _end(body: bytes, start: int) -> int:
    end = body.find(b"\n", start)
    return len(body) if end < 0 else end
