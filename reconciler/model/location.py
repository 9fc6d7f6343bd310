"""Where the keys of a resource stand in its manifest."""

from __future__ import annotations

from collections.abc import Callable

KeyPath = tuple[str | int, ...]


class KeyLocations:
    """Where the keys of a resource stand: a place in a file, or what else set them.

    Any two are equal: where something stands is no part of what it means.
    """

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[KeyPath], str | None] | None = None) -> None:
        self._find = find

    def find(self, path: KeyPath) -> str | None:
        """In words (`team.yaml:14`), for a path of keys and indices; None where nothing stands, or
        where nobody knows any more.
        """
        return self._find(path) if self._find is not None else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyLocations)

    def __hash__(self) -> int:
        return hash(KeyLocations)

    def __repr__(self) -> str:
        return "KeyLocations()"
