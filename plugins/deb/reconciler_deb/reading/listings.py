"""Listings: paragraphs of the indexes by package name, which are the groups of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from reconciler_deb.control.paragraphs import first_field, split_paragraphs
from reconciler_deb.control.relations import PACKAGE_NAME
from reconciler_deb.reading.index_files import ALL, SOURCE

_PACKAGE = b"Package: "
_AFTER_PACKAGE = len(_PACKAGE)


class Entry(NamedTuple):
    """One paragraph of an index. `architecture`: of the index, not of the package."""

    suite: str
    component: str
    architecture: str
    paragraph: bytes


class Listing:
    """Entries by package name.

    A package that is named alike in several suites is one group: its files are shared, and the
    source that owns the name owns it everywhere.
    """

    def __init__(self) -> None:
        self.packages: dict[str, list[Entry]] = {}
        self.unnamed = 0

    def add(  # one call for each index: a hot loop
        self, suite: str, component: str, architecture: str, *, body: bytes
    ) -> None:
        """Add the paragraphs of one index."""
        packages = self.packages
        for paragraph in split_paragraphs(body):
            end = paragraph.find(b"\n")
            if paragraph.startswith(_PACKAGE) and end > 0:  # as nearly all do
                name = paragraph[_AFTER_PACKAGE:end].strip().decode(errors="replace")
            else:
                name = first_field(paragraph, b"Package").decode(errors="replace")
            entry = Entry(suite, component, architecture, paragraph)
            entries = packages.get(name)
            if entries is not None:
                entries.append(entry)
            elif PACKAGE_NAME.fullmatch(name):
                packages[name] = [entry]
            else:
                self.unnamed += 1

    def add_flat(
        self, suite: str, component: str, architectures: Sequence[str], *, body: bytes
    ) -> None:
        """Add the packages of one index that are for these architectures, or `all`; or any."""
        wanted = {*architectures, ALL} - {SOURCE} if {*architectures} - {SOURCE} else set()
        paragraphs: dict[str, list[bytes]] = {}
        for paragraph in split_paragraphs(body):
            architecture = first_field(paragraph, b"Architecture").decode(errors="replace")
            if not wanted or architecture in wanted:
                paragraphs.setdefault(architecture, []).append(paragraph)
        for architecture, own in sorted(paragraphs.items()):
            self.add(suite, component, architecture, body=b"\n\n".join(own))

    def groups(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, list[Entry]]]:
        """Yield wanted packages with their entries, in name order."""
        return ((name, self.packages[name]) for name in sorted(self.packages) if wanted(name))


def entries_digest(entries: Iterable[Entry]) -> str:
    """Return what changes whenever a package is listed otherwise; order means nothing."""
    parts: list[bytes] = []
    for suite, component, architecture, paragraph in sorted(entries):
        head = f"{suite}\n{component}\n{architecture}\n{len(paragraph)}\n"
        parts += (head.encode(), paragraph)
    return sha256(b"".join(parts)).hexdigest()
