"""The write-ahead log of SQLite, kept short beside readers.

SQLite copies the log into the database whenever it has grown by `wal_autocheckpoint`, and begins it
anew once no reader looks at it. Beside a server some reader nearly always does: the log would grow
on, and its file never gets shorter by itself. So it is asked for explicitly: readers are waited for
a moment, and the file is truncated.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from time import monotonic
from typing import Any

from sqlalchemy import Engine, event

LONGEST = 96 * 1024 * 1024  # bytes of the log, half as much again as a checkpoint
LEFT = 4 * 1024 * 1024  # bytes of the log that a writer leaves behind when it closes
PATIENCE = 250  # milliseconds for which readers are waited for
AGAIN = 10.0  # seconds until the next try


def limit_log(engine: Engine, file: str, busy_seconds: float) -> None:
    """Truncate the log of a database after transactions that left it longer than `LONGEST`."""
    due = 0.0

    @event.listens_for(engine, "checkin")
    def shrink(connection: sqlite3.Connection | None, record: Any) -> None:
        nonlocal due
        if connection is None or log_size(file) <= LONGEST or monotonic() < due:
            return
        due = monotonic() + AGAIN
        truncate_log(connection, busy_seconds)


def truncate_log(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Copy the log into the database and truncate it, unless readers go on to look at it."""
    with suppress(sqlite3.Error):
        connection.execute(f"PRAGMA busy_timeout={PATIENCE}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with suppress(sqlite3.Error):
        connection.execute(f"PRAGMA busy_timeout={int(busy_seconds * 1000)}")


def log_size(file: str) -> int:
    """Return the bytes of the log of a database file, 0 where there is none."""
    try:
        return os.stat(f"{file}-wal").st_size
    except OSError:
        return 0
