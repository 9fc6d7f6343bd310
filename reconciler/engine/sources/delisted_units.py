"""Units of a version that upstream no longer lists: recorded ones, and those that a plan finds.

A unit counts while none of the sources that bring it lists it. What was copied is delisted where it
is delisted in the repository that it came from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from reconciler.database import DelistedUnit, Reader, UnitKey
from reconciler.model import Digest, SourceKind
from reconciler.plan import ADD, ChangeLine, ContentChanges, DelistedShown, GroupLine

_COPIED = f"{SourceKind.REPOSITORY.value}:"
ENTRIES = 1000  # that a plan and a status name

Planned = Mapping[str, ContentChanges]


class DelistedUnits:
    """Look up what upstream no longer lists of a version.

    Args:
        planned: What a plan finds out about repositories, by name, before it is recorded.
    """

    def __init__(self, reader: Reader, planned: Planned | None = None) -> None:
        self._reader = reader
        self._planned = planned or {}

    def of(
        self,
        name: str,
        number: int,
        *,
        withdrawn: Mapping[str, Collection[str]],
        content: ContentChanges | None = None,
    ) -> list[DelistedUnit]:
        """Return the delisted units of a version of a repository, by (group, type, key).

        Args:
            name: Name of the repository.
            number: Number of a recorded version.
            withdrawn: Groups in quarantine, by the source that brought them, which are left out.
            content: What a plan adds to that version before it is shown.
        """
        repository_id = self._ids.get(name)
        if repository_id is None:
            return []
        delisted: dict[DelistedUnit, set[str]] = {}
        for look in (self._recorded, self._found_by_plan):
            for unit in look(name, repository_id, number):
                delisted.setdefault(_of_any(unit), set()).add(unit.source)
        for unit in self._added(content) if content is not None else ():
            delisted.setdefault(_of_any(unit), set()).add(unit.source)
        return sorted(
            (
                unit
                for unit, sources in delisted.items()
                if len(sources) >= unit.brought_by
                and not any(unit.group in withdrawn.get(source, ()) for source in sources)
            ),
            key=lambda unit: (unit.group, unit.type, unit.key, str(unit.digest)),
        )

    @cached_property
    def _ids(self) -> dict[str, int]:
        return self._reader.repository_ids()

    def _recorded(self, name: str, repository_id: int, number: int) -> Iterator[DelistedUnit]:
        """Yield what is recorded, without what a plan finds to be listed again."""
        again = self._relisted(name)
        for unit in self._reader.delisted_units(repository_id, number):
            if (unit.group, (unit.type, unit.key)) not in again.get(unit.source, ()):
                yield unit
        for source, base in self._copied(repository_id):
            relisted = set().union(*self._relisted(base).values())
            for unit in self._reader.delisted_copies(
                repository_id, number, source=source, of=self._ids[base]
            ):
                if (unit.group, (unit.type, unit.key)) not in relisted:
                    yield unit

    def _found_by_plan(self, name: str, repository_id: int, number: int) -> Iterator[DelistedUnit]:
        """Yield what a plan finds to be delisted, as far as the version holds it."""
        for head in self._planned_heads(name):
            for unit in self._held(repository_id, number, head):
                if unit.source == head.source:
                    yield unit
        for source, base in self._copied(repository_id):
            for head in self._planned_heads(base):
                kept = self._offered_otherwise(self._ids[base], head)
                for unit in self._held(repository_id, number, head):
                    if unit.source == source and unit.digest not in kept:
                        yield unit

    def _added(self, content: ContentChanges) -> Iterator[DelistedUnit]:
        """Yield what a plan copies although upstream no longer lists it."""
        gone: dict[str, _GoneFrom] = {}
        for change in content.spool if content.counts.added else ():
            source, name = change.head.source, change.head.name
            if source not in gone:
                gone[source] = self._gone_behind(source)
            for line in change.lines:
                if line.op == ADD and line.digest and gone[source].has(name, line):
                    yield DelistedUnit(name, line.type, line.key, line.digest, source, 1)

    def _gone_behind(self, source: str) -> _GoneFrom:
        """Return what is no longer offered to the repositories behind a source that copies."""
        gone, base = _GoneFrom(), source.removeprefix(_COPIED)
        if not source.startswith(_COPIED) or base not in self._ids:
            return gone
        behind = (name for _, name in self._copied(self._ids[base]))
        for name in dict.fromkeys([base, *behind]):
            gone.digests |= self._reader.delisted_digests(self._ids[name])
            for head in self._planned_heads(name):
                gone.keys.update((head.name, key) for key in head.delisted)
                gone.listed.update((head.name, key) for key in head.relisted)
        return gone

    def _planned_heads(self, name: str) -> Iterator[GroupLine]:
        """Yield the groups of a repository of which a plan finds that upstream lists others."""
        content = self._planned.get(name)
        if content is not None:
            for group in sorted(content.delisted):
                yield from (change.head for change in content.spool.of(group))

    def _relisted(self, name: str) -> dict[str, set[tuple[str, UnitKey]]]:
        """Return what a plan finds to be listed again: (group, key) by source."""
        relisted: dict[str, set[tuple[str, UnitKey]]] = {}
        for head in self._planned_heads(name):
            relisted.setdefault(head.source, set()).update(
                (head.name, key) for key in head.relisted
            )
        return relisted

    def _held(self, repository_id: int, number: int, head: GroupLine) -> list[DelistedUnit]:
        """Return the units of a version, by source, under the keys that upstream lists no more."""
        if not head.delisted:
            return []
        rows = self._reader.sourced_units(repository_id, number, [head.name]).get(head.name, [])
        brought_by = Counter(row.digest for row in rows)
        delisted = set(head.delisted)
        return [
            DelistedUnit(
                *(head.name, row.unit.type, row.unit.key, row.digest),
                *(row.source, brought_by[row.digest]),
            )
            for row in rows
            if (row.unit.type, row.unit.key) in delisted
        ]

    def _offered_otherwise(self, repository_id: int, head: GroupLine) -> set[Digest]:
        """Return the units that another source of a repository brings to a group."""
        rows = self._reader.current_units(repository_id, [head.name]).get(head.name, [])
        return {row.digest for row in rows if row.source != head.source}

    def _copied(self, repository_id: int, behind: Iterable[int] = ()) -> list[tuple[str, str]]:
        """Return the sources that copy, each with every repository that lies behind it."""
        seen = {*behind, repository_id}
        pairs = []
        for source in sorted(self._reader.committed_sources(repository_id)):
            base = source.removeprefix(_COPIED)
            base_id = self._ids.get(base) if source.startswith(_COPIED) else None
            if base_id is not None and base_id not in seen:
                further = [name for _, name in self._copied(base_id, seen)]
                pairs += [(source, name) for name in dict.fromkeys([base, *further])]
        return pairs


@dataclass(slots=True)
class _GoneFrom:
    """Units that repositories are no longer offered: recorded ones, and what a plan finds."""

    digests: set[Digest] = field(default_factory=set)
    keys: set[tuple[str, UnitKey]] = field(default_factory=set)
    listed: set[tuple[str, UnitKey]] = field(default_factory=set)

    def has(self, group: str, line: ChangeLine) -> bool:
        key = (group, (line.type, line.key))
        return key not in self.listed and (key in self.keys or line.digest in self.digests)


def summarize(
    units: Sequence[DelistedUnit], *, plural: str = "units", buckets: bool = False
) -> DelistedShown:
    """Return the number of delisted units and the first of them."""
    first = tuple((unit.type, unit.group, unit.key) for unit in units[:ENTRIES])
    return DelistedShown(len(units), first, plural, buckets)


def _of_any(unit: DelistedUnit) -> DelistedUnit:
    """Return the unit without its source."""
    return DelistedUnit(unit.group, unit.type, unit.key, unit.digest, "", unit.brought_by)
