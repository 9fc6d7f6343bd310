"""Members of any version, exactly as recorded: to copy a version, and to find a unit in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Select, bindparam, select, union_all

from reconciler.database import unit_paths
from reconciler.database.bulk import batches, parameter
from reconciler.database.records import FoundUnit
from reconciler.database.schema import (
    membership,
    repository,
    repository_group,
    unit,
    unit_artifact,
)
from reconciler.database.session import Reading
from reconciler.database.versions import STREAM, UNITS, at
from reconciler.model import Digest, group_digest

_REPOSITORY = parameter("repository_id", repository_group.c.repository_id)
_NUMBER = parameter("number", membership.c.added)

_LATEST = select(repository.c.number).where(repository.c.id == _REPOSITORY)
_DIGESTS = (
    select(repository_group.c.name, repository_group.c.digest)
    .where(repository_group.c.repository_id == _REPOSITORY, repository_group.c.digest.is_not(None))
    .order_by(repository_group.c.name)
)
_CONTENT = (
    select(repository_group.c.name, unit.c.digest)
    .join(membership, membership.c.group_id == repository_group.c.id)
    .join(unit, unit.c.id == membership.c.unit_id)
    .where(repository_group.c.repository_id == _REPOSITORY, at(_NUMBER))
    .order_by(repository_group.c.name)
)


_HELD_PATHS = (
    select(unit.c.digest, unit_paths.OF_ARTIFACT)
    .join(membership, membership.c.unit_id == unit.c.id)
    .join(unit_artifact, unit_artifact.c.unit_id == unit.c.id)
    .where(membership.c.repository_id == _REPOSITORY, membership.c.removed.is_(None))
)


def _find() -> Select[Any]:
    """Return the query for units by key or group name.

    It goes through the group's name, and over every member of the version: an index on keys would
    cost each unit that is recorded.
    """
    rows = (
        select(
            repository_group.c.name,
            unit.c.type,
            unit.c.key,
            unit.c.digest,
            unit.c.body,
            membership.c.source,
            membership.c.added,
        )
        .join(membership, membership.c.group_id == repository_group.c.id)
        .join(unit, unit.c.id == membership.c.unit_id)
        .where(membership.c.repository_id == _REPOSITORY, at(_NUMBER))
    )
    by_group = rows.where(
        repository_group.c.repository_id == _REPOSITORY, repository_group.c.name == bindparam("key")
    )
    by_key = rows.where(unit.c.key == bindparam("key"), repository_group.c.name != bindparam("key"))
    both = union_all(by_group, by_key).subquery()
    return select(both).order_by(both.c.name, both.c.type, both.c.key, both.c.digest, both.c.source)


_FIND = _find()


class MemberReads(Reading):
    """Members of versions, by digest. Iterators hold a connection and its snapshot."""

    def version_groups(self, repository_id: int, number: int) -> Iterator[tuple[str, Digest]]:
        """Yield (name, content digest) of each group that a version holds, in name order.

        For the latest version no unit is read.
        """
        values = {"repository_id": repository_id, "number": number}
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            if connection.execute(_LATEST, values).scalar() == number:
                for name, digest in connection.execute(_DIGESTS, values):
                    yield name, Digest(digest)
                return
            rows = connection.execute(_CONTENT, values)
            for name, members in groupby(rows, key=lambda row: row[0]):
                yield name, group_digest(Digest(row[1]) for row in members)

    def members(
        self, repository_id: int, number: int, names: Iterable[str]
    ) -> dict[str, list[tuple[Digest, bytes]]]:
        """Return (digest, body) of units by group and (type, key); empty groups are left out.

        Each digest is that of its body.
        """
        groups: dict[str, list[tuple[Digest, bytes]]] = {}
        with self._reading.connect() as connection:
            for batch in batches(names):
                rows = connection.execute(
                    UNITS, {"repository_id": repository_id, "number": number, "names": batch}
                )
                for row in rows:
                    groups.setdefault(row[0], []).append((Digest(row[3]), row[4]))
        return groups

    def held_paths(self, repository_id: int) -> Iterator[tuple[Digest, str]]:
        """Yield (unit, path) of every file that the latest version holds, in no order."""
        values = {"repository_id": repository_id}
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            for digest, path in connection.execute(_HELD_PATHS, values):
                yield Digest(digest), path

    def find_units(self, repository_id: int, number: int, key: str) -> list[FoundUnit]:
        """Return units of a version whose key, or whose group's name, is `key`.

        Sorted by (group, type, key); a unit is returned once for each source that brought it.
        """
        with self._reading.connect() as connection:
            rows = connection.execute(
                _FIND, {"repository_id": repository_id, "number": number, "key": key}
            )
            return [
                FoundUnit(group, Digest(digest), body, source, added)
                for group, _, _, digest, body, source, added in rows
            ]
