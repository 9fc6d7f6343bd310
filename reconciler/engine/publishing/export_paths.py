"""Paths of publications: which overlap, and which export directories a publication leaves behind.

Pure functions over declared and recorded specifications; nothing here touches the file system.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from reconciler.model import Publication

Spec = Mapping[str, Any]


class OrphanedExports(NamedTuple):
    """Export directories of a publication that no manifest declares any more.

    Attributes:
        removable: Absolute paths that can be removed.
        kept: Paths as written that stay: what a relative path was relative to went with the
            manifest.
    """

    removable: list[str]
    kept: list[str]


def overlap(path: str, other: str) -> bool:
    """Return True if two paths are equal, or one lies below the other."""
    a, b = ([part for part in text.split("/") if part] for text in (path, other))
    return a[: len(b)] == b[: len(a)]


def written_exports(spec: Spec) -> list[str]:
    """Return the export directories of a Publication as its manifest writes them."""
    return [
        export["directory"]["path"] for export in spec.get("exports", []) if "directory" in export
    ]


def replaces(publication: Publication, spec: Spec) -> bool:
    """Return True if `publication` needs a path or directory of the recorded one, `spec`."""
    return overlap(publication.path, spec["path"]) or shared_export(publication, spec) is not None


def shared_export(publication: Publication, spec: Spec) -> str | None:
    """Return an export directory of the recorded one, `spec`, that `publication` needs too."""
    written = written_exports(publication.spec)
    for text in written_exports(spec):
        absolute = os.path.isabs(text)
        if text in written or any(absolute and overlap(text, path) for path in publication.exports):
            return text
    return None


def removed_exports(
    publication: Publication, spec: Spec, declared: Iterable[Publication]
) -> list[str]:
    """Return directories that `publication` exported to and that no declared publication uses now.

    Args:
        publication: As declared.
        spec: The same publication as recorded.
        declared: All declared publications.
    """
    folder = os.path.dirname(os.path.abspath(publication.meta.origin.file))
    before = [os.path.normpath(os.path.join(folder, text)) for text in written_exports(spec)]
    used = [path for other in declared for path in other.exports]
    return [path for path in before if not any(overlap(path, other) for other in used)]


def orphaned_exports(spec: Spec, declared: Iterable[Publication]) -> OrphanedExports:
    """Return the export directories that the recorded Publication `spec` leaves when it is deleted.

    Directories that a declared publication uses are in neither list.
    """
    publications = list(declared)
    used = [path for publication in publications for path in publication.exports]
    taken = {text for publication in publications for text in written_exports(publication.spec)}
    taken.update(used)
    orphans = [
        text
        for text in written_exports(spec)
        if text not in taken and os.path.normpath(text) not in taken
    ]
    removable = [
        text
        for text in orphans
        if os.path.isabs(text) and not any(overlap(os.path.normpath(text), path) for path in used)
    ]
    return OrphanedExports(removable, [text for text in orphans if text not in removable])
