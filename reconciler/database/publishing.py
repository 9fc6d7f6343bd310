"""Writes of publications: entries as intervals, then *complete*, then the pointer.

A publication in preparation writes intervals of a number that is not read yet: replaced entries end
there, new entries begin there, unchanged entries stay as they are. Two statements undo that.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import chain
from types import MappingProxyType, TracebackType
from typing import Any, Self

import msgspec
from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from reconciler.database.bulk import (
    Bulk,
    batches,
    ignoring,
    insert_for,
    listed,
    overwriting,
    parameter,
    plain,
)
from reconciler.database.chunks import Chunks, write_chunked_bodies, write_chunks
from reconciler.database.columns import to_raw
from reconciler.database.entry_columns import ENTRY, entry_from, entry_row
from reconciler.database.immutable_paths import check_mixed, check_promises
from reconciler.database.index_entries import StagedIndexes, undo_indexes
from reconciler.database.lingering import LingeringWrites
from reconciler.database.path_clashes import TWICE, path_clash, repeated_path, written_clash
from reconciler.database.plugins import write_scratchpads
from reconciler.database.records import (
    Derivation,
    Entry,
    GzipPage,
    PublicationRecord,
    Signature,
)
from reconciler.database.schema import (
    page,
    pointer,
    publication,
    publication_emitted,
    publication_entry,
)
from reconciler.database.signatures import WRITE_SIGNATURES
from reconciler.database.withheld import Withheld, write_verdict, write_withheld
from reconciler.errors import Conflict, StateFault
from reconciler.model import ChunkedBody, Digest, FilterVerdict

logger = logging.getLogger(__name__)

NO_DERIVATION = Derivation()

_PENDING_ENTRIES = 1_000  # what waits in memory before it is written,
_PENDING_BYTES = 4 * 1024 * 1024  # whichever comes first

SECOND = timedelta(seconds=1)
_WHOLE = ""  # how rows name what belongs to no group

_rows = publication_entry.c
_PUBLICATION = parameter("of_publication", publication.c.publication_id)
_NUMBER = parameter("of_number", _rows.added)
_OPEN = (_rows.publication_id == _PUBLICATION) & _rows.removed.is_(None)

_BEFORE = select(*ENTRY, _rows.added).where(_OPEN, _rows.group_name.in_(listed("groups")))
_BEFORE_WHOLE = select(*ENTRY, _rows.added).where(_OPEN, _rows.group_name.is_(None))
_KEYS = ("of_publication", "path_", "media_type_", "added_")
_THIS = (
    (_rows.publication_id == _PUBLICATION)
    & (_rows.path == bindparam("path_"))
    & (_rows.media_type == bindparam("media_type_"))
    & (_rows.added == bindparam("added_"))
)
_END = Bulk(
    lambda _: update(publication_entry).where(_THIS).values(removed=_NUMBER), *_KEYS, "of_number"
)
_DROP = Bulk(lambda _: delete(publication_entry).where(_THIS), *_KEYS)
_BEGIN = plain(publication_entry, "publication_id", "added", *(column.name for column in ENTRY))
_PAGES = ignoring(page, "digest", "gzip", "size")
_EMITTED = ignoring(publication_emitted, "publication_id", "group_name")
_END_REST = (
    update(publication_entry)
    .where(_OPEN, _rows.added < _NUMBER)
    .where(
        func.coalesce(_rows.group_name, _WHOLE).not_in(
            select(publication_emitted.c.group_name).where(
                publication_emitted.c.publication_id == _PUBLICATION
            )
        )
    )
    .values(removed=_NUMBER)
)
_FORGET_EMITTED = delete(publication_emitted).where(
    publication_emitted.c.publication_id == _PUBLICATION
)

_INCOMPLETE = select(publication.c.number).where(
    publication.c.publication_id == _PUBLICATION, ~publication.c.complete
)
_LAST = (
    select(publication.c.number, publication.c.linger, publication.c.immutable)
    .where(publication.c.publication_id == _PUBLICATION)
    .order_by(publication.c.number.desc())
    .limit(1)
)
_UNDO = (
    delete(publication_entry).where(_rows.publication_id == _PUBLICATION, _rows.added == _NUMBER),
    update(publication_entry)
    .where(_rows.publication_id == _PUBLICATION, _rows.removed == _NUMBER)
    .values(removed=None),
    _FORGET_EMITTED,
    delete(publication).where(
        publication.c.publication_id == _PUBLICATION,
        publication.c.number == _NUMBER,
        ~publication.c.complete,
    ),
)
_POINTED = (
    select(pointer.c.number, publication.c.pointed_at, publication.c.published_at)
    .join(
        publication,
        (publication.c.publication_id == pointer.c.publication_id)
        & (publication.c.number == pointer.c.number),
    )
    .where(pointer.c.publication_id == _PUBLICATION)
)
_PUBLISHED_AT = select(publication.c.published_at).where(
    publication.c.publication_id == _PUBLICATION, publication.c.number == _NUMBER
)
_SINCE = (
    update(publication)
    .where(
        publication.c.publication_id == _PUBLICATION,
        publication.c.number > parameter("above", publication.c.number),
        publication.c.number <= _NUMBER,
        publication.c.pointed_at.is_(None),
    )
    .values(pointed_at=parameter("since", publication.c.pointed_at))
)
_IS_COMPLETE = select(publication.c.complete).where(
    publication.c.publication_id == _PUBLICATION, publication.c.number == _NUMBER
)
_COMPLETE = (
    update(publication)
    .where(
        publication.c.publication_id == _PUBLICATION,
        publication.c.number == _NUMBER,
        ~publication.c.complete,
    )
    .values(
        complete=True,
        linger=parameter("longest", publication.c.linger),
        immutable=parameter("any_immutable", publication.c.immutable),
    )
)


class PublicationStage:
    """A publication in preparation. One thread at a time.

    As a context manager it discards, on exit, what was not completed.
    """

    def __init__(
        self,
        reading: Engine,
        writing: Engine,
        publication_id: int,
        *,
        record: PublicationRecord,
        full: bool,
        promises: bool = False,
    ) -> None:
        """`promises`: some path of the publications before is, or was, immutable."""
        self._reading = reading
        self._writing = writing
        self._publication_id = publication_id
        self._record = record
        self._full = full
        self._any_immutable = promises
        self._done = False
        self._groups: dict[str, Sequence[Entry]] = {}
        self._pages: dict[Digest, GzipPage] = {}
        self._signatures: list[Signature] = []
        self._chunked: dict[Digest, ChunkedBody] = {}
        self._entries = 0
        self._bytes = 0
        self._withheld = Withheld({})
        self.indexes = StagedIndexes(reading, self._transaction, publication_id, full=full)

    def withhold(
        self,
        verdict: FilterVerdict,
        units: Mapping[Digest, str],
        *,
        before: Mapping[Digest, str] | None = None,
    ) -> None:
        """Set the verdict of the filters, which is recorded on completion.

        Without this call no unit is withheld.

        Args:
            verdict: The verdict.
            units: All withheld units with the reasons.
            before: Those of the last complete publication, so that only the difference is written.
        """
        self._record = msgspec.structs.replace(self._record, verdict=verdict)
        self._withheld = Withheld(units, before)

    def write_chunks(self, chunks: Chunks) -> None:
        """Write chunks of bodies that are still to come; those that are there stay."""
        with self._transaction() as connection:
            write_chunks(connection, chunks)

    def replace_group(
        self,
        group: str | None,
        entries: Sequence[Entry],
        pages: Mapping[Digest, GzipPage],
        *,
        signatures: Sequence[Signature] = (),
        chunked: Iterable[ChunkedBody] = (),
    ) -> None:
        """Replace all entries of `group`; None stands for entries that belong to no group.

        `pages`, `chunked`: bodies of rendered entries, whole or in chunks that are written.
        `signatures`: new ones that these pages hold. Raises
        PluginFault when two groups emit one path; this may happen in a later call, or on
        completion.
        """
        self._groups[_WHOLE if group is None else group] = [
            entry if entry.group == group else msgspec.structs.replace(entry, group=group)
            for entry in entries
        ]
        self._pages.update(pages)
        self._note_caching(entries)
        self._signatures += signatures
        self._chunked.update((body.digest, body) for body in chunked)
        self._entries += len(entries) + 1
        self._bytes += sum(len(body.body) for body in pages.values())
        if self._entries >= _PENDING_ENTRIES or self._bytes >= _PENDING_BYTES:
            with self._naming_clashes(), self._transaction() as connection:
                self._write(connection)

    def complete(
        self,
        scratchpads: Mapping[int, Mapping[str, Any]] = MappingProxyType({}),
        seen: Mapping[int, Mapping[str, Digest | None]] = MappingProxyType({}),
    ) -> PublicationRecord:
        """Complete the publication, so that the pointer may be set to it.

        Args:
            scratchpads: Scratchpads to record, by repository ID and owner.
            seen: Digests that the replaced scratchpads must still have, by the same keys.

        Raises:
            Conflict: Another run has swept it away or has changed a scratchpad.
            PluginFault: Two groups emit one path.
        """
        values = {"of_publication": self._publication_id, "of_number": self._record.number}
        with self._naming_clashes(), self._transaction() as connection:
            self._write(connection)
            if self._full:
                connection.execute(_END_REST, values)
                connection.execute(_FORGET_EMITTED, values)
            if twice := connection.execute(TWICE, values).all():
                raise path_clash(*min(twice))
            for repository_id, pads in scratchpads.items():
                replaced = seen.get(repository_id, {})
                write_scratchpads(connection, repository_id, pads, seen=replaced)
            id_, number = self._publication_id, self._record.number
            write_withheld(connection, id_, number, withheld=self._withheld)
            write_verdict(connection, id_, number, verdict=self._record.verdict)
            caching = {"longest": self._record.linger, "any_immutable": self._any_immutable}
            self.indexes.settle(connection)
            connection.execute(_COMPLETE, values | caching)
        self._done = True
        logger.debug(
            "completed publication %d of version %d, %s",
            self._record.number,
            self._record.version,
            self._record.digest.short,
        )
        return self._record

    def discard(self) -> None:
        """Undo everything, unless it is complete. May be called any number of times."""
        if not self._done:
            with self._writing.begin() as connection:
                if self._mine(connection):
                    _undo(connection, self._publication_id, self._record.number)
            self._done = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def _note_caching(self, entries: Sequence[Entry]) -> None:
        """Note what tells later publications that there is something to look after."""
        longest = max((entry.linger for entry in entries), default=0)
        if longest > self._record.linger:
            self._record = msgspec.structs.replace(self._record, linger=longest)
        self._any_immutable = self._any_immutable or any(entry.immutable for entry in entries)

    def _mine(self, connection: Connection) -> bool:
        """Return True if it is still in preparation."""
        values = {"of_publication": self._publication_id, "of_number": self._record.number}
        return connection.execute(_IS_COMPLETE, values).scalar() is False

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._writing.begin() as connection:
            if not self._mine(connection):
                raise Conflict("another run swept the publication away", hint="publish again")
            yield connection

    def _write(self, connection: Connection) -> None:
        """Write pending pages, then the entries that refer to them."""
        id_, number = self._publication_id, self._record.number
        write_chunked_bodies(connection, self._chunked.values())
        _PAGES(
            connection, [(digest.raw, body.body, body.size) for digest, body in self._pages.items()]
        )
        WRITE_SIGNATURES(
            connection, [(each.text.raw, each.signer, each.page.raw) for each in self._signatures]
        )
        added = {(entry.path, entry.media_type): entry for entry in _flat(self._groups)}
        if len(added) < sum(map(len, self._groups.values())):
            raise repeated_path(_flat(self._groups))
        ended, dropped = [], []
        for old, since in _open_entries(connection, id_, list(self._groups)):
            if added.get((old.path, old.media_type)) == old:
                del added[old.path, old.media_type]
            elif since == number:
                dropped.append((id_, old.path, old.media_type, since))
            else:
                ended.append((id_, old.path, old.media_type, since, number))
        _DROP(connection, dropped)
        _END(connection, ended)
        if self._any_immutable:
            check_mixed(_flat(self._groups))
            check_promises(connection, id_, list(added.values()))
        _BEGIN(connection, [(id_, number, *entry_row(entry)) for entry in added.values()])
        if self._full:
            _EMITTED(connection, [(id_, group) for group in self._groups])
        self._groups, self._pages, self._chunked, self._signatures = {}, {}, {}, []
        self._entries = self._bytes = 0

    @contextmanager
    def _naming_clashes(self) -> Iterator[None]:
        """Turn an IntegrityError into a PluginFault that names the path.

        The primary key finds entries that an earlier call has written and this one writes again;
        which entry it is, is looked up after the failure.
        """
        try:
            yield
        except IntegrityError as error:
            id_, number = self._publication_id, self._record.number
            with self._reading.connect() as connection:
                clash = written_clash(connection, id_, number, pending=self._groups)
            raise (clash or error) from None


class PublicationWrites(LingeringWrites):
    """Create publications and set the pointer."""

    def publish(
        self,
        publication_id: int,
        *,
        version: int,
        version_digest: Digest,
        digest: Digest,
        now: datetime,
        full: bool,
        derivation: Derivation = NO_DERIVATION,
        first_seen: Digest | None = None,
    ) -> PublicationStage:
        """Begin the next publication. Incomplete ones of ended runs are swept away.

        It carries over the entries of the last one; with `full`, only entries of groups that are
        emitted again.
        """
        with self._writing.begin() as connection:
            for number in list(
                connection.execute(_INCOMPLETE, {"of_publication": publication_id}).scalars()
            ):
                _undo(connection, publication_id, number)
            last = connection.execute(_LAST, {"of_publication": publication_id}).one_or_none()
            before, linger, promises = last or (0, 0, False)
            number = before + 1
            row = {
                "publication_id": publication_id,
                "number": number,
                "version": version,
                "version_digest": version_digest.raw,
            }
            connection.execute(
                insert(publication).values(
                    row
                    | {"digest": digest.raw, "complete": False, "published_at": now}
                    | {"derived": to_raw(derivation.digest), "derived_seq": derivation.seq}
                    | {"first_seen": to_raw(first_seen), "linger": linger, "immutable": promises}
                )
            )
        record = PublicationRecord(
            number,
            version,
            version_digest,
            digest,
            now,
            derivation=derivation,
            first_seen=first_seen,
            linger=linger,
        )
        return PublicationStage(
            self._reading,
            self._writing,
            publication_id,
            record=record,
            full=full,
            promises=bool(promises),
        )

    def point(self, publication_id: int, number: int, now: datetime | None = None) -> None:
        """Serve this publication from the moment `now` on, or from when it was made.

        Raises StateFault when the number is unknown or its publication incomplete.
        """
        values = {"of_publication": publication_id, "of_number": number}
        with self._new_generation() as connection:
            complete = connection.execute(_IS_COMPLETE, values).scalar()
            if not complete:
                raise StateFault(
                    f"publication {number}"
                    f" {'is not complete' if complete is False else 'does not exist'}: it cannot be"
                    " served"
                )
            now = now or connection.execute(_PUBLISHED_AT, values).scalar_one()
            connection.execute(_SINCE, values | _since(connection, publication_id, now))
            statement = insert_for(connection.dialect.name, pointer).values(
                publication_id=publication_id, number=number
            )
            connection.execute(overwriting(statement, ["publication_id"], ["number"]))
        logger.debug("pointed to publication %d", number)


def _since(connection: Connection, publication_id: int, now: datetime) -> dict[str, Any]:
    """Return the number that is served now, and since when the next one will be.

    That is in whole seconds, as HTTP dates are, and later than that of the one before: two bodies
    of a path never have the same date.
    """
    since = now if not now.microsecond else now.replace(microsecond=0) + SECOND
    row = connection.execute(_POINTED, {"of_publication": publication_id}).one_or_none()
    if row is None:
        return {"above": 0, "since": since}
    number, pointed_at, published_at = row
    return {"above": number, "since": max(since, (pointed_at or published_at) + SECOND)}


def _flat(groups: Mapping[str, Sequence[Entry]]) -> Iterator[Entry]:
    return chain.from_iterable(groups.values())


def _open_entries(
    connection: Connection, publication_id: int, groups: Sequence[str]
) -> list[tuple[Entry, int]]:
    """Return the current entries of groups, each with the number in which it began."""
    entries: list[Any] = []
    if _WHOLE in groups:
        entries += connection.execute(_BEFORE_WHOLE, {"of_publication": publication_id}).all()
    for batch in batches(groups):
        entries += connection.execute(
            _BEFORE, {"of_publication": publication_id, "groups": batch}
        ).all()
    return [(entry_from(row), row[len(ENTRY)]) for row in entries]


def _undo(connection: Connection, publication_id: int, number: int) -> None:
    undo_indexes(connection, publication_id)
    for statement in _UNDO:
        connection.execute(statement, {"of_publication": publication_id, "of_number": number})
