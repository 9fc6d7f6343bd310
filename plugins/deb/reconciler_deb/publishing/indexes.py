"""Indexes: which of them list a unit, with which text, and the index of such entries.

`entry_of` is what a unit looks like in an index, `Index.names_of` says in which ones it is: both
depend on the unit and the keys of the publication alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from reconciler.plugin import StoredUnit
from reconciler_deb.control.paragraphs import replace_field
from reconciler_deb.publishing.paths import pool_folder, pool_path
from reconciler_deb.reading.index_files import ALL, SOURCE, index_path
from reconciler_deb.reading.units import SOURCE_PACKAGE


class IndexName(NamedTuple):
    """One index of a publication. `architecture`: `source` for that of source packages."""

    suite: str
    component: str
    architecture: str

    @property
    def path(self) -> str:
        """Path below the suite's folder, uncompressed."""
        return index_path(self.component, self.architecture)


def entry_of(unit: StoredUnit, pool: str) -> bytes:
    """Return the paragraph of a unit: as upstream has it, but for the place of its files."""
    text: str = unit.metadata["paragraph"]
    if unit.type == SOURCE_PACKAGE:
        text = replace_field(text, "Directory", pool_folder(unit, pool))
    else:
        text = replace_field(text, "Filename", pool_path(unit, pool))
    return f"{text}\n\n".encode()


class Indexes:
    """All indexes of a version, as they are collected from its units."""

    def __init__(self, architectures: Iterable[str] = ()) -> None:
        self._always = frozenset(architectures) - {ALL, SOURCE}
        self._entries: dict[IndexName, list[tuple[str, str, bytes]]] = {}

    def add(self, unit: StoredUnit, entry: bytes) -> None:
        """Add the entry of a unit to the index of its own architecture."""
        metadata = unit.metadata
        name = IndexName(metadata["suite"], metadata["component"], metadata["architecture"])
        self._entries.setdefault(name, []).append((unit.group, unit.key, entry))

    def suites(self) -> list[str]:
        """Return the suites that hold a package, in name order."""
        return sorted({name.suite for name in self._entries})

    def of_suite(self, suite: str) -> Mapping[IndexName, bytes]:
        """Return the indexes of a suite with their bodies, by name.

        Packages for all architectures stand in the index of each, as clients expect that know no
        index of `all`; where no other architecture is there, that is their index.
        """
        names = {name for name in self._entries if name.suite == suite}
        binary = {name.architecture for name in names} | self._always
        architectures = sorted(binary - {ALL, SOURCE}) or ([ALL] if ALL in binary else [])
        indexes = {}
        for component in sorted({name.component for name in names}):
            for architecture in architectures:
                name = IndexName(suite, component, architecture)
                indexes[name] = self._body({name, name._replace(architecture=ALL)})
            sources = IndexName(suite, component, SOURCE)
            if sources in names:
                indexes[sources] = self._body({sources})
        return indexes

    def _body(self, names: Iterable[IndexName]) -> bytes:
        entries = sorted(entry for name in names for entry in self._entries.get(name, ()))
        return b"".join(entry for _, _, entry in entries)
