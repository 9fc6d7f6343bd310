"""The recorded state as read commands use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.cli import settings
from reconciler.engine import Inspector


@contextmanager
def inspector(home: Path | None) -> Iterator[Inspector]:
    """Questions about the state in `home`, for the length of a block."""
    registry = settings.registry()
    database = settings.home(home).database()
    try:
        yield Inspector(database.reader(), registry)
    finally:
        database.close()
