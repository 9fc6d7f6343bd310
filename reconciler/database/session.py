"""Base classes of readers and writers: one engine for each."""

from __future__ import annotations

from sqlalchemy import Engine


class Reading:
    """Connections on which the database itself refuses to write.

    Methods may be called from any thread, several at once.
    """

    def __init__(self, reading: Engine) -> None:
        self._reading = reading


class Writing(Reading):
    """Connections for writes in short transactions as well."""

    def __init__(self, reading: Engine, writing: Engine) -> None:
        super().__init__(reading)
        self._writing = writing

    @property
    def in_process(self) -> bool:
        """True if the database is a library of this process (SQLite) and not a server."""
        return self._writing.dialect.name == "sqlite"
