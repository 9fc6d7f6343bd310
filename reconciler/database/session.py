"""What reading and writing rest on: one engine for each."""

from __future__ import annotations

from sqlalchemy import Engine


class Reading:
    """Holds connections on which the database itself refuses to write. Methods may be called from
    any thread, several at once.
    """

    def __init__(self, reading: Engine) -> None:
        self._reading = reading


class Writing(Reading):
    """Also holds connections that write, in short transactions."""

    def __init__(self, reading: Engine, writing: Engine) -> None:
        super().__init__(reading)
        self._writing = writing

    @property
    def in_process(self) -> bool:
        """Is the database a library of this very process (SQLite), and no server that can be waited
        for?
        """
        return self._writing.dialect.name == "sqlite"
