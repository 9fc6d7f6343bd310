"""A version as a publisher reads it: what it holds and filters do not withhold, and what differs
from what was rendered last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.database import Reader, WithheldUnit
from reconciler.model import Digest, StoredUnit

READ_AHEAD = 200  # groups whose units are read at once


@dataclass(frozen=True, slots=True)
class WithheldUnits:
    """What is left out of a version: (type, key) by group. `groups`: names of those of which
    something else was left out when it was rendered.
    """

    units: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()


def hidden(
    now: Mapping[Digest, WithheldUnit], before: Mapping[Digest, WithheldUnit]
) -> WithheldUnits:
    """`now`: what is withheld; `before`: what was when it was rendered last."""
    units: dict[str, set[tuple[str, str]]] = {}
    for one in now.values():
        units.setdefault(one.group, set()).add((one.type, one.key))
    differing = {(now.get(digest) or before[digest]).group for digest in now.keys() ^ before.keys()}
    return WithheldUnits(
        {group: frozenset(keys) for group, keys in units.items()}, frozenset(differing)
    )


class VersionView:
    """One version of a repository, but for what is hidden. `before`: the version that was rendered
    last in the same way, None for all anew.
    """

    def __init__(
        self,
        reader: Reader,
        repository_id: int,
        before: int | None,
        version: int,
        left_out: WithheldUnits,
    ) -> None:
        self._reader = reader
        self._repository_id = repository_id
        self._before = before
        self._hidden = left_out
        self._empty: frozenset[str] | None = None
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
            self._changed = dict.fromkeys(
                self.groups() if self._before is None else self._since(self._before)
            )
        return self._changed

    def _since(self, before: int) -> Collection[str]:
        names = list(self._reader.changed_groups(self._repository_id, before, self.version))
        return sorted({*names, *self._hidden.groups}) if self._hidden.groups else names

    def reading(self) -> Iterator[str]:
        """The same, with the units of the groups to come read in advance."""
        waiting = list(self.changed())
        for start in range(0, len(waiting), READ_AHEAD):
            batch = waiting[start : start + READ_AHEAD]
            self._ahead = self._units(batch)
            yield from batch

    def groups(self) -> Iterator[str]:
        """Names of the groups of which it shows something, in name order."""
        empty = self._nothing_left()
        return (
            name
            for name in self._reader.group_names(self._repository_id, self.version)
            if name not in empty
        )

    def units(self, group: str) -> list[StoredUnit]:
        """By (type, key); empty where it shows nothing of such a group."""
        if group in self._ahead:
            return self._ahead[group]
        return self._units([group]).get(group, [])

    def _units(self, groups: Collection[str]) -> dict[str, list[StoredUnit]]:
        found = self._reader.units(self._repository_id, self.version, groups)
        for name in found.keys() & self._hidden.units.keys():
            left_out = self._hidden.units[name]
            found[name] = [one for one in found[name] if (one.type, one.key) not in left_out]
        return found

    def _nothing_left(self) -> frozenset[str]:
        """Groups of which everything is hidden."""
        if self._empty is None:
            self._empty = frozenset(
                name for name, units in self._units(self._hidden.units.keys()).items() if not units
            )
        return self._empty
