"""The file of a SQLite database: it appears whole, so an empty one has lost what it held."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from reconciler.database import connection, migration
from reconciler.errors import StateFault


def exists(file: Path, where: str) -> bool:
    """Return True if there is a database file.

    Raises StateFault for a file of 0 bytes: SQLite would take it for a new database, and an apply
    would begin afresh beside a full store.
    """
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return False
    if size == 0:
        raise StateFault(
            f"the database `{where}` is a file of 0 bytes: what it held is lost, or it never was"
            " a database",
            hint="restore it from a backup; to begin afresh, remove the file and run `apply`",
        )
    return True


def create(file: Path, where: str) -> None:
    """Create a database with the tables of this release, under its name once it is complete.

    Of two processes that do so at the same time, the first one wins. Raises StateFault where it
    cannot be written.
    """
    beside = file.with_name(f".{file.name}.new-{secrets.token_hex(4)}")
    try:
        beside.write_bytes(_new_database())
        _flush(beside)
        _name(beside, file)
        _flush(file.parent)
    except OSError as error:
        raise StateFault(
            f"the database `{where}` cannot be made: {error.strerror}", hint=connection.USABLE
        ) from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


@cache
def _new_database() -> bytes:
    """Return a database file with the tables of this release and no content."""
    engine = connection.in_memory()
    try:
        with engine.begin() as session:
            migration.migrate(session, "in memory")
        with closing(engine.raw_connection()) as pooled:
            driver = pooled.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            return driver.serialize()
    finally:
        engine.dispose()


def _name(beside: Path, file: Path) -> None:
    try:
        os.link(beside, file)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        with suppress(FileNotFoundError):
            if not file.exists():
                beside.replace(file)


def _flush(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
