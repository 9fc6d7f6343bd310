"""Base classes of readers and writers: one engine for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Connection, Engine, update

from reconciler.database.generation import NO_MARK, Mark
from reconciler.database.schema import generation


class Reading:
    """Connections on which the database itself refuses to write.

    Methods may be called from any thread, several at once.
    """

    def __init__(self, reading: Engine) -> None:
        self._reading = reading


class Writing(Reading):
    """Connections for writes in short transactions as well."""

    def __init__(self, reading: Engine, writing: Engine, mark: Mark = NO_MARK) -> None:
        super().__init__(reading)
        self._writing = writing
        self._mark = mark

    @contextmanager
    def _new_generation(self) -> Iterator[Connection]:
        """Begin a transaction that changes what servers show, or whom they obey.

        Every worker process knows of it before the next request, as `generation` says.
        """
        with ExitStack() as after_commit, self._writing.begin() as connection:
            yield connection
            connection.execute(update(generation).values(value=generation.c.value + 1))
            after_commit.enter_context(self._mark.raised())

    @property
    def in_process(self) -> bool:
        """True if the database is a library of this process (SQLite) and not a server."""
        return self._writing.dialect.name == "sqlite"
