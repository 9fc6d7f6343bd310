"""Reads of versions from membership intervals: contents, counts, differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, zip_longest
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    union,
)
from sqlalchemy.engine import RowMapping

from reconciler.database.artifacts import sizes
from reconciler.database.bulk import batches, listed, parameter
from reconciler.database.columns import from_json
from reconciler.database.records import Difference, VersionRecord
from reconciler.database.schema import membership, repository_group, unit, version, version_count
from reconciler.database.session import Reading
from reconciler.model import Digest, StoredUnit, stored_unit

STREAM = 1_000  # rows that a streaming answer takes from the database at a time

_REPOSITORY = parameter("repository_id", repository_group.c.repository_id)
_NUMBER = parameter("number", membership.c.added)


def at(number: Any, rows: Any = membership.c) -> ColumnElement[bool]:
    """Return the condition for interval rows that are present in `number`.

    The sum keeps SQLite from choosing the index on `added`, which it believes to be narrower than
    it is.
    """
    return and_(rows.added + 0 <= number, or_(rows.removed.is_(None), rows.removed > number))


_COUNTS = (
    select(version_count.c.type, version_count.c.units)
    .where(
        version_count.c.repository_id == _REPOSITORY,
        version_count.c.number == _NUMBER,
        version_count.c.units > 0,
    )
    .order_by(version_count.c.type)
)
_GROUP_NAMES = (
    select(repository_group.c.name)
    .where(repository_group.c.repository_id == _REPOSITORY)
    .where(exists(select(1).where(membership.c.group_id == repository_group.c.id, at(_NUMBER))))
    .order_by(repository_group.c.name)
)
UNITS = (
    select(repository_group.c.name, unit.c.type, unit.c.key, unit.c.digest, unit.c.body)
    .join(membership, membership.c.group_id == repository_group.c.id)
    .join(unit, unit.c.id == membership.c.unit_id)
    .where(
        repository_group.c.repository_id == _REPOSITORY,
        repository_group.c.name.in_(listed("names")),
        at(_NUMBER),
    )
    .order_by(repository_group.c.name, unit.c.type, unit.c.key, unit.c.digest)
    .distinct()
)
_BY_DIGEST = select(func.max(version.c.number)).where(
    version.c.repository_id == _REPOSITORY, version.c.digest == bindparam("digest")
)


def _moved() -> Subquery:
    """Return (group_id, unit_id, there) of units in only one of the versions `a` and `b`.

    `there`: 1 when it is `b`. Only units with an interval that begins or ends between the two are
    read: the cost follows the change.
    """
    a, b, low, high = (parameter(name, membership.c.added) for name in ("a", "b", "low", "high"))
    touched = union(
        select(membership.c.unit_id).where(
            membership.c.repository_id == _REPOSITORY,
            membership.c.added > low,
            membership.c.added <= high,
        ),
        select(membership.c.unit_id).where(
            membership.c.repository_id == _REPOSITORY,
            membership.c.removed > low,
            membership.c.removed <= high,
        ),
    )
    in_a, in_b = (func.max(case((at(number), 1), else_=0)) for number in (a, b))
    return (
        select(membership.c.group_id, membership.c.unit_id, in_b.label("there"))
        .where(membership.c.repository_id == _REPOSITORY, membership.c.unit_id.in_(touched))
        .group_by(membership.c.group_id, membership.c.unit_id)
        .having(in_a != in_b)
        .subquery()
    )


_MOVED = _moved()
_CHANGED = (
    select(repository_group.c.name)
    .where(repository_group.c.id.in_(select(_MOVED.c.group_id)))
    .order_by(repository_group.c.name)
)
_DIFFERENCE = (
    select(repository_group.c.name, unit.c.type, unit.c.key, _MOVED.c.there, unit.c.body)
    .select_from(_MOVED)
    .join(repository_group, repository_group.c.id == _MOVED.c.group_id)
    .join(unit, unit.c.id == _MOVED.c.unit_id)
    .order_by(repository_group.c.name, unit.c.type, unit.c.key, _MOVED.c.there, unit.c.digest)
)


_RECORDS = (
    select(
        version,
        *(
            func.coalesce(func.sum(column), 0).label(column.name)
            for column in (
                version_count.c.added,
                version_count.c.removed,
                version_count.c.changed,
            )
        ),
    )
    .outerjoin(
        version_count,
        and_(
            version_count.c.repository_id == version.c.repository_id,
            version_count.c.number == version.c.number,
        ),
    )
    .where(version.c.repository_id == _REPOSITORY)
    .group_by(version.c.repository_id, version.c.number)
)
_VERSIONS = _RECORDS.where(version.c.number > 0).order_by(version.c.number.desc())
_VERSION = _RECORDS.where(version.c.number == _NUMBER)


def _record(row: RowMapping) -> VersionRecord:
    added, removed, changed = (int(row[name]) for name in ("added", "removed", "changed"))
    return VersionRecord(
        row["number"],
        Digest(row["digest"]),
        row["created_at"],
        added,
        removed,
        changed,
        from_json(row["provenance"]),
    )


class VersionReads(Reading):
    """Contents of versions and their differences. Iterators hold a connection."""

    def versions(self, repository_id: int) -> list[VersionRecord]:
        """Return all versions, newest first, without version 0."""
        with self._reading.connect() as connection:
            return [
                _record(row)
                for row in connection.execute(
                    _VERSIONS, {"repository_id": repository_id}
                ).mappings()
            ]

    def version(self, repository_id: int, number: int) -> VersionRecord | None:
        """Return a version; None if unknown. 0 is the empty one, created with the repository."""
        with self._reading.connect() as connection:
            row = (
                connection.execute(_VERSION, {"repository_id": repository_id, "number": number})
                .mappings()
                .one_or_none()
            )
            return None if row is None else _record(row)

    def version_by_digest(self, repository_id: int, digest: Digest) -> int | None:
        """Return the number of the newest version with this content; None if unknown."""
        with self._reading.connect() as connection:
            return connection.execute(
                _BY_DIGEST, {"repository_id": repository_id, "digest": digest.raw}
            ).scalar()

    def counts(self, repository_id: int, number: int) -> dict[str, int]:
        """Return the number of units of each content type in a version."""
        with self._reading.connect() as connection:
            return {
                row[0]: row[1]
                for row in connection.execute(
                    _COUNTS, {"repository_id": repository_id, "number": number}
                )
            }

    def group_names(self, repository_id: int, number: int) -> Iterator[str]:
        """Yield names of the groups that a version holds, in name order."""
        return self._names(_GROUP_NAMES, {"repository_id": repository_id, "number": number})

    def units(
        self, repository_id: int, number: int, names: Iterable[str]
    ) -> dict[str, list[StoredUnit]]:
        """Return units of a version by group and (type, key); empty groups are left out.

        Sizes are those of the stored bytes, where there are any.
        """
        groups: dict[str, list[StoredUnit]] = {}
        with self._reading.connect() as connection:
            for batch in batches(names):
                rows = connection.execute(
                    UNITS, {"repository_id": repository_id, "number": number, "names": batch}
                )
                stored = [stored_unit(row[4]) for row in rows]
                for held in with_sizes(connection, stored):
                    groups.setdefault(held.group, []).append(held)
        return groups

    def changed_groups(self, repository_id: int, a: int, b: int) -> Iterator[str]:
        """Yield names of groups whose content differs between versions `a` and `b`.

        In name order; either version may be the newer.
        """
        if 0 in (a, b):
            return self.group_names(repository_id, max(a, b))
        return self._names(_CHANGED, _between(repository_id, a, b))

    def difference(self, repository_id: int, a: int, b: int) -> Iterator[Difference]:
        """Yield units that differ between versions `a` and `b`, by (group, type, key)."""
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            rows = connection.execute(_DIFFERENCE, _between(repository_id, a, b))
            for (group, _, _), units in groupby(rows, key=lambda row: (row[0], row[1], row[2])):
                bodies: tuple[list[bytes], list[bytes]] = ([], [])
                for unit_row in units:
                    bodies[unit_row[3]].append(unit_row[4])
                for before, after in zip_longest(*bodies):
                    yield Difference(group, before, after)

    def _names(self, statement: Select[Any], parameters: dict[str, int]) -> Iterator[str]:
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            for row in connection.execute(statement, parameters):
                yield row[0]


def _between(repository_id: int, a: int, b: int) -> dict[str, int]:
    return {"repository_id": repository_id, "a": a, "b": b, "low": min(a, b), "high": max(a, b)}


def with_sizes(connection: Connection, units: list[StoredUnit]) -> list[StoredUnit]:
    """Return the units in their order, with the true sizes of stored bytes.

    A declared size is advice: it stands only for bytes that are not counted yet.
    """
    digests = {part.sha256 for unit in units for part in unit.artifacts}
    known = sizes(connection, map(bytes.fromhex, digests))
    size_of = {raw.hex(): size for raw, size in known.items()}
    return [_with_sizes(unit, size_of) for unit in units]


def _with_sizes(unit: StoredUnit, size_of: Mapping[str, tuple[int, bool]]) -> StoredUnit:
    """Return the unit itself where its sizes are right, which is nearly always so."""
    true = []
    for part in unit.artifacts:
        size, counted = size_of.get(part.sha256, (part.size, False))
        true.append(size if counted or part.size is None else part.size)
    if all(part.size == size for part, size in zip(unit.artifacts, true, strict=True)):
        return unit
    parts = zip(unit.artifacts, true, strict=True)
    artifacts = [msgspec.structs.replace(part, size=size) for part, size in parts]
    return msgspec.structs.replace(unit, artifacts=artifacts)
