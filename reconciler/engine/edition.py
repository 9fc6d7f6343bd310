"""A version as a publisher reads it: what it holds, and what differs from the version that was rendered last."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.database import Reader
from reconciler.model import StoredUnit

READ_AHEAD = 200  # groups whose units are read at once


class Edition:
    """One version of a repository. `before`: the version that was rendered last in the same way, None for all anew."""

    def __init__(self, reader: Reader, repository_id: int, before: int | None, version: int) -> None:
        self._reader = reader
        self._repository_id = repository_id
        self._before = before
        self._changed: dict[str, None] | None = None
        self._ahead: dict[str, list[StoredUnit]] = {}
        self.version = version

    @property
    def whole(self) -> bool:
        """Is everything rendered, whatever was rendered before?"""
        return self._before is None

    def changed(self) -> dict[str, None]:
        """Names of the groups to render, in name order."""
        if self._changed is None:
            names = self.groups() if self._before is None else self._reader.changed_groups(self._repository_id, self._before, self.version)
            self._changed = dict.fromkeys(names)
        return self._changed

    def reading(self) -> Iterator[str]:
        """The same, with the units of the groups to come read in advance."""
        waiting = list(self.changed())
        for start in range(0, len(waiting), READ_AHEAD):
            batch = waiting[start : start + READ_AHEAD]
            self._ahead = self._reader.units(self._repository_id, self.version, batch)
            yield from batch

    def groups(self) -> Iterator[str]:
        """Names of the groups that it holds, in name order."""
        return self._reader.group_names(self._repository_id, self.version)

    def units(self, group: str) -> list[StoredUnit]:
        """By (type, key); empty where it holds no such group."""
        if group in self._ahead:
            return self._ahead[group]
        return self._reader.units(self._repository_id, self.version, [group]).get(group, [])
