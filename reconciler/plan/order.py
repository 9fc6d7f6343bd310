"""Orders that people expect: versions newest last, names and paths with numbers by their value."""

from __future__ import annotations

import re
from typing import Any

from packaging.version import Version

_NUMBER = re.compile(r"(\d+)")

Key = tuple[Any, ...]


def natural_sort_key(text: str) -> list[tuple[int, str]]:
    """Return a sort key with numbers by their value, so that 2.10 comes after 2.9."""
    return [_part_key(part) for part in _NUMBER.split(text)]


def version_sort_key(text: str) -> Key:
    """Return a sort key of a version, oldest first (PEP 440).

    What is no version comes before all versions, in natural order.
    """
    try:
        return 1, Version(text), natural_sort_key(text)
    except ValueError:  # InvalidVersion, or a number of more digits than Python reads
        return 0, natural_sort_key(text)


def _part_key(part: str) -> tuple[int, str]:
    """Return the key of a number or of the text between numbers.

    Names come from strangers: a number of more digits than Python reads counts as text.
    """
    try:
        return int(part), ""
    except ValueError:
        return -1, part
