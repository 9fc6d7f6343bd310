"""Paths of the files of a unit in the pool.

pool/<component>/<p>/<package>/<sha256>/<name>    `<p>`: first letter, or four of a `lib`

The digest is that of the file itself, for the files of a source package that of its `.dsc`: apt
finds them all in one folder. The file's name is the archive's own, so that a `%`, `~`, `+` or `:`
in it stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.plugin import StoredArtifact, StoredUnit
from reconciler_deb.reading.units import SOURCE_PACKAGE


def pool_folder(unit: StoredUnit, pool: str) -> str:
    """Return the folder of the files of a unit."""
    if pool == "upstream":
        return _folder(_first(unit).path)
    package = unit.group
    prefix = package[:4] if package.startswith("lib") and len(package) > 3 else package[:1]
    return f"pool/{unit.metadata['component']}/{prefix}/{package}/{_first(unit).sha256}"


def pool_files(unit: StoredUnit, pool: str) -> Mapping[str, StoredArtifact]:
    """Return the files of a unit by their paths in the publication."""
    folder = pool_folder(unit, pool)
    return {_joined(folder, artifact.path): artifact for artifact in unit.artifacts}


def pool_path(unit: StoredUnit, pool: str) -> str:
    """Return the path of a binary package, for its `Filename`."""
    return _joined(pool_folder(unit, pool), _first(unit).path)


def all_files(units: list[StoredUnit], pool: str) -> Iterator[tuple[str, StoredArtifact]]:
    """Yield paths and files of several units, in their order; suites share files."""
    for unit in units:
        yield from pool_files(unit, pool).items()


def _first(unit: StoredUnit) -> StoredArtifact:
    """Return the file that names a unit: its `.deb`, or the `.dsc` of a source package."""
    if unit.type != SOURCE_PACKAGE:
        return unit.artifacts[0]
    return next(artifact for artifact in unit.artifacts if artifact.path.endswith(".dsc"))


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _joined(folder: str, path: str) -> str:
    name = path.rpartition("/")[2]
    return f"{folder}/{name}" if folder else name
