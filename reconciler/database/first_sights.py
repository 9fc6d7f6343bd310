"""First sights: when an apply first read of artifacts that have no date of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import select

from reconciler.database.bulk import batches, insert_for, listed
from reconciler.database.schema import first_seen
from reconciler.database.session import Reading, Writing
from reconciler.model import Digest

_SEEN = select(first_seen.c.sha256, first_seen.c.seen_at).where(
    first_seen.c.sha256.in_(listed("digests"))
)


class FirstSightReads(Reading):
    """Reads of recorded first sights."""

    def first_sights(self, digests: Iterable[Digest]) -> dict[Digest, datetime]:
        """Return when those of the artifacts that are recorded were first seen."""
        with self._reading.connect() as connection:
            return {
                Digest(raw): seen_at
                for batch in batches(digest.raw for digest in digests)
                for raw, seen_at in connection.execute(_SEEN, {"digests": batch})
            }


class FirstSightWrites(Writing):
    """Record first sights."""

    def record_first_sights(self, moments: Mapping[Digest, datetime]) -> None:
        """Record when artifacts were first seen; what is recorded already stays."""
        rows = [{"sha256": digest.raw, "seen_at": seen} for digest, seen in sorted(moments.items())]
        with self._writing.begin() as connection:
            insert = insert_for(connection.dialect.name, first_seen).on_conflict_do_nothing()
            for batch in batches(rows):
                connection.execute(insert, batch)
