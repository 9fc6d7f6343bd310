"""Pythons that can run a file: overlap of its Requires-Python with a key (PEP 440, 345)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from packaging.ranges import VersionRange
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from reconciler.plugin import OptionFault
from reconciler_python.matching.rules import between_commas

_BARE = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_LONGEST = 1000  # characters; no honest requirement is longer


def python_range(text: str) -> VersionRange:
    """Parse `3.11` (every 3.11.x) or `>=3.10,<3.13`. Raises OptionFault."""
    written = text.strip()
    versions = (
        _range(f"=={written}.*" if _BARE.fullmatch(written) else written) if written else None
    )
    if versions is None or versions.is_empty:
        hint = (
            between_commas(written)
            or "a version (`3.11` is every 3.11.x) or a specifier (`>=3.10,<3.13`)"
        )
        raise OptionFault(f"`{text}` means no Python", hint=hint)
    return versions


class Interpreters:
    """The Pythons that one key names."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._ranges = [python_range(text) for text in texts]
        # A handful of texts are what most files say.
        self.find: Callable[[str], int | None] = lru_cache(maxsize=4096)(self._find)

    def _find(self, requires_python: str) -> int | None:
        """Return the index of the Python, as written, that can run a file; None for none of them.

        A text that cannot be read limits nothing, as for pip.
        """
        required = _range(requires_python)
        if required is None:
            return 0
        return next(
            (
                index
                for index, pythons in enumerate(self._ranges)
                if not pythons.is_disjoint(required)
            ),
            None,
        )


def _range(text: str) -> VersionRange | None:
    """Return the Pythons that a specifier takes; None where the text cannot be read.

    Pre-releases of Python do not count: what nothing but 3.12.0rc1 can run is not for 3.12.
    """
    if len(text) > _LONGEST:
        return None
    try:
        return SpecifierSet(text, prereleases=False).to_range()
    except (InvalidSpecifier, ValueError):  # a number of more digits than Python reads, too
        return None
