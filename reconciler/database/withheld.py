"""Units that publications withhold although their versions hold them, and their sources.

Filters decide again with both. Withheld units are interval rows of the publication's numbers, as
its entries are. Those of a publication in preparation are written when it completes, so that
nothing has to be undone.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, exists, literal_column, select, update

from reconciler.database.bulk import Bulk, batches, insert_for, listed, parameter
from reconciler.database.columns import to_raw
from reconciler.database.records import SourcedUnit, WithheldUnit
from reconciler.database.schema import (
    QUARANTINED,
    membership,
    publication,
    publication_withheld,
    repository_group,
    unit,
)
from reconciler.database.session import Reading, Writing
from reconciler.database.versions import at, with_sizes
from reconciler.model import Digest, FilterVerdict, stored_unit

logger = logging.getLogger(__name__)

ALL = 2**62

_rows = publication_withheld.c
_REPOSITORY = parameter("repository_id", repository_group.c.repository_id)
_IN = parameter("repository_id", membership.c.repository_id)
_VERSION = parameter("number", membership.c.added)
_PUBLICATION = parameter("of_publication", publication.c.publication_id)
_NUMBER = parameter("of_number", publication.c.number)

_WITHHELD = (
    select(unit.c.group_name, unit.c.type, unit.c.key, unit.c.digest, _rows.reason)
    .join(publication_withheld, _rows.unit_id == unit.c.id)
    .where(_rows.publication_id == _PUBLICATION, at(_NUMBER, _rows))
    .order_by(unit.c.group_name, unit.c.type, unit.c.key)
    .limit(bindparam("limit"))
)
_QUARANTINED = (  # no join, which would begin with the units
    select(unit.c.group_name)
    .where(
        unit.c.id.in_(
            select(_rows.unit_id).where(
                _rows.publication_id == _PUBLICATION,
                _rows.reason == literal_column(f"'{QUARANTINED}'"),
                at(_NUMBER, _rows),
            )
        )
    )
    .distinct()
)
_JUDGE = (
    update(publication)
    .where(publication.c.publication_id == _PUBLICATION, publication.c.number == _NUMBER)
    .values(
        {
            name: parameter(f"new_{name}", publication.c[name])
            for name in ("rules", "withheld", "withheld_units", "reconsider_at")
        },
    )
)
_OPEN = (_rows.publication_id == _PUBLICATION) & _rows.removed.is_(None)
_THIS = _OPEN & (
    _rows.unit_id
    == select(unit.c.id)
    .where(unit.c.digest == parameter("of_unit", unit.c.digest))
    .scalar_subquery()
)
_END = Bulk(
    lambda _: update(publication_withheld).where(_THIS).values(removed=_NUMBER),
    *("of_publication", "of_unit", "of_number"),
)
_END_ALL = update(publication_withheld).where(_OPEN).values(removed=_NUMBER)
_REASON = Bulk(
    lambda _: update(publication_withheld).where(_THIS).values(reason=bindparam("new_reason")),
    *("of_publication", "of_unit", "new_reason"),
)
_BEGIN = Bulk(
    lambda dialect: insert_for(dialect, publication_withheld).values(
        publication_id=bindparam("publication_id"),
        unit_id=select(unit.c.id).where(unit.c.digest == bindparam("digest")).scalar_subquery(),
        reason=bindparam("reason"),
        added=bindparam("added"),
    ),
    *("publication_id", "digest", "reason", "added"),
)
_BROUGHT = (
    select(repository_group.c.name, unit.c.digest, unit.c.body, membership.c.source)
    .join(membership, membership.c.group_id == repository_group.c.id)
    .join(unit, unit.c.id == membership.c.unit_id)
    .where(
        repository_group.c.repository_id == _REPOSITORY,
        repository_group.c.name.in_(listed("names")),
        at(_VERSION),
    )
    .order_by(repository_group.c.name, unit.c.type, unit.c.key, unit.c.digest, membership.c.source)
)
_SOURCES_OF = (
    select(unit.c.digest, membership.c.source)
    .join(membership, membership.c.unit_id == unit.c.id)
    .where(membership.c.repository_id == _IN, unit.c.digest.in_(listed("digests")))
    .distinct()
)
_OTHERS_IN = (
    select(repository_group.c.name)
    .where(repository_group.c.repository_id == _REPOSITORY)
    .where(
        exists(
            select(1).where(
                membership.c.group_id == repository_group.c.id,
                at(_VERSION),
                membership.c.source.not_in(listed("sources")),
            )
        ),
    )
)
_OTHERS_AMONG = _OTHERS_IN.where(repository_group.c.name.in_(listed("names")))


class Withheld(NamedTuple):
    """Units that a publication withholds, with the reasons.

    `before`: those of the last complete publication; None where that is not known.
    """

    units: Mapping[Digest, str]
    before: Mapping[Digest, str] | None = None


class WithheldReads(Reading):
    """Withheld units, and units with their sources."""

    def withheld(
        self, publication_id: int, number: int, *, limit: int = ALL
    ) -> dict[Digest, WithheldUnit]:
        """Return the units that a publication withholds, the first ones by (group, type, key)."""
        values = {"of_publication": publication_id, "of_number": number, "limit": limit}
        with self._reading.connect() as connection:
            rows = connection.execute(_WITHHELD, values)
            return {
                Digest(row[3]): WithheldUnit(row[0], row[1], row[2], Digest(row[3]), row[4])
                for row in rows
            }

    def quarantined_groups(self, publication_id: int, number: int) -> set[str]:
        """Return groups with units that a publication withholds because of a quarantine."""
        values = {"of_publication": publication_id, "of_number": number}
        with self._reading.connect() as connection:
            return set(connection.execute(_QUARANTINED, values).scalars())

    def groups_of_others(
        self,
        repository_id: int,
        number: int,
        sources: Collection[str],
        *,
        names: Iterable[str] | None = None,
    ) -> list[str]:
        """Return groups of a version with a unit of a source other than `sources`.

        In name order. With `names`, of these groups only.
        """
        values = {"repository_id": repository_id, "number": number, "sources": sorted(sources)}
        groups: list[str] = []
        with self._reading.connect() as connection:
            if names is None:
                groups.extend(connection.execute(_OTHERS_IN, values).scalars())
            else:
                for batch in batches(names):
                    groups.extend(
                        connection.execute(_OTHERS_AMONG, {**values, "names": batch}).scalars()
                    )
        return sorted(groups)

    def unit_sources(self, repository_id: int, digests: Iterable[Digest]) -> dict[str, set[Digest]]:
        """Return the sources that ever brought some units to a repository, with these units."""
        sources: dict[str, set[Digest]] = {}
        with self._reading.connect() as connection:
            for batch in batches(digest.raw for digest in digests):
                rows = connection.execute(
                    _SOURCES_OF, {"repository_id": repository_id, "digests": batch}
                )
                for digest, source in rows:
                    sources.setdefault(source, set()).add(Digest(digest))
        return sources

    def sourced_units(
        self, repository_id: int, number: int, names: Iterable[str]
    ) -> dict[str, list[SourcedUnit]]:
        """Return units with their sources, by group and (type, key); empty groups are left out.

        A unit that several sources brought is returned once for each.
        """
        groups: dict[str, list[SourcedUnit]] = {}
        with self._reading.connect() as connection:
            for batch in batches(names):
                rows = connection.execute(
                    _BROUGHT, {"repository_id": repository_id, "number": number, "names": batch}
                ).all()
                units = with_sizes(connection, [stored_unit(row[2]) for row in rows])
                for (name, digest, _, source), held in zip(rows, units, strict=True):
                    groups.setdefault(name, []).append(SourcedUnit(Digest(digest), held, source))
        return groups


class WithheldWrites(Writing):
    """Verdicts of filters on publications that stay as they are."""

    def judge(
        self,
        publication_id: int,
        number: int,
        verdict: FilterVerdict,
        *,
        reasons: Mapping[Digest, str],
    ) -> None:
        """Record a new verdict of the filters that withholds the very same units.

        `reasons`: of those units, where they have changed.
        """
        with self._writing.begin() as connection:
            write_verdict(connection, publication_id, number, verdict=verdict)
            rows = [(publication_id, digest.raw, reason) for digest, reason in reasons.items()]
            _REASON(connection, rows)
        logger.debug(
            "filter verdict of publication %d, withheld: %d, new reasons: %d",
            number,
            verdict.units,
            len(rows),
        )


def write_verdict(
    connection: Connection, publication_id: int, number: int, *, verdict: FilterVerdict
) -> None:
    """Record the verdict of the filters on one publication."""
    values = {
        "of_publication": publication_id,
        "of_number": number,
        "new_rules": to_raw(verdict.rules),
        "new_withheld": to_raw(verdict.withheld),
        "new_withheld_units": verdict.units,
        "new_reconsider_at": verdict.reconsider_at,
    }
    connection.execute(_JUDGE, values)


def write_withheld(
    connection: Connection, publication_id: int, number: int, *, withheld: Withheld
) -> None:
    """Withhold exactly these units from the publication `number` on."""
    units, before = withheld.units, withheld.before
    if before is None:
        values = {"of_publication": publication_id, "of_number": number}
        connection.execute(_END_ALL, values)
        before = {}
    differing = before.items() ^ units.items()
    ended = sorted({digest for digest, _ in differing if digest in before})
    begun = sorted({digest for digest, _ in differing if digest in units})
    _END(connection, [(publication_id, digest.raw, number) for digest in ended])
    _BEGIN(
        connection,
        [(publication_id, digest.raw, units[digest], number) for digest in begun],
    )
