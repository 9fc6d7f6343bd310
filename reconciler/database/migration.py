"""Migration of a database from its recorded schema to the one of this release.

Alembic is imported only where the recorded revision differs: that costs more than a run that has
nothing to do.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from reconciler.database.schema import HEAD, declare_partial_indexes, generation, metadata
from reconciler.errors import StateFault

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

FOLDER = Path(__file__).with_name("migrations")


def revision(connection: Connection) -> str | None:
    """Return the recorded revision; None for a database without our tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def migrate(connection: Connection, where: str) -> None:
    """Migrate the schema to HEAD within the caller's transaction.

    Raises StateFault when it is newer than this release.
    """
    stored = revision(connection)
    if stored == HEAD:
        return
    if stored is None:
        _create(connection)
    else:
        _upgrade(connection, stored, where)


def check(connection: Connection, where: str) -> bool:
    """Return True if the database can be read, False if it has no tables yet.

    Raises StateFault when its schema is older or newer than this release.
    """
    stored = revision(connection)
    if stored not in (None, HEAD):
        _scripts(stored, where)
        raise StateFault(
            f"the database `{where}` has schema revision `{stored}`, this release reads `{HEAD}`",
            hint="`reconciler apply` migrates it",
        )
    return stored is not None


def _create(connection: Connection) -> None:
    """Create the tables of this release. A test compares them with those of all migrations."""
    if connection.dialect.name == "sqlite":
        for definition in sqlite_definitions():
            connection.exec_driver_sql(definition)
    else:
        declare_partial_indexes(connection.dialect.name)
        metadata.create_all(connection, checkfirst=False)
    connection.execute(generation.insert().values(id=1, value=0))
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT"
            " alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


@cache
def sqlite_definitions() -> tuple[str, ...]:
    """Return every table and index as SQLite's DDL.

    Cached: compiling them takes longer than a small plan.
    """
    dialect = sqlite.dialect()
    tables = [str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables]
    indexes = [
        str(CreateIndex(index).compile(dialect=dialect))
        for table in metadata.sorted_tables
        for index in table.indexes
    ]
    return (*tables, *indexes)


def _upgrade(connection: Connection, stored: str, where: str) -> None:
    upgrade(connection, _scripts(stored, where))


def upgrade(connection: Connection, scripts: ScriptDirectory) -> None:
    """Run every migration that this database lacks."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    with EnvironmentContext(
        Config(), scripts, fn=lambda current, _: scripts._upgrade_revs(HEAD, current)
    ) as environment:
        environment.configure(connection=connection, target_metadata=metadata)
        environment.run_migrations()


def scripts() -> ScriptDirectory:
    """Return the migrations of this release."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(FOLDER))


def _scripts(stored: str | None, where: str) -> ScriptDirectory:
    """Return the migrations. Raises StateFault where they lack the recorded revision."""
    revisions = scripts()
    if stored not in {script.revision for script in revisions.walk_revisions()}:
        raise StateFault(
            f"the database `{where}` has schema revision `{stored}`, which is newer than this"
            f" release: it knows up to `{HEAD}`",
            hint="install the release that wrote it, or a later one",
        )
    return revisions
