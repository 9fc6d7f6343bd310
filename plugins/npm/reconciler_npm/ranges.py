"""Selectors of versions of one package: `left-pad`, `left-pad@^1.2`, `@scope/name@next`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import nodesemver  # type: ignore[import-untyped]

from reconciler_npm.names import is_name, is_tag

__all__ = ["Selector", "parse_selector", "version_key"]


@dataclass(frozen=True, slots=True)
class Selector:
    """One package and those of its versions that are meant: all, a range's, or a tag's."""

    name: str
    range: str = ""
    tag: str = ""

    def takes(self, version: str, tags: Collection[str], *, prereleases: bool = False) -> bool:
        """Return True if a version is meant; a prerelease only if asked, or if the range has it."""
        if self.tag:
            return self.tag in tags
        inside: bool = _range(self.range or "*").test(_version(version), prereleases)
        return inside


def parse_selector(text: str) -> Selector:
    """Return the selector that a text writes. Raises ValueError saying what is wrong."""
    head, _, wanted = text[1:].partition("@")
    name = text[:1] + head
    if any(character in name for character in "*?["):
        raise ValueError(f"`{text}` is a pattern, and a registry has no list to look in")
    if not is_name(name):
        raise ValueError(f"`{name}` cannot be the name of a package")
    try:
        _range(wanted or "*")
    except ValueError:
        if not is_tag(wanted):
            raise ValueError(f"`{wanted}` is neither a range nor a tag") from None
        return Selector(name, tag=wanted)
    return Selector(name, range=wanted)


def version_key(version: str) -> tuple[Any, ...]:
    """Return what orders versions as semver does; those that differ in their build, by text."""
    release, _, prerelease = version.partition("+")[0].partition("-")
    identifiers = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in prerelease.split(".")
    )
    return (*map(int, release.split(".")), not prerelease, identifiers, version)


@lru_cache(4096)
def _range(text: str) -> Any:
    return nodesemver.make_range(text, loose=False)


@lru_cache(4096)
def _version(text: str) -> Any:
    return nodesemver.make_semver(text, loose=False)
