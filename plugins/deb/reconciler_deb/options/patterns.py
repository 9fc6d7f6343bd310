"""Patterns over packages: a name or a glob, and a version relation (`nginx (>= 1.22)`, `lib*`)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Final

import msgspec
from pydantic import AfterValidator, Field

from reconciler.plugin import Malformed, OptionFault
from reconciler_deb.control.relations import Relation
from reconciler_deb.control.versions import is_version

_PATTERN = re.compile(
    r"(?P<name>[A-Za-z0-9.+*?\[\]!-]{1,200})"
    r"(?:\s*\(\s*(?P<operator><<|<=|=|>=|>>)\s*(?P<version>[^\s()]{1,256})\s*\))?"
)
_GLOB: Final = frozenset("*?[")
_HINT: Final = "a name or a glob, and a relation where versions matter: `lib*`, `nginx (>= 1.22)`"


class Pattern(msgspec.Struct, frozen=True):
    """One pattern. `text`: as it is written; `relation`: of the version, by the pattern's name."""

    text: str
    relation: Relation
    matches: Callable[[str], object]


def parse_pattern(text: str) -> Pattern:
    """Return a pattern. Raises OptionFault."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise OptionFault(f"{text!r:.80} is no pattern of packages", hint=_HINT)
    version = match["version"] or ""
    if version and not is_version(version):
        raise OptionFault(f"`{text}`: `{version}` is no Debian version", hint=_HINT)
    name = match["name"]
    if not _GLOB.isdisjoint(name):
        matches: Callable[[str], object] = re.compile(fnmatch.translate(name)).match
    else:
        matches = name.__eq__
    return Pattern(text, Relation(name, match["operator"] or "", version), matches)


def checked_pattern(text: str) -> str:
    """Return the pattern as it is written. Raises OptionFault."""
    parse_pattern(text)
    return text


class Patterns:
    """All patterns of one key: a package matches if one of them does."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._patterns = [parse_pattern(text) for text in sorted(set(texts))]
        self._exact: dict[str, list[Pattern]] = {}
        self._globs: list[Pattern] = []
        for pattern in self._patterns:
            if _GLOB.isdisjoint(pattern.relation.name):
                self._exact.setdefault(pattern.relation.name, []).append(pattern)
            else:
                self._globs.append(pattern)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def concern(self, name: str) -> bool:
        """Return True if some version of the package may match."""
        return name in self._exact or any(pattern.matches(name) for pattern in self._globs)

    def find(self, name: str, version: str) -> str | None:
        """Return the text of the first pattern that matches, in alphabetical order, or None."""
        return next((text for text in self._matching(name, version)), None)

    def _matching(self, name: str, version: str) -> list[str]:
        named = [*self._exact.get(name, ()), *(each for each in self._globs if each.matches(name))]
        return sorted(pattern.text for pattern in named if _allows(pattern, version))


def _allows(pattern: Pattern, version: str) -> bool:
    try:
        return pattern.relation.allows(version)
    except Malformed:  # a version that cannot be compared matches no relation
        return False


# A list in a manifest, immutable here; its items stay strict.
PatternList = Annotated[
    tuple[Annotated[str, AfterValidator(checked_pattern)], ...], Field(strict=False)
]
