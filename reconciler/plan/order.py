"""Orders that people expect: versions newest last, names and paths with numbers by their value."""

from __future__ import annotations

import re
from typing import Any

from packaging.version import InvalidVersion, Version

_NUMBER = re.compile(r"(\d+)")

Key = tuple[Any, ...]


def natural_sort_key(text: str) -> list[tuple[int, str]]:
    """Return a sort key with numbers by their value, so that 2.10 comes after 2.9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBER.split(text)]


def version_sort_key(text: str) -> Key:
    """Return a sort key of a version, oldest first (PEP 440).

    What is no version comes before all versions, in natural order.
    """
    try:
        return 1, Version(text), natural_sort_key(text)
    except InvalidVersion:
        return 0, natural_sort_key(text)
