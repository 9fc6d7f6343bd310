"""Debian versions, as Debian Policy 5.6.12 and deb-version(7) order them.

Written here because the libraries do not fit: `python-debian` is under the GPL, and
`debian-inspector` cannot read `1.2~`, which relations end in everywhere. Tests compare the order
with `dpkg --compare-versions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import eq, ge, gt, le, lt
from typing import Any, Final

from reconciler.plugin import Malformed

LONGEST: Final = 256  # characters: no archive has longer ones, and they become names of files
_VERSION = re.compile(r"(?:([0-9]{1,9}):)?([A-Za-z0-9.+~:-]*?)(?:-([A-Za-z0-9.+~]+))?")
_RUNS = re.compile(r"([^0-9]*)([0-9]*)")

VersionKey = tuple[Any, ...]
"""Orders versions as dpkg does."""

RELATIONS: Final[Mapping[str, Callable[[VersionKey, VersionKey], bool]]] = {
    "<<": lt,
    "<=": le,
    "=": eq,
    ">=": ge,
    ">>": gt,
    "<": le,  # obsolete, and means `<=` (Policy 7.1)
    ">": ge,
}


def is_version(text: str) -> bool:
    """Return True for a version that Debian Policy allows."""
    match = _VERSION.fullmatch(text) if len(text) <= LONGEST else None
    return match is not None and bool(match[2]) and (":" not in match[2] or match[1] is not None)


@lru_cache(maxsize=4096)
def version_key(text: str) -> VersionKey:
    """Return what orders a version. Raises Malformed for what is no version."""
    match = _VERSION.fullmatch(text) if is_version(text) else None
    if match is None:
        raise Malformed(f"`{text[:80]}` is no Debian version")
    return int(match[1] or 0), _runs(match[2]), _runs(match[3] or "0")


def satisfies(version: str, relation: str, wanted: str) -> bool:
    """Return True if `version` stands in `relation` (`>=`) to the version `wanted`."""
    return RELATIONS[relation](version_key(version), version_key(wanted))


def _runs(part: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Return runs of other characters and of digits in turn, each as what orders it.

    The end of a text sorts after a tilde and before all else. Each run of other characters ends in
    a 0, and so does the whole, so that a longer text compares with the end of a shorter one.
    """
    runs = [
        ((*map(_order, other), 0), int(digits or 0))
        for other, digits in _RUNS.findall(part)
        if other or digits
    ]
    return (*runs, ((0,), 0))


def _order(character: str) -> int:
    """Return the rank of a character: tilde before the end, letters before all others."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
