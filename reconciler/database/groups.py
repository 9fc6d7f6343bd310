"""The latest version of a repository by group, and the committed state of its sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy import bindparam, exists, select, text

from reconciler.database.bulk import batches, listed, parameter
from reconciler.database.columns import to_digest
from reconciler.database.records import CommittedGroup, CommittedSource, CurrentUnit
from reconciler.database.schema import (
    IS_WITHDRAWN,
    membership,
    repository_group,
    source_group,
    source_state,
    unit,
)
from reconciler.database.session import Reading
from reconciler.database.versions import STREAM
from reconciler.model import Digest

_REPOSITORY = parameter("repository_id", repository_group.c.repository_id)
_NAMES = listed("names")

_SOURCES = select(source_state.c.source, source_state.c.validator, source_state.c.selection).where(
    source_state.c.repository_id == _REPOSITORY
)
_WITHDRAWN = select(source_group.c.source, source_group.c.name).where(
    source_group.c.repository_id == _REPOSITORY,
    text(IS_WITHDRAWN),  # as the index says it
)
_SOURCE = _SOURCES.where(source_state.c.source == bindparam("source"))
_OF_SOURCE = (source_group.c.repository_id == _REPOSITORY) & (
    source_group.c.source == bindparam("source")
)
_DUE = (
    select(source_group.c.reconsider_at)
    .where(_OF_SOURCE, source_group.c.reconsider_at.is_not(None))
    .order_by(source_group.c.reconsider_at)
    .limit(1)
)
_INCOMPLETE = (
    select(source_group.c.name).where(_OF_SOURCE, source_group.c.validator.is_(None)).limit(1)
)
_COMMITTED = select(
    source_group.c.name,
    source_group.c.validator,
    source_group.c.selection,
    source_group.c.reconsider_at,
    source_group.c.offered,
).where(_OF_SOURCE)
_COMMITTED_ONE = _COMMITTED.where(source_group.c.name == bindparam("name"))
_CURRENT = (
    select(repository_group.c.name, unit.c.digest, unit.c.body, membership.c.source)
    .join(membership, membership.c.group_id == repository_group.c.id)
    .join(unit, unit.c.id == membership.c.unit_id)
    .where(
        repository_group.c.repository_id == _REPOSITORY,
        repository_group.c.name.in_(_NAMES),
        membership.c.removed.is_(None),
    )
    .order_by(repository_group.c.name, unit.c.type, unit.c.key, unit.c.digest, membership.c.source)
)
_CURRENT_OF = _CURRENT.where(membership.c.source == bindparam("source"))
_HELD = (
    select(repository_group.c.name)
    .where(repository_group.c.repository_id == _REPOSITORY)
    .where(
        exists(
            select(1).where(
                membership.c.group_id == repository_group.c.id,
                membership.c.removed.is_(None),
                membership.c.source == bindparam("source"),
            )
        )
    )
    .order_by(repository_group.c.name)
)


class GroupReads(Reading):
    """Committed state that a sync compares with."""

    def committed_sources(self, repository_id: int) -> dict[str, CommittedSource]:
        """Return the state of each source at its last committed listing, by source ID."""
        with self._reading.connect() as connection:
            rows = connection.execute(_SOURCES, {"repository_id": repository_id})
            return {
                source: CommittedSource(validator, to_digest(selection))
                for source, validator, selection in rows
            }

    def withdrawn_groups(self, repository_id: int) -> dict[str, set[str]]:
        """Return the groups of which upstream offers nothing any more, by source ID."""
        groups: dict[str, set[str]] = {}
        with self._reading.connect() as connection:
            for source, name in connection.execute(_WITHDRAWN, {"repository_id": repository_id}):
                groups.setdefault(source, set()).add(name)
        return groups

    def committed_source(self, repository_id: int, source: str) -> CommittedSource | None:
        """Return the state of a source at its last committed listing; None before the first."""
        with self._reading.connect() as connection:
            row = connection.execute(
                _SOURCE, {"repository_id": repository_id, "source": source}
            ).one_or_none()
            return None if row is None else CommittedSource(row[1], to_digest(row[2]))

    def committed_groups(self, repository_id: int, source: str) -> dict[str, CommittedGroup]:
        """Return the state of each group of a source when it was last read completely, by name."""
        with self._reading.connect() as connection:
            rows = connection.execute(
                _COMMITTED, {"repository_id": repository_id, "source": source}
            )
            digests: dict[bytes, Digest] = {}  # hundreds of thousands of groups rest on one or two
            return {
                name: CommittedGroup(
                    name,
                    validator,
                    digests.get(selection) or digests.setdefault(selection, Digest(selection)),
                    again,
                    to_digest(offered),
                )
                for batch in rows.partitions(STREAM)
                for name, validator, selection, again, offered in batch
            }

    def committed_group(self, repository_id: int, source: str, name: str) -> CommittedGroup | None:
        """Return the committed state of one group; None where the source does not hold it."""
        with self._reading.connect() as connection:
            row = connection.execute(
                _COMMITTED_ONE, {"repository_id": repository_id, "source": source, "name": name}
            ).one_or_none()
            if row is None:
                return None
            return CommittedGroup(row[0], row[1], Digest(row[2]), row[3], to_digest(row[4]))

    def source_due(self, repository_id: int, source: str) -> datetime | None:
        """Return the earliest time at which a group must be decided again; None for never.

        Time alone can change a decision (a cooldown ends, for example).
        """
        with self._reading.connect() as connection:
            return connection.execute(
                _DUE, {"repository_id": repository_id, "source": source}
            ).scalar()

    def source_incomplete(self, repository_id: int, source: str) -> bool:
        """Return True if a group lacks a validator because something of it failed."""
        with self._reading.connect() as connection:
            return (
                connection.execute(
                    _INCOMPLETE, {"repository_id": repository_id, "source": source}
                ).first()
                is not None
            )

    def held_groups(self, repository_id: int, source: str) -> Iterator[str]:
        """Yield names of the groups in which a source has members now, in name order."""
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            yield from connection.execute(
                _HELD, {"repository_id": repository_id, "source": source}
            ).scalars()

    def current_units(
        self, repository_id: int, names: Iterable[str], source: str | None = None
    ) -> dict[str, list[CurrentUnit]]:
        """Return current members by group and (type, key); groups without members are left out.

        A unit that two sources brought is returned once for each. With `source`, only units that
        this source brought.
        """
        statement, values = (_CURRENT, {}) if source is None else (_CURRENT_OF, {"source": source})
        units: dict[str, list[CurrentUnit]] = {}
        with self._reading.connect() as connection:
            for batch in batches(names):
                rows = connection.execute(
                    statement, {"repository_id": repository_id, "names": batch, **values}
                )
                for name, digest, body, by in rows.all():
                    units.setdefault(name, []).append(CurrentUnit(Digest(digest), body, by))
        return units
