"""Statements for many rows: compiled once per dialect, then fed with tuples.

SQLAlchemy's own parameter handling costs more than twice what the database does with a row. Here it
is paid once per statement; only columns whose type converts values (times) are looked at row by
row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import (
    BindParameter,
    Column,
    Connection,
    Dialect,
    Insert,
    Table,
    TypeDecorator,
    bindparam,
)
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler

LOOKUP = 500  # names or digests in one IN list

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Upsert = postgresql.Insert | sqlite.Insert
Row = tuple[Any, ...]
Item = TypeVar("Item")


def parameter(name: str, like: Column[Any]) -> BindParameter[Any]:
    """Return a parameter of the same type as a column."""
    return bindparam(name, type_=like.type)


def listed(name: str, like: Column[Any] | None = None) -> BindParameter[Any]:
    """Return a parameter that takes a list of at most `LOOKUP` values: the right side of IN.

    `like`: a column whose type converts values.
    """
    return bindparam(name, expanding=True, type_=None if like is None else like.type)


def insert_for(dialect: str, table: Table) -> Upsert:
    """Return an INSERT with the dialect's own `on_conflict_do_...`; it returns no rows."""
    module = import_module(
        f"sqlalchemy.dialects.{dialect}"
    )  # only the one in use: PostgreSQL's costs a cold command 60 ms
    made: Upsert = module.insert(table)
    return made.inline()


def batches(items: Iterable[Item], size: int = LOOKUP) -> Iterator[list[Item]]:
    """Yield `items` in lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


class Bulk:
    """A statement over many rows.

    `names`: its parameters, in the order in which rows hold them.
    """

    def __init__(self, build: Callable[[str], Executable], *names: str) -> None:
        self._build = build
        self._names = names
        self._prepared: dict[str, tuple[str, Callable[[Sequence[Row]], Any]]] = {}

    def __call__(self, connection: Connection, rows: Sequence[Row]) -> None:
        if not rows:
            return
        dialect = connection.dialect
        prepared = self._prepared.get(dialect.name)
        if prepared is None:
            prepared = self._prepared[dialect.name] = self.prepare(dialect)
        sql, arrange = prepared
        connection.exec_driver_sql(sql, arrange(rows))

    def prepare(self, dialect: Dialect) -> tuple[str, Callable[[Sequence[Row]], Any]]:
        """Return the statement's text, and the function that turns rows into driver parameters."""
        statement = self._build(dialect.name)
        keys = list(self._names) if isinstance(statement, Insert) else None
        compiled = statement.compile(dialect=dialect, column_keys=keys)  # type: ignore[attr-defined]
        convert = self._converter(compiled, dialect)
        if not compiled.positiontup:
            return str(compiled), lambda rows: [
                dict(zip(self._names, row, strict=True)) for row in convert(rows)
            ]
        order = [self._names.index(name) for name in compiled.positiontup]
        if order == list(range(len(self._names))):
            return str(compiled), convert
        pick = itemgetter(*order)
        return str(compiled), lambda rows: [pick(row) for row in convert(rows)]

    def _converter(
        self, compiled: SQLCompiler, dialect: Dialect
    ) -> Callable[[Sequence[Row]], Sequence[Row]]:
        processors: dict[int, Callable[[Any], Any]] = {}
        for index, name in enumerate(self._names):
            kind = compiled.binds[name].type
            processor = kind.bind_processor(dialect) if isinstance(kind, TypeDecorator) else None
            if processor is not None:
                processors[index] = processor
        if not processors:
            return lambda rows: rows
        return lambda rows: [_converted(row, processors) for row in rows]


def _converted(row: Row, processors: Mapping[int, Callable[[Any], Any]]) -> Row:
    values = list(row)
    for index, processor in processors.items():
        values[index] = processor(values[index])
    return tuple(values)


def ignoring(table: Table, *names: str) -> Bulk:
    """Return an INSERT of many rows that leaves existing rows as they are."""
    return Bulk(lambda dialect: insert_for(dialect, table).on_conflict_do_nothing(), *names)


def plain(table: Table, *names: str) -> Bulk:
    """Return an INSERT of many rows; an existing row raises IntegrityError."""
    return Bulk(lambda dialect: insert_for(dialect, table), *names)


def replacing(table: Table, *names: str, keep: Sequence[str] = ()) -> Bulk:
    """Return an INSERT of many rows that overwrites rows with the same primary key.

    The columns of `keep` keep their values in rows that exist.
    """
    keys = [column.name for column in table.primary_key]
    return Bulk(
        lambda dialect: overwriting(
            insert_for(dialect, table), keys, [n for n in names if n not in keep]
        ),
        *names,
    )


def overwriting(statement: Upsert, keys: Sequence[str], names: Sequence[str]) -> Upsert:
    """Return `statement`, which overwrites the columns `names` of rows with the same `keys`."""
    return statement.on_conflict_do_update(
        index_elements=list(keys), set_={n: statement.excluded[n] for n in names if n not in keys}
    )
