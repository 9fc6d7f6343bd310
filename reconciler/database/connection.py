"""Engines: connections to SQLite and PostgreSQL for writing, for reading, and to nothing."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing, suppress
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import LRUCache

from reconciler.database import write_ahead_log
from reconciler.database.migration import sqlite_definitions
from reconciler.errors import StateFault, UsageFault

BUSY_SECONDS = 30

_DAMAGE = re.compile("not a database|malformed")
_MENDED = "restore it from a backup; to begin afresh, move the file away and run `apply`"
USABLE = "is its folder writable, the disk not full, and no other program at it?"
_POOL = {
    "pool_size": 8,
    "max_overflow": -1,
}  # a reader that streams keeps its connection: waiting for one would be a deadlock
# 64 MiB of changed pages before they go into the file: in a long import by digest the same pages
# change again and again.
_CHECKPOINT = "PRAGMA wal_autocheckpoint=16000"
_SQLITE = {"timeout": BUSY_SECONDS, "check_same_thread": False}


class _Statements(LRUCache[Any, Any]):
    """Compiled statements, shared by the engines of this process on SQLite.

    SQLAlchemy's keys begin with the dialect, of which each engine has one of its own; it keeps
    nothing about a database that its compiled statements depend on. To compile what is executed a
    few times takes longer than to execute it: a command has an engine for reading and one for
    writing.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, statement: Any) -> None:
        super().__setitem__(key[1:], statement)


_STATEMENTS = _Statements(1000)


def writing(url: URL) -> Engine:
    """Return an engine for short writes.

    On SQLite each transaction takes the write lock when it begins, so that it cannot fail half-way
    for lack of it.
    """
    if url.get_backend_name() != "sqlite":
        return _translated(_made(url), url.render_as_string(hide_password=True))
    engine = _translated(_made(url, poolclass=QueuePool, connect_args=_SQLITE), url.database or "")
    _on_connect(
        engine,
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=NORMAL",
        "PRAGMA foreign_keys=ON",
        "PRAGMA cache_size=-16384",
        _CHECKPOINT,
    )
    _begin_with(engine, "BEGIN IMMEDIATE")
    write_ahead_log.limit_log(engine, url.database or "", BUSY_SECONDS)
    return engine


def shorten_log(engine: Engine, url: URL) -> None:
    """Leave no long log behind, although readers keep the database open."""
    file = url.database or ""
    if url.get_backend_name() != "sqlite" or write_ahead_log.log_size(file) <= write_ahead_log.LEFT:
        return
    with suppress(SQLAlchemyError, StateFault), closing(engine.raw_connection()) as connection:
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        write_ahead_log.truncate_log(driver, BUSY_SECONDS)


def in_memory() -> Engine:
    """Return an engine for a SQLite database of its own, for one connection at a time."""
    engine = _translated(
        _made(make_url("sqlite://"), poolclass=QueuePool, connect_args=_SQLITE), "in memory"
    )
    _begin_with(engine, "BEGIN")
    return engine


def reading(url: URL) -> Engine:
    """Return an engine on which the database itself refuses to write.

    Each connection sees one state from its first statement on.
    """
    if url.get_backend_name() != "sqlite":
        engine = _translated(
            _made(url, isolation_level="REPEATABLE READ"), url.render_as_string(hide_password=True)
        )
        return engine.execution_options(postgresql_readonly=True)
    only_existing = url.set(database=f"file:{_quoted(url.database or '')}").update_query_dict(
        {**_mode(url.database or ""), "uri": "true"}
    )
    engine = _translated(
        _made(only_existing, poolclass=QueuePool, connect_args=_SQLITE), url.database or ""
    )
    _on_connect(engine, "PRAGMA query_only=ON", "PRAGMA cache_size=-16384")
    _begin_with(engine, "BEGIN")
    return engine


def _mode(path: str) -> dict[str, str]:
    """Return how SQLite opens a file for reading.

    In a folder that this user may not write to, SQLite cannot make the files that go with the
    write-ahead log. Without such a log there is no writer at present: the file is read as it is.
    """
    if os.access(os.path.dirname(path) or ".", os.W_OK) and os.access(path, os.W_OK):
        return {"mode": "rw"}
    if os.path.exists(f"{path}-wal"):
        return {"mode": "ro"}
    return {"mode": "ro", "immutable": "1"}


def empty() -> Engine:
    """Return an engine for reading where no database exists: in memory, tables without rows."""
    engine = _translated(
        _made(make_url("sqlite://"), poolclass=QueuePool, connect_args=_SQLITE), "in memory"
    )
    _on_connect(engine, *sqlite_definitions(), "PRAGMA query_only=ON")
    _begin_with(engine, "BEGIN")
    return engine


def _made(url: URL, **more: Any) -> Engine:
    if url.get_backend_name() == "sqlite":
        more["execution_options"] = {"compiled_cache": _STATEMENTS}
    try:
        return create_engine(url, **_POOL, **more)
    except ModuleNotFoundError as error:
        message = (
            f"the database URL asks for the Python package `{error.name}`, which is not installed"
        )
        raise UsageFault(message, hint=f"`pip install {error.name}`") from None


def _translated(engine: Engine, where: str) -> Engine:
    """Have errors of the database itself raised as StateFault: full disk, lock, broken file.

    `where`: the database's name in messages.
    """

    @event.listens_for(engine, "handle_error")
    def translate(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if (
            isinstance(error, OperationalError) or type(error) is DatabaseError
        ):  # the latter bare: SQLite's word for a file that is none
            message = f"the database `{where}` cannot be used: {context.original_exception}"
            hint = _MENDED if _DAMAGE.search(message) else USABLE
            raise StateFault(message, hint=hint) from context.original_exception

    return engine


def _quoted(path: str) -> str:
    """Return a path quoted for SQLite's URIs."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _on_connect(engine: Engine, *statements: str) -> None:
    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = (
            None  # transactions begin where we say so, not before the first INSERT
        )
        for statement in statements:
            connection.execute(statement)


def _begin_with(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)
