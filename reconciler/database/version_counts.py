"""Counts of units by content type, kept with each version."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, case, exists, func, literal, or_, select, union_all

from reconciler.database.bulk import parameter, plain
from reconciler.database.schema import membership, unit, version_count
from reconciler.database.versions import at

_REPOSITORY = parameter("of_repository", membership.c.repository_id)
_NUMBER = parameter("new_number", membership.c.added)
_HELD = select(version_count.c.type, version_count.c.units).where(
    version_count.c.repository_id == _REPOSITORY,
    version_count.c.number == _NUMBER - 1,
    version_count.c.units > 0,
)
_KEEP = plain(version_count, *(column.name for column in version_count.columns))


def _changes() -> Select[Any]:
    """Return the query for what a version added, removed and changed, by content type.

    A unit counts as joined or left, or as changed where both happened under one key. The cost
    follows the change.
    """
    other = membership.alias()
    same = (other.c.repository_id == membership.c.repository_id) & (
        other.c.unit_id == membership.c.unit_id
    )
    there_before = exists(
        select(1).where(
            same,
            other.c.added + 0 < _NUMBER,
            or_(other.c.removed.is_(None), other.c.removed >= _NUMBER),
        )
    )
    there_after = exists(select(1).where(same, at(_NUMBER, other.c)))
    joined = select(
        membership.c.unit_id, literal(1).label("joined"), literal(0).label("left")
    ).where(membership.c.repository_id == _REPOSITORY, membership.c.added == _NUMBER, ~there_before)
    left = select(membership.c.unit_id, literal(0), literal(1)).where(
        membership.c.repository_id == _REPOSITORY, membership.c.removed == _NUMBER, ~there_after
    )
    moves = union_all(joined.distinct(), left.distinct()).subquery()
    came, went = func.sum(moves.c.joined).label("came"), func.sum(moves.c.left).label("went")
    keys = (
        select(unit.c.type, came, went)
        .join_from(moves, unit, unit.c.id == moves.c.unit_id)
        .group_by(unit.c.type, unit.c.group_name, unit.c.key)
        .subquery()
    )
    changed = case((keys.c.came < keys.c.went, keys.c.came), else_=keys.c.went)
    return select(
        keys.c.type,
        func.sum(keys.c.came - changed),
        func.sum(keys.c.went - changed),
        func.sum(changed),
    ).group_by(keys.c.type)


_CHANGES = _changes()


def keep_counts(connection: Connection, repository_id: int, number: int) -> None:
    """Record the counts of a version whose intervals are written, from those of the one before."""
    values = {"of_repository": repository_id, "new_number": number}
    held = {type_: int(units) for type_, units in connection.execute(_HELD, values)}
    changes = {
        type_: (int(added), int(removed), int(changed))
        for type_, added, removed, changed in connection.execute(_CHANGES, values)
    }
    rows = []
    for type_ in sorted(held.keys() | changes.keys()):
        added, removed, changed = changes.get(type_, (0, 0, 0))
        units = held.get(type_, 0) + added - removed
        rows.append((repository_id, number, type_, units, added, removed, changed))
    _KEEP(connection, rows)
