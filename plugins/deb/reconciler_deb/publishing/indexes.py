"""Indexes: which of them list a unit, with which text, and as which files they are published.

All of it depends on one unit and the keys of the publication alone, so that a change costs what it
changes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from reconciler.plugin import IndexFile, StoredUnit
from reconciler_deb.control.paragraphs import replace_field
from reconciler_deb.options.publication_options import PublicationOptions
from reconciler_deb.publishing.paths import pool_folder, pool_path
from reconciler_deb.reading.index_files import ALL, SOURCE, index_path
from reconciler_deb.reading.units import SOURCE_PACKAGE

_SEPARATOR: Final = " "  # a suite and a component may hold a slash, and no blank


class IndexName(NamedTuple):
    """One index of a publication. `architecture`: `source` for that of source packages."""

    suite: str
    component: str
    architecture: str

    def __str__(self) -> str:
        return _SEPARATOR.join(self)

    @property
    def path(self) -> str:
        """Path below the suite's folder, uncompressed."""
        return index_path(self.component, self.architecture)


def parse_index_name(text: str) -> IndexName:
    """Return the name that a text stands for."""
    suite, component, architecture = text.split(_SEPARATOR)
    return IndexName(suite, component, architecture)


def indexes_of(unit: StoredUnit, options: PublicationOptions) -> list[IndexName]:
    """Return the indexes that list a unit.

    A package for all architectures stands in the index of each that the publication names, which
    every client reads; else in an index of its own, which apt reads.
    """
    metadata = unit.metadata
    own = metadata["architecture"]
    architectures = [name for name in options.architectures if name not in (ALL, SOURCE)]
    listed = sorted(set(architectures)) if own == ALL and architectures else [own]
    return [IndexName(metadata["suite"], metadata["component"], name) for name in listed]


def entry_of(unit: StoredUnit, pool: str) -> bytes:
    """Return the paragraph of a unit: as upstream has it, but for the place of its files."""
    text: str = unit.metadata["paragraph"]
    if unit.type == SOURCE_PACKAGE:
        text = replace_field(text, "Directory", pool_folder(unit, pool))
    else:
        text = replace_field(text, "Filename", pool_path(unit, pool))
    return f"{text}\n\n".encode()


def index_file(name: IndexName, options: PublicationOptions) -> IndexFile:
    """Return what files an index is published as: compressed, by name and by digest."""
    folder = f"dists/{name.suite}/{name.path.rpartition('/')[0]}"
    return IndexFile(
        f"dists/{name.suite}/{name.path}",
        compressions=options.compressions,
        plain=False,
        by_digest=(f"{folder}/by-hash/SHA256/{{sha256}}",),
        summary=name.suite,
    )
