"""Reads of publications: records, entries, pages, and differences between two of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, or_, select, union_all

from reconciler.database.browsing import BrowsingReads
from reconciler.database.bulk import batches, listed, parameter
from reconciler.database.columns import to_digest
from reconciler.database.entry_columns import ENTRY, entry_from
from reconciler.database.lingering import LingeringReads, served_since
from reconciler.database.published_moments import MomentReads
from reconciler.database.records import (
    Derivation,
    Entry,
    EntryChange,
    PublicationRecord,
    ServedContent,
    ServedPublication,
)
from reconciler.database.schema import (
    generation,
    page,
    pointer,
    publication,
    publication_entry,
    resource,
)
from reconciler.database.versions import STREAM, at
from reconciler.model import GRACE, Digest, FilterVerdict

_PUBLICATION = parameter("publication_id", publication.c.publication_id)
_NUMBER = parameter("number", publication_entry.c.added)

VERDICT_COLUMNS = (
    publication.c.rules,
    publication.c.withheld,
    publication.c.withheld_units,
    publication.c.reconsider_at,
)

_RECORD = select(
    publication.c.number,
    publication.c.version,
    publication.c.version_digest,
    publication.c.digest,
    publication.c.published_at,
    publication.c.derived,
    publication.c.derived_seq,
    publication.c.first_seen,
    publication.c.linger,
    *VERDICT_COLUMNS,
)
_POINTED = _RECORD.join(
    pointer,
    and_(
        pointer.c.publication_id == publication.c.publication_id,
        pointer.c.number == publication.c.number,
    ),
).where(publication.c.publication_id == _PUBLICATION)
_NUMBERED = _RECORD.where(
    publication.c.publication_id == _PUBLICATION,
    publication.c.number == bindparam("number"),
    publication.c.complete,
)
_LAST_COMPLETE = (
    _RECORD.where(publication.c.publication_id == _PUBLICATION, publication.c.complete)
    .order_by(publication.c.number.desc())
    .limit(1)
)
_SERVED = (
    select(
        resource.c.id,
        resource.c.name,
        resource.c.path,
        pointer.c.number,
        resource.c.publisher,
        func.coalesce(resource.c.grace, GRACE),
        publication.c.linger,
        resource.c.base_url,
        resource.c.private,
    )
    .join(pointer, pointer.c.publication_id == resource.c.id)
    .join(
        publication,
        and_(
            publication.c.publication_id == pointer.c.publication_id,
            publication.c.number == pointer.c.number,
        ),
    )
    .order_by(resource.c.path)
)
_GENERATION = select(generation.c.value)
_ALL_ENTRIES = (
    select(*ENTRY)
    .where(publication_entry.c.publication_id == _PUBLICATION, at(_NUMBER, publication_entry.c))
    .order_by(publication_entry.c.path, publication_entry.c.position)
)
_ENTRIES = _ALL_ENTRIES.where(publication_entry.c.path == bindparam("path"))


_begun, _begun_on, _begun_at = served_since(publication_entry.c.added)
_CONTENT = (
    select(*ENTRY, _begun_at)
    .join(_begun, _begun_on)
    .where(
        publication_entry.c.publication_id == _PUBLICATION,
        publication_entry.c.path == bindparam("path"),
        at(_NUMBER, publication_entry.c),
    )
    .order_by(publication_entry.c.position)
)
_BELOW = (
    select(publication_entry.c.path)
    .where(
        publication_entry.c.publication_id == _PUBLICATION,
        publication_entry.c.path >= bindparam("low"),
        at(_NUMBER, publication_entry.c),
    )
    .order_by(publication_entry.c.path)
    .limit(bindparam("limit"))
)
_PAGES = select(page.c.digest, page.c.gzip).where(page.c.digest.in_(listed("digests")))


NAMES_AT_ONCE = 200
AFTER_SLASH = chr(ord("/") + 1)
AFTER = "\x01"  # no path holds such a character


def _between() -> Select[Any]:
    """Return the query for entries that are in only one of the publications `a` and `b`.

    Sorted by path, entries of `a` first. The cost follows the change.
    """
    rows = publication_entry.c
    a, b, low, high = (parameter(name, rows.added) for name in ("a", "b", "low", "high"))
    in_a, in_b = at(a, rows), at(b, rows)
    begun, ended = (
        select(*ENTRY, in_b.label("appears")).where(rows.publication_id == _PUBLICATION)
        for _ in range(2)
    )
    begun = begun.where(
        rows.added > low, rows.added <= high, or_(and_(in_a, ~in_b), and_(in_b, ~in_a))
    )
    ended = ended.where(rows.removed > low, rows.removed <= high, rows.added <= low)
    both = union_all(begun, ended).subquery()
    return select(both).order_by(both.c.path, both.c.appears, both.c.position)


_BETWEEN = _between()


def _add_names(
    names: list[str], folder: str, paths: Sequence[str], *, wanted: int
) -> tuple[str, str] | None:
    """Add the names of some paths in order; return where to go on, or None after the last one."""
    for path in paths:
        if not path.startswith(folder):
            return None
        name, slash, _ = path.removeprefix(folder).partition("/")
        if not names or names[-1] != name + slash:
            names.append(name + slash)
        if slash:
            return f"{folder}{name}", AFTER_SLASH
    return (paths[-1], AFTER) if len(paths) == wanted else None


def _content(rows: Sequence[Any]) -> ServedContent:
    return ServedContent([entry_from(row) for row in rows], max(row[len(ENTRY)] for row in rows))


def _record(row: Any) -> PublicationRecord | None:
    if row is None:
        return None
    number, version, version_digest, digest, published_at, derived, seq, *more = row
    seen, linger, *verdict = more
    return PublicationRecord(
        number,
        version,
        Digest(version_digest),
        Digest(digest),
        published_at,
        verdict_from(verdict),
        Derivation(to_digest(derived), seq),
        to_digest(seen),
        linger,
    )


def verdict_from(row: Sequence[Any]) -> FilterVerdict:
    """Return the verdict of a row with the columns of `VERDICT_COLUMNS`."""
    rules, withheld, units, reconsider_at = row
    return FilterVerdict(to_digest(rules), to_digest(withheld), units, reconsider_at)


class PublicationReads(LingeringReads, MomentReads, BrowsingReads):
    """Publications and their rows. Iterators hold a connection and its snapshot."""

    def publication(self, publication_id: int) -> PublicationRecord | None:
        """Return the publication that is served now; None where there is none."""
        with self._reading.connect() as connection:
            return _record(
                connection.execute(_POINTED, {"publication_id": publication_id}).one_or_none()
            )

    def publication_numbered(self, publication_id: int, number: int) -> PublicationRecord | None:
        """Return a completed publication, served now or not; None if unknown."""
        with self._reading.connect() as connection:
            return _record(
                connection.execute(
                    _NUMBERED, {"publication_id": publication_id, "number": number}
                ).one_or_none()
            )

    def last_complete(self, publication_id: int) -> PublicationRecord | None:
        """Return the newest completed publication; None where there is none."""
        with self._reading.connect() as connection:
            return _record(
                connection.execute(_LAST_COMPLETE, {"publication_id": publication_id}).one_or_none()
            )

    def served(self) -> list[ServedPublication]:
        """Return every publication that is served now, by path."""
        with self._reading.connect() as connection:
            return [ServedPublication(*row) for row in connection.execute(_SERVED)]

    def generation(self) -> Hashable:
        """Return a value that changes whenever the result of `served` may change.

        It reads one row, so it may be asked often.
        """
        with self._reading.connect() as connection:
            return connection.execute(_GENERATION).scalar()

    def entries(self, publication_id: int, number: int, path: str) -> list[Entry]:
        """Return the representations of one path, by position; empty for an unknown path."""
        with self._reading.connect() as connection:
            rows = connection.execute(
                _ENTRIES, {"publication_id": publication_id, "number": number, "path": path}
            )
            return [entry_from(row) for row in rows]

    def content(
        self, served: ServedPublication, path: str, *, now: datetime
    ) -> ServedContent | None:
        """Return the representations of a path as they are served at the moment `now`.

        That is what the publication holds, or else the file that it dropped last and still shows.
        """
        values = {
            "publication_id": served.publication_id,
            "number": served.number,
            "path": path,
        }
        with self._reading.connect() as connection:
            if rows := connection.execute(_CONTENT, values).all():
                return _content(rows)
        return self.lingering(served, path, now=now)

    def names_below(self, served: ServedPublication, folder: str, *, limit: int) -> list[str]:
        """Return names of files and folders within a folder, at most `limit`; folders end with `/`.

        `folder` ends with `/`, or is empty for the root. Whatever a folder holds is passed over at
        once: the cost follows the names.
        """
        names: list[str] = []
        values = {"publication_id": served.publication_id, "number": served.number}
        low: tuple[str, str] | None = (folder, AFTER)
        with self._reading.connect() as connection:
            while low is not None and len(names) < limit:
                wanted = min(NAMES_AT_ONCE, limit - len(names))
                rows = connection.execute(_BELOW, values | {"low": low, "limit": wanted})
                low = _add_names(names, folder, list(rows.scalars()), wanted=wanted)
        return sorted(names)

    def all_entries(self, publication_id: int, number: int) -> Iterator[Entry]:
        """Yield every representation of every path, by (path, position), folder by folder."""
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            for row in connection.execute(
                _ALL_ENTRIES, {"publication_id": publication_id, "number": number}
            ):
                yield entry_from(row)

    def entries_between(self, publication_id: int, a: int, b: int) -> Iterator[EntryChange]:
        """Yield the changes that turn publication `a` into `b`, by path.

        Under one path removals come before additions. Either publication may be the newer.
        """
        values = {
            "publication_id": publication_id,
            "a": a,
            "b": b,
            "low": min(a, b),
            "high": max(a, b),
        }
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            for row in connection.execute(_BETWEEN, values):
                yield EntryChange(entry_from(row), bool(row[len(ENTRY)]))

    def pages(self, digests: Iterable[Digest]) -> dict[Digest, bytes]:
        """Return bodies of rendered pages, compressed with gzip; unknown digests are left out."""
        bodies: dict[Digest, bytes] = {}
        with self._reading.connect() as connection:
            for batch in batches(digest.raw for digest in digests):
                bodies.update(
                    (Digest(row[0]), row[1])
                    for row in connection.execute(_PAGES, {"digests": batch})
                )
        return bodies
