"""Entries of whole-repository indexes, as a publication in preparation changes them.

The entries of the last complete publication stay what they are until the next one is complete:
those that join or leave are marked, and undone with it. A full publication makes its indexes anew
beside the old ones, and takes their place on completion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Delete,
    Engine,
    bindparam,
    delete,
    insert,
    literal_column,
    select,
    text,
    tuple_,
    update,
)

from reconciler.database.bulk import Bulk, batches, listed, parameter, plain
from reconciler.database.index_tables import HELD, JOINS, LEAVES
from reconciler.database.schema import index_entry, publication_index

ENTRIES_AT_ONCE = 2_000
FIRST_ENTRIES = 200  # by which the size of further ones is estimated
BYTES_AT_ONCE = 8 * 1024 * 1024

_rows, _indexes = index_entry.c, publication_index.c
_PUBLICATION = parameter("of_publication", _rows.publication_id)
_CHANGING = text("state <> 0")  # as the partial index has it, word for word

_INDEXES = (
    select(_indexes.id, _indexes.name, _indexes.pending, _indexes.files)
    .where(_indexes.publication_id == _PUBLICATION)
    .order_by(_indexes.name)
)
_CREATE = insert(publication_index)
_OF_GROUPS = select(_rows.index_id, _rows.group_name, _rows.sort_key, _rows.unit).where(
    _rows.publication_id == _PUBLICATION,
    _rows.group_name.in_(listed("groups")),
    _rows.state != LEAVES,
)
_JOIN = plain(
    index_entry,
    "index_id",
    "sort_key",
    "unit",
    "publication_id",
    "group_name",
    "state",
    "body",
)
_LEAVE = Bulk(
    lambda _: (
        update(index_entry)
        .where(
            _rows.index_id == bindparam("index_id_"),
            _rows.sort_key == bindparam("sort_key_"),
            _rows.unit == bindparam("unit_"),
        )
        .values(state=literal_column(str(LEAVES)))
    ),
    "index_id_",
    "sort_key_",
    "unit_",
)
_ENTRIES = (
    select(_rows.sort_key, _rows.unit, _rows.body)
    .where(
        _rows.index_id == bindparam("index_id"),
        tuple_(_rows.sort_key, _rows.unit)
        > tuple_(parameter("after_key", _rows.sort_key), parameter("after_unit", _rows.unit)),
        _rows.state != LEAVES,
    )
    .order_by(_rows.sort_key, _rows.unit)
    .limit(bindparam("limit"))
)
_SET_FILES = Bulk(
    lambda _: (
        update(publication_index)
        .where(_indexes.id == bindparam("index_id_"))
        .values(files=bindparam("files_"))
    ),
    "index_id_",
    "files_",
)
_DELETE_EMPTY = Bulk(
    lambda _: delete(publication_index).where(_indexes.id == bindparam("index_id_")), "index_id_"
)


def _of(*, pending: bool) -> tuple[Delete, Delete]:
    """Return the statements that delete the pending indexes of a publication, or all others."""
    chosen = _indexes.publication_id == _PUBLICATION, _indexes.pending.is_(pending)
    ids = select(_indexes.id).where(*chosen)
    return (
        delete(index_entry).where(_rows.index_id.in_(ids)),
        delete(publication_index).where(*chosen),
    )


_DELETE_OLD_ENTRIES, _DELETE_OLD = _of(pending=False)
_DELETE_PENDING_ENTRIES, _DELETE_PENDING = _of(pending=True)
_SETTLE_INDEXES = (
    update(publication_index)
    .where(_indexes.publication_id == _PUBLICATION, _indexes.pending)
    .values(pending=False)
)
_DELETE_STATE = delete(index_entry).where(
    _rows.publication_id == _PUBLICATION, _CHANGING, _rows.state == bindparam("state_")
)
_SETTLE_STATE = (
    update(index_entry)
    .where(_rows.publication_id == _PUBLICATION, _CHANGING, _rows.state == bindparam("state_"))
    .values(state=HELD)
)


class EntryKey(msgspec.Struct, frozen=True):
    """Place of an entry. `unit`: first bytes of the digest of the unit as it is shown."""

    index: str
    sort_key: bytes
    unit: bytes


class NewEntry(msgspec.Struct, frozen=True):
    """An entry that joins an index, with the group of its unit."""

    key: EntryKey
    group: str
    body: bytes


class StagedIndexes:
    """The indexes of a publication in preparation. One thread at a time.

    `writing` begins a transaction, and raises Conflict where the publication was swept away.
    """

    def __init__(
        self,
        reading: Engine,
        writing: Callable[[], AbstractContextManager[Connection]],
        publication_id: int,
        *,
        full: bool,
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._publication_id = publication_id
        self._full = full
        self._loaded: dict[str, int] | None = None  # IDs by name
        self._files: dict[str, str] = {}

    def entries_of(self, groups: Sequence[str]) -> dict[str, list[EntryKey]]:
        """Return the entries of groups; none where everything is made anew."""
        entries: dict[str, list[EntryKey]] = {}
        if self._full:
            return entries
        names = {id_: name for name, id_ in self._ids().items()}
        with self._reading.connect() as connection:
            for batch in batches(groups):
                values = {"of_publication": self._publication_id, "groups": batch}
                for index, group, sort_key, unit in connection.execute(_OF_GROUPS, values):
                    key = EntryKey(names[index], sort_key, unit)
                    entries.setdefault(group, []).append(key)
        return entries

    def change(self, joining: Sequence[NewEntry], leaving: Sequence[EntryKey]) -> None:
        """Mark entries that leave, and write those that join."""
        with self._writing() as connection:
            ids = self._ids()
            for name in {entry.key.index for entry in joining} - ids.keys():
                self._create(connection, name)
            _LEAVE(connection, [(ids[key.index], key.sort_key, key.unit) for key in leaving])
            _JOIN(connection, sorted(map(self._row, joining)))

    def entries(self, name: str) -> Iterator[list[tuple[bytes, bytes]]]:
        """Yield (sort key, body) of the entries of an index in order, some at a time."""
        index = self._ids().get(name)
        after: tuple[bytes, bytes] | None = (b"", b"")
        limit = FIRST_ENTRIES
        while index is not None and after is not None:
            values = {
                "index_id": index,
                "after_key": after[0],
                "after_unit": after[1],
                "limit": limit,
            }
            with self._reading.connect() as connection:
                # past SQLAlchemy, whose rows cost more than all the rest
                cursor = connection.execute(_ENTRIES, values).cursor
                assert cursor is not None
                rows = cursor.fetchall()
            yield [(sort_key, body) for sort_key, _, body in rows]
            after = (rows[-1][0], rows[-1][1]) if len(rows) == limit else None
            limit = affordable(rows)

    def files(self) -> dict[str, str]:
        """Return what is recorded of the files of each index of the last publication.

        Of a full publication nothing is: its files are all new.
        """
        if self._full:
            return {}
        with self._reading.connect() as connection:
            rows = connection.execute(_INDEXES, {"of_publication": self._publication_id})
            return {row[1]: row[3] for row in rows if row[3] and not row[2]}

    def set_files(self, name: str, files: str) -> None:
        """Record the files of an index once the publication is complete."""
        self._files[name] = files

    def settle(self, connection: Connection) -> None:
        """Make the changes those of the last complete publication: in its own transaction."""
        if self._loaded is None and not (self._files or self._full):
            return
        values = {"of_publication": self._publication_id}
        for name in self._files.keys() - self._ids().keys():
            self._create(connection, name)
        if self._full:
            connection.execute(_DELETE_OLD_ENTRIES, values)
            connection.execute(_DELETE_OLD, values)
        connection.execute(_DELETE_STATE, {**values, "state_": LEAVES})
        connection.execute(_SETTLE_STATE, {**values, "state_": JOINS})
        connection.execute(_SETTLE_INDEXES, values)
        ids = self._ids()
        _SET_FILES(connection, [(ids[name], text) for name, text in self._files.items()])
        _DELETE_EMPTY(connection, [(ids[name],) for name, text in self._files.items() if not text])

    def _ids(self) -> dict[str, int]:
        if self._loaded is None:
            with self._reading.connect() as connection:
                rows = connection.execute(_INDEXES, {"of_publication": self._publication_id})
                self._loaded = {row[1]: row[0] for row in rows if bool(row[2]) or not self._full}
        return self._loaded

    def _create(self, connection: Connection, name: str) -> None:
        row = {"publication_id": self._publication_id, "name": name, "pending": True, "files": ""}
        made = connection.execute(_CREATE, row)
        assert made.inserted_primary_key is not None
        self._ids()[name] = made.inserted_primary_key[0]

    def _row(self, entry: NewEntry) -> tuple[object, ...]:
        key = entry.key
        return (
            self._ids()[key.index],
            key.sort_key,
            key.unit,
            self._publication_id,
            entry.group,
            HELD if self._full else JOINS,
            entry.body,
        )


def affordable(rows: Sequence[Any]) -> int:
    """Return how many entries to read at once, if they are as large as these on average."""
    size = sum(len(row[2]) for row in rows)
    return max(1, min(ENTRIES_AT_ONCE, BYTES_AT_ONCE * len(rows) // max(size, 1)))


def undo_indexes(connection: Connection, publication_id: int) -> None:
    """Undo what a publication in preparation has changed."""
    values: Mapping[str, int] = {"of_publication": publication_id}
    connection.execute(_DELETE_PENDING_ENTRIES, values)
    connection.execute(_DELETE_PENDING, values)
    connection.execute(_DELETE_STATE, {**values, "state_": JOINS})
    connection.execute(_SETTLE_STATE, {**values, "state_": LEAVES})
