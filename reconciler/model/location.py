"""Locations of the keys of a resource in its manifest."""

from __future__ import annotations

from collections.abc import Callable

KeyPath = tuple[str | int, ...]


class KeyLocations:
    """Locations of the keys of a resource: a line of a file, or another setting.

    Any two are equal: the location of a key is no part of its meaning.
    """

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[KeyPath], str | None] | None = None) -> None:
        self._find = find

    def find(self, path: KeyPath) -> str | None:
        """Return the location (`team.yaml:14`) of a path of keys and indices, None if unknown."""
        return self._find(path) if self._find is not None else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyLocations)

    def __hash__(self) -> int:
        return hash(KeyLocations)

    def __repr__(self) -> str:
        return "KeyLocations()"
