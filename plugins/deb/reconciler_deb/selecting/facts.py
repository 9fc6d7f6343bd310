"""Facts that selection asks of a unit."""

from __future__ import annotations

import re
from functools import lru_cache

from reconciler.plugin import StoredUnit, Unit

REQUIRED_BY = "_requiredBy"
UNMET = "_unmet"


def name_of(unit: Unit | StoredUnit) -> str:
    """Return the package's name: the key is `<suite>/<name>_<version>_<architecture>`."""
    return unit.key.rpartition("/")[2].partition("_")[0]


def field_of(unit: Unit | StoredUnit, name: str) -> str:
    """Return a field of one line of the unit's paragraph; empty where it has none."""
    match = _pattern(name).search(unit.metadata["paragraph"])
    return match[1].strip() if match else ""


def size_of(unit: Unit | StoredUnit) -> int | None:
    """Return the bytes of all files of a unit; None where a size is not known."""
    sizes = [artifact.size for artifact in unit.artifacts]
    return None if None in sizes else sum(size for size in sizes if size is not None)


@lru_cache(maxsize=64)
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"^{re.escape(name)}:[ \t]*(.*)$", re.MULTILINE | re.IGNORECASE)
