"""Paths that publications dropped and still show, for their grace or as long as publishers ask.

An entry that ended is a row as before; `lingers` says that no rule took away what it shows. How
long it stays is the greater of the publication's grace, which pages do not have, and of its own
`linger`. A publication of which nothing lingers by itself is asked about its grace alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update

from reconciler.database.bulk import Bulk, parameter
from reconciler.database.columns import Moment
from reconciler.database.entry_columns import ENTRY, entry_from
from reconciler.database.records import (
    DroppedFile,
    Entry,
    LingeringEntry,
    ServedContent,
    ServedPublication,
)
from reconciler.database.schema import pointer, publication, publication_entry
from reconciler.database.session import Reading, Writing

logger = logging.getLogger(__name__)

_AFTER = len(ENTRY)
_rows = publication_entry.c
_PUBLICATION = parameter("publication_id", publication.c.publication_id)
_NUMBER = parameter("number", _rows.added)
_FROM = parameter("before", _rows.added)
_OF = _rows.publication_id == _PUBLICATION


def served_since(number: ColumnElement[int]) -> tuple[Any, Any, ColumnElement[datetime]]:
    """Return `publication` at a number of an entry, its join, and since when it is served."""
    of = publication.alias()
    same = and_(of.c.publication_id == _rows.publication_id, of.c.number == number)
    return of, same, func.coalesce(of.c.pointed_at, of.c.published_at, type_=Moment)


def _recent_numbers(since: str) -> Any:
    """Return the query for numbers that are served since a moment, or not yet."""
    served = select(pointer.c.number).where(pointer.c.publication_id == _PUBLICATION)
    at = func.coalesce(publication.c.pointed_at, publication.c.published_at, type_=Moment)
    return select(publication.c.number).where(
        publication.c.publication_id == _PUBLICATION,
        or_(
            publication.c.number > func.coalesce(served.scalar_subquery(), 0),
            at > parameter(since, publication.c.published_at),
        ),
    )


_begun, _begun_on, _begun_at = served_since(_rows.added)
_ended, _ended_on, _ended_at = served_since(_rows.removed)
_LINGERING = (
    select(*ENTRY, _begun_at, _rows.removed, _ended_at)
    .join(_begun, _begun_on)
    .join(_ended, _ended_on)
    .where(
        _OF,
        _rows.path == bindparam("path"),
        _rows.removed <= _NUMBER,
        _rows.lingers,
        _ended_at > parameter("since", publication.c.published_at),
    )
    .order_by(_rows.removed.desc(), _rows.position)
)
_LINGERING_BETWEEN = (
    select(*ENTRY)
    .where(_OF, _rows.removed > _FROM, _rows.removed <= _NUMBER, _rows.added <= _FROM)
    .where(_rows.lingers, ~_rows.page)
    .order_by(_rows.path)
)
_LINGERING_BY_THEMSELVES = (
    select(*ENTRY, _ended_at)
    .join(_ended, _ended_on)
    .where(_OF, _rows.removed.in_(_recent_numbers("since")), _rows.removed <= _NUMBER)
    .where(_rows.lingers, _rows.linger.is_not(None))
    .order_by(_rows.removed.desc(), _rows.path, _rows.position)
)
_DROPPED = (
    select(*ENTRY, _rows.added, _rows.removed, _rows.lingers)
    .where(
        _OF,
        _rows.removed.in_(_recent_numbers("longest")),
        or_(
            _rows.linger.is_not(None),
            and_(~_rows.page, _rows.removed.in_(_recent_numbers("since"))),
        ),
    )
    .order_by(_rows.removed, _rows.path)
)
_THIS = (
    (_rows.publication_id == parameter("of_publication", publication.c.publication_id))
    & (_rows.path == bindparam("path_"))
    & (_rows.media_type == bindparam("media_type_"))
    & (_rows.added == bindparam("added_"))
)
_LINGER = Bulk(
    lambda _: (
        update(publication_entry).where(_THIS).values(lingers=parameter("lingers_", _rows.lingers))
    ),
    *("of_publication", "path_", "media_type_", "added_", "lingers_"),
)


class LingeringReads(Reading):
    """Reads of what publications dropped."""

    def lingering(
        self, served: ServedPublication, path: str, *, now: datetime
    ) -> ServedContent | None:
        """Return what a path showed last and still shows at the moment `now`."""
        longest = max(served.grace, served.linger)
        if not longest:
            return None
        values = {
            "publication_id": served.publication_id,
            "number": served.number,
            "path": path,
            "since": now - timedelta(seconds=longest),
        }
        with self._reading.connect() as connection:
            rows = connection.execute(_LINGERING, values).all()
        shown = [
            (entry, *row[_AFTER:])
            for row in rows
            if row[_AFTER + 2] + (entry := entry_from(row)).stays_for(served.grace) > now
        ]
        latest = [each for each in shown if each[2] == shown[0][2]]
        if not latest:
            return None
        entries, begun = [each[0] for each in latest], max(each[1] for each in latest)
        return ServedContent(entries, begun, lingers=True)

    def dropped_files(
        self, publication_id: int, since: datetime, *, longest: datetime | None = None
    ) -> list[DroppedFile]:
        """Return what the last complete publication lacks and may linger.

        That is files that ended after `since`, and of what lingers by itself, pages too, what ended
        after `longest`. What ends with a publication which is complete and not served yet is among
        them.
        """
        values = {
            "publication_id": publication_id,
            "since": since,
            "longest": since if longest is None else min(since, longest),
        }
        with self._reading.connect() as connection:
            return [
                DroppedFile(entry_from(row), row[_AFTER], row[_AFTER + 1], bool(row[_AFTER + 2]))
                for row in connection.execute(_DROPPED, values)
            ]

    def lingering_files(self, publication_id: int, before: int, number: int) -> list[Entry]:
        """Return files of the publication `before` that were dropped up to `number` and linger."""
        values = {"publication_id": publication_id, "before": before, "number": number}
        with self._reading.connect() as connection:
            return [entry_from(row) for row in connection.execute(_LINGERING_BETWEEN, values)]

    def lingering_by_themselves(
        self, publication_id: int, number: int, *, now: datetime, longest: int
    ) -> list[LingeringEntry]:
        """Return what a publication dropped and its publisher asked to keep, the latest first.

        `longest`: seconds that anything of it lingers; 0 asks nothing.
        """
        if not longest:
            return []
        since = now - timedelta(seconds=longest)
        values = {"publication_id": publication_id, "number": number, "since": since}
        with self._reading.connect() as connection:
            rows = connection.execute(_LINGERING_BY_THEMSELVES, values).all()
        entries = [
            LingeringEntry(entry, row[_AFTER] + entry.stays_for(0))
            for row in rows
            for entry in (entry_from(row),)
        ]
        return [each for each in entries if each.until > now]


class LingeringWrites(Writing):
    """Decisions about what publications dropped."""

    def set_lingering(
        self, publication_id: int, *, lingering: Sequence[DroppedFile], gone: Sequence[DroppedFile]
    ) -> None:
        """Say what of the dropped stays reachable for a while, and what does not.

        Servers obey from the next request on.
        """
        rows = [
            (publication_id, file.entry.path, file.entry.media_type, file.added, lingers)
            for files, lingers in ((lingering, True), (gone, False))
            for file in files
            if file.lingers != lingers
        ]
        if rows:
            with self._new_generation() as connection:
                _LINGER(connection, rows)
            logger.debug("dropped files that linger or no longer do: %d", len(rows))
