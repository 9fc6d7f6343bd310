"""Units that upstream no longer lists, by the source that brought them.

Recorded beside the content: versions go on to hold them, and publications to show them. A key is
delisted when its source was read completely and did not list it, whatever the rules say of it;
every unit is recorded that the source ever brought under the key. A rule of ours that takes a unit
out delists nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, bindparam, delete, exists, func, or_, select

from reconciler.database.bulk import Bulk, Row, batches, listed, parameter, replacing
from reconciler.database.records import DelistedUnit, StagedGroup, UnitKey
from reconciler.database.schema import (
    delisted_unit,
    membership,
    repository_group,
    stage_group,
    unit,
)
from reconciler.database.session import Reading
from reconciler.database.versions import at
from reconciler.model import Digest

_rows = delisted_unit.c
_others = membership.alias("others")
_marks = delisted_unit.alias("marks")
_OF = parameter("of_repository", _rows.repository_id)
_IN = parameter("in_repository", membership.c.repository_id)
_NUMBER = parameter("number", membership.c.added)
_SOURCE = parameter("source", membership.c.source)

_KEYS = select(repository_group.c.name, unit.c.type, unit.c.key).where(
    repository_group.c.repository_id == _OF, repository_group.c.name.in_(listed("names"))
)
_DELISTED = (
    _KEYS.join(_marks, _marks.c.group_id == repository_group.c.id)
    .join(unit, unit.c.id == _marks.c.unit_id)
    .where(_marks.c.repository_id == _OF, _marks.c.source == _SOURCE)
)
_LEFT = (
    _KEYS.join(membership, membership.c.group_id == repository_group.c.id)
    .join(unit, unit.c.id == membership.c.unit_id)
    .where(membership.c.removed.is_not(None), membership.c.source == _SOURCE)
)


_SHOWN = (
    select(
        *(unit.c.group_name, unit.c.type, unit.c.key, unit.c.digest, membership.c.source),
        select(func.count(_others.c.source.distinct()))
        .where(_others.c.repository_id == _IN, _others.c.unit_id == _rows.unit_id)
        .where(at(_NUMBER, _others.c))
        .scalar_subquery(),
    )
    .join(unit, unit.c.id == _rows.unit_id)
    .join(membership, membership.c.unit_id == _rows.unit_id)
    .where(_rows.repository_id == _OF, membership.c.repository_id == _IN, at(_NUMBER))
    .order_by(unit.c.group_name, unit.c.type, unit.c.key, unit.c.digest)
    .distinct()
)
# What left before the version is not in it: of a mirror's latest version nothing is looked at.
_OWN = _SHOWN.where(
    membership.c.source == _rows.source, or_(_rows.removed.is_(None), _rows.removed > _NUMBER)
)
# What another source of the repository lists is offered to it.
_OFFERED = exists(
    select(1)
    .where(
        _others.c.repository_id == _OF,
        _others.c.unit_id == _rows.unit_id,
        _others.c.removed.is_(None),
    )
    .where(
        ~exists(
            select(1).where(
                _marks.c.repository_id == _OF,
                _marks.c.source == _others.c.source,
                _marks.c.group_id == _others.c.group_id,
                _marks.c.unit_id == _others.c.unit_id,
            )
        )
    )
)
_COPIED = _SHOWN.where(membership.c.source == _SOURCE, ~_OFFERED)
_DIGESTS = (
    select(unit.c.digest)
    .join(delisted_unit, _rows.unit_id == unit.c.id)
    .where(_rows.repository_id == _OF, ~_OFFERED)
)

_STAGED = select(stage_group.c.group_id, stage_group.c.source, stage_group.c.delisted).where(
    stage_group.c.stage_id == bindparam("of_stage"), stage_group.c.delisted.is_not(None)
)
_MARKED = (
    select(_rows.unit_id, unit.c.type, unit.c.key)
    .join(unit, unit.c.id == _rows.unit_id)
    .where(
        _rows.repository_id == _OF,
        _rows.source == _SOURCE,
        _rows.group_id == bindparam("group_id"),
    )
)
_BROUGHT = (
    select(membership.c.unit_id, unit.c.type, unit.c.key, membership.c.removed)
    .join(unit, unit.c.id == membership.c.unit_id)
    .where(membership.c.group_id == bindparam("group_id"), membership.c.source == _SOURCE)
)
_MARK = replacing(delisted_unit, "repository_id", "source", "group_id", "unit_id", "removed")
_UNMARK = Bulk(
    lambda _: delete(delisted_unit).where(
        _rows.repository_id == _OF,
        _rows.source == parameter("of_source", _rows.source),
        _rows.group_id == parameter("of_group", _rows.group_id),
        _rows.unit_id == parameter("of_unit", _rows.unit_id),
    ),
    *("of_repository", "of_source", "of_group", "of_unit"),
)


class DelistedReads(Reading):
    """Units that upstream no longer lists, and the versions that hold them all the same."""

    def delisted_keys(
        self, repository_id: int, source: str, names: Iterable[str]
    ) -> dict[str, set[UnitKey]]:
        """Return the keys that a source no longer lists, by group."""
        return self._keys(_DELISTED, repository_id, source, names=names)

    def left_keys(
        self, repository_id: int, source: str, names: Iterable[str]
    ) -> dict[str, set[UnitKey]]:
        """Return the keys of units that left a repository and that a source brought, by group."""
        return self._keys(_LEFT, repository_id, source, names=names)

    def delisted_units(self, repository_id: int, number: int) -> list[DelistedUnit]:
        """Return the units that a version holds and none of their sources lists any more.

        In order of (group, type, key).
        """
        return self._units(_OWN, in_repository=repository_id, number=number, of=repository_id)

    def delisted_copies(
        self, repository_id: int, number: int, *, source: str, of: int
    ) -> list[DelistedUnit]:
        """Return the units of `source` in a version that repository `of` is no longer offered."""
        return self._units(
            _COPIED, in_repository=repository_id, number=number, of=of, source=source
        )

    def delisted_digests(self, repository_id: int) -> set[Digest]:
        """Return all units, ever held by a repository, that it is no longer offered."""
        with self._reading.connect() as connection:
            rows = connection.execute(_DIGESTS, {"of_repository": repository_id})
            return {Digest(digest) for digest in rows.scalars()}

    def _keys(
        self, statement: Select[Any], repository_id: int, source: str, *, names: Iterable[str]
    ) -> dict[str, set[UnitKey]]:
        keys: dict[str, set[UnitKey]] = {}
        values = {"of_repository": repository_id, "source": source}
        with self._reading.connect() as connection:
            for batch in batches(names):
                for name, type_, key in connection.execute(statement, {**values, "names": batch}):
                    keys.setdefault(name, set()).add((type_, key))
        return keys

    def _units(self, statement: Select[Any], *, of: int, **values: Any) -> list[DelistedUnit]:
        with self._reading.connect() as connection:
            rows = connection.execute(statement, {**values, "of_repository": of})
            return [
                DelistedUnit(group, type_, key, Digest(digest), source, brought_by)
                for group, type_, key, digest, source, brought_by in rows
            ]


def delisted_json(group: StagedGroup) -> str | None:
    """Return what a staged group says of delisted keys, None where nothing changes."""
    if not group.delisted and not group.relisted:
        return None
    return msgspec.json.encode([group.delisted, group.relisted]).decode()


def write_delisted(connection: Connection, repository_id: int, stage_id: int) -> None:
    """Record what sources no longer list, and what they list again.

    Call it when the intervals of the commit are written.
    """
    staged = connection.execute(_STAGED, {"of_stage": stage_id}).all()
    for group_id, source, text in staged:
        delisted, relisted = msgspec.json.decode(text, type=tuple[set[UnitKey], set[UnitKey]])
        place = (repository_id, source, group_id)
        _UNMARK(connection, _again(connection, place, relisted) if relisted else [])
        _MARK(connection, _gone(connection, place, delisted) if delisted else [])


def _again(
    connection: Connection, place: tuple[int, str, int], keys: set[UnitKey]
) -> Sequence[Row]:
    repository_id, source, group_id = place
    values = {"of_repository": repository_id, "source": source, "group_id": group_id}
    return [
        (*place, unit_id)
        for unit_id, type_, key in connection.execute(_MARKED, values)
        if (type_, key) in keys
    ]


def _gone(connection: Connection, place: tuple[int, str, int], keys: set[UnitKey]) -> Sequence[Row]:
    """Return a row for each unit that was ever brought under the keys, and when it left."""
    _, source, group_id = place
    left: dict[int, int | None] = {}
    for unit_id, type_, key, removed in connection.execute(
        _BROUGHT, {"source": source, "group_id": group_id}
    ):
        if (type_, key) in keys:
            before = left.get(unit_id, 0)
            left[unit_id] = None if removed is None or before is None else max(before, removed)
    return [(*place, unit_id, removed) for unit_id, removed in sorted(left.items())]
