"""Version as publishers read it: without withheld units.

It knows which groups differ from the version that was rendered last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from reconciler.database import Reader, WithheldUnit
from reconciler.model import Digest, StoredArtifact, StoredUnit
from reconciler.plugin import PublishedVersion

Units = dict[str, list[StoredUnit]]  # by group
READ_AHEAD = 200  # groups whose units are read at once
MOST_COMPARED = 1_000  # groups of which it is found out whether they came or went


@dataclass(frozen=True, slots=True)
class RepositoryVersion:
    """One recorded version of a repository, with its digest."""

    repository_id: int
    number: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class WithheldUnits:
    """Units that are left out of a version.

    Attributes:
        units: (type, key) of the withheld units by group.
        changed_groups: Groups of which other units were withheld when they were rendered last.
    """

    units: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    changed_groups: frozenset[str] = frozenset()


def withheld_units(
    now: Mapping[Digest, WithheldUnit], before: Mapping[Digest, WithheldUnit]
) -> WithheldUnits:
    """Compare what is withheld `now` with what was withheld at the last rendering, `before`."""
    units: dict[str, set[tuple[str, str]]] = {}
    for unit in now.values():
        units.setdefault(unit.group, set()).add((unit.type, unit.key))
    differing = {(now.get(digest) or before[digest]).group for digest in now.keys() ^ before.keys()}
    return WithheldUnits(
        {group: frozenset(keys) for group, keys in units.items()}, frozenset(differing)
    )


class VersionView:
    """One version of a repository without its withheld units.

    Args:
        version: The version that is rendered.
        before: Number of the version that was rendered last in the same way; None: everything is
            rendered anew.
        withheld: The units that are left out.
        derived_groups: Groups of which other derived artifacts are shown than at the last
            rendering.
        with_first_seen: Adds first sights to the units that are dated by them.
    """

    def __init__(
        self,
        reader: Reader,
        version: RepositoryVersion,
        *,
        before: int | None,
        withheld: WithheldUnits,
        derived_groups: Collection[str] = (),
        with_first_seen: Callable[[Units], Units] | None = None,
    ) -> None:
        self._reader = reader
        self._version = version
        self._before = before
        self._withheld = withheld
        self._derived_groups = derived_groups
        self._dated = with_first_seen
        self._empty: frozenset[str] | None = None
        self._changed: dict[str, None] | None = None
        self._ahead: Units = {}

    @property
    def number(self) -> int:
        return self._version.number

    def published(self) -> PublishedVersion:
        """Return the version as publishers may name it."""
        record = self._reader.version(self._version.repository_id, self._version.number)
        assert record is not None, "a version is rendered once it is recorded"
        return PublishedVersion(record.number, record.created_at)

    def changed_groups(self) -> dict[str, None]:
        """Return the names of the groups to render, in name order."""
        if self._changed is None:
            self._changed = dict.fromkeys(
                self.groups() if self._before is None else self._changed_since(self._before)
            )
        return self._changed

    @property
    def groups_changed(self) -> bool:
        """True if `groups` may name others than at the last rendering."""
        if self._before is None or self._withheld.changed_groups:
            return True
        names = list(self.changed_groups())
        if len(names) > MOST_COMPARED:
            return True
        repository_id, withheld = self._version.repository_id, self._withheld.units
        before = self._reader.units(repository_id, self._before, names)
        return _shown_groups(self._units(names), {}) != _shown_groups(before, withheld)

    def read_changed(self) -> Iterator[str]:
        """Yield `changed`, reading the units of the groups to come in advance."""
        waiting = list(self.changed_groups())
        for start in range(0, len(waiting), READ_AHEAD):
            batch = waiting[start : start + READ_AHEAD]
            self._ahead = self._units(batch)
            yield from batch

    def groups(self) -> Iterator[str]:
        """Yield the names of groups that have a unit to show, in name order."""
        empty = self._empty_groups()
        names = self._reader.group_names(self._version.repository_id, self._version.number)
        return (name for name in names if name not in empty)

    def units(self, group: str) -> list[StoredUnit]:
        """Return the units to show, by (type, key); none for an unknown group."""
        if group in self._ahead:
            return self._ahead[group]
        return self._units([group]).get(group, [])

    def _changed_since(self, before: int) -> Collection[str]:
        names = list(
            self._reader.changed_groups(self._version.repository_id, before, self._version.number)
        )
        changed = {*self._withheld.changed_groups, *self._derived_groups}
        return sorted({*names, *changed}) if changed else names

    def _units(self, groups: Collection[str]) -> Units:
        version, withheld = self._version, self._withheld.units
        units = self._reader.units(version.repository_id, version.number, groups)
        derived = self._reader.derived_artifacts(version.repository_id, version.number, groups)
        if derived:
            units = {
                name: [_shown(unit, derived.get((name, unit.type, unit.key))) for unit in held]
                for name, held in units.items()
            }
        for name in units.keys() & withheld.keys():
            units[name] = [
                unit for unit in units[name] if (unit.type, unit.key) not in withheld[name]
            ]
        return units if self._dated is None else self._dated(units)

    def _empty_groups(self) -> frozenset[str]:
        """Return the groups of which everything is withheld."""
        if self._empty is None:
            units = self._units(self._withheld.units.keys())
            self._empty = frozenset(name for name, left in units.items() if not left)
        return self._empty


def _shown_groups(
    units: Units, withheld: Mapping[str, frozenset[tuple[str, str]]]
) -> frozenset[str]:
    """Return the groups of which a unit is not withheld."""
    return frozenset(
        name
        for name, held in units.items()
        if any((unit.type, unit.key) not in withheld.get(name, ()) for unit in held)
    )


def _shown(unit: StoredUnit, derived: Mapping[str, StoredArtifact | None] | None) -> StoredUnit:
    """Return the unit with the artifacts that are shown in the place of declared ones."""
    if derived is None:
        return unit
    declared = [artifact for artifact in unit.artifacts if artifact.path not in derived]
    made = [derived[path] for path in sorted(derived)]
    artifacts = [*declared, *(artifact for artifact in made if artifact is not None)]
    return msgspec.structs.replace(unit, artifacts=artifacts)
