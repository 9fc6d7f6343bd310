"""Where something stands in a manifest, and what is wrong there."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

Steps = tuple[str | int, ...]


class Origin(msgspec.Struct, frozen=True, order=True):
    """A place in a file: line and column count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Fault(msgspec.Struct, frozen=True, order=True):
    """One thing wrong with the manifests: place, message, and what to do about it."""

    origin: Origin
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}" + (f"\n  hint: {self.hint}" if self.hint else "")


class Written:
    """Where the keys of a resource stand: a place in a file, or what else set them.

    Any two are equal: where something stands is no part of what it means.
    """

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[Steps], str | None] | None = None) -> None:
        self._find = find

    def place(self, path: Steps) -> str | None:
        """In words (`team.yaml:14`), for a path of keys and indices; None where nothing stands, or
        where nobody knows any more.
        """
        return self._find(path) if self._find is not None else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Written)

    def __hash__(self) -> int:
        return hash(Written)

    def __repr__(self) -> str:
        return "Written()"
