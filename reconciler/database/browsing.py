"""Reads for people who look around in a publication: a few groups at a time."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import case, func, select

from reconciler.database.bulk import batches, listed, parameter
from reconciler.database.entry_columns import ENTRY, entry_from
from reconciler.database.records import Entry, GroupExtent, WithheldUnit
from reconciler.database.schema import (
    membership,
    publication_entry,
    publication_withheld,
    repository_group,
    unit,
)
from reconciler.database.session import Reading
from reconciler.database.versions import at
from reconciler.model import Digest

_rows = publication_entry.c
_withheld = publication_withheld.c
_PUBLICATION = parameter("publication_id", _rows.publication_id)
_SHOWN = at(parameter("number", _rows.added), _rows)
_FILE = case((_rows.page, 0), else_=1)
_SIZE = case((_rows.page, 0), (_rows.size < 0, 0), else_=_rows.size)
_EXTENTS = (
    select(_rows.group_name, func.sum(_FILE), func.sum(_SIZE), func.max(_rows.added))
    .where(_rows.publication_id == _PUBLICATION, _rows.group_name.in_(listed("names")), _SHOWN)
    .group_by(_rows.group_name)
)
_ENTRIES = select(*ENTRY).where(  # in no order: SQLite would walk all paths for it
    _rows.publication_id == _PUBLICATION,
    _rows.group_name == parameter("group", _rows.group_name),
    _SHOWN,
)
_COUNTS = (
    select(repository_group.c.name, func.count(membership.c.unit_id.distinct()))
    .join(membership, membership.c.group_id == repository_group.c.id)
    .where(
        repository_group.c.repository_id
        == parameter("repository_id", repository_group.c.repository_id),
        repository_group.c.name.in_(listed("names")),
        at(parameter("number", membership.c.added)),
    )
    .group_by(repository_group.c.name)
)
_WITHHELD = (
    select(repository_group.c.name, unit.c.type, unit.c.key, unit.c.digest, _withheld.reason)
    .join(membership, membership.c.group_id == repository_group.c.id)
    .join(unit, unit.c.id == membership.c.unit_id)
    .join(publication_withheld, _withheld.unit_id == unit.c.id)
    .where(
        repository_group.c.repository_id
        == parameter("repository_id", repository_group.c.repository_id),
        repository_group.c.name.in_(listed("names")),
        at(parameter("version", membership.c.added)),
        _withheld.publication_id == parameter("publication_id", _withheld.publication_id),
        at(parameter("number", _withheld.added), _withheld),
    )
    .distinct()
)


class BrowsingReads(Reading):
    """Groups of a publication: how much they are, and where their files are."""

    def group_extents(
        self, publication_id: int, number: int, names: Iterable[str]
    ) -> dict[str, GroupExtent]:
        """Return files, bytes and last change of groups; those that show nothing are left out."""
        extents: dict[str, GroupExtent] = {}
        with self._reading.connect() as connection:
            for batch in batches(names):
                rows = connection.execute(
                    _EXTENTS, {"publication_id": publication_id, "number": number, "names": batch}
                )
                extents.update((row[0], GroupExtent(row[1], row[2], row[3])) for row in rows)
        return extents

    def unit_counts(self, repository_id: int, number: int, names: Iterable[str]) -> dict[str, int]:
        """Return how many units groups have in a version."""
        counts: dict[str, int] = {}
        with self._reading.connect() as connection:
            for batch in batches(names):
                rows = connection.execute(
                    _COUNTS, {"repository_id": repository_id, "number": number, "names": batch}
                )
                counts.update((row[0], row[1]) for row in rows)
        return counts

    def withheld_of(
        self,
        repository_id: int,
        version: int,
        names: Iterable[str],
        *,
        publication_id: int,
        number: int,
    ) -> list[WithheldUnit]:
        """Return the units of some groups that a publication withholds."""
        values = {
            "repository_id": repository_id,
            "version": version,
            "publication_id": publication_id,
            "number": number,
        }
        with self._reading.connect() as connection:
            return [
                WithheldUnit(row[0], row[1], row[2], Digest(row[3]), row[4])
                for batch in batches(names)
                for row in connection.execute(_WITHHELD, {**values, "names": batch})
            ]

    def group_entries(self, publication_id: int, number: int, group: str) -> list[Entry]:
        """Return what a publication shows of a group, by path."""
        values = {"publication_id": publication_id, "number": number, "group": group}
        with self._reading.connect() as connection:
            entries = [entry_from(row) for row in connection.execute(_ENTRIES, values)]
        return sorted(entries, key=lambda entry: entry.path)
