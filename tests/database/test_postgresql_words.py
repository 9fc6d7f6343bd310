"""Every table and every prepared statement can be said to PostgreSQL."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import ClauseElement
from sqlalchemy.dialects import registry
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.base import Executable

from reconciler.database import schema
from reconciler.database.bulk import Bulk

FOLDER = Path(str(schema.__file__)).parent
DIALECT = registry.load("postgresql.psycopg")()
ROOMS = (
    "artifacts",
    "commits",
    "groups",
    "leases",
    "members",
    "plugins",
    "publications",
    "publishing",
    "resources",
    "runs",
    "versions",
    "withheld",
)


@pytest.fixture(params=ROOMS)
def module(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(f"reconciler.database.{request.param}")


def test_tables_and_indexes_compile() -> None:
    dialect = DIALECT
    for table in schema.metadata.sorted_tables:
        assert "ROWID" not in str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            CreateIndex(index).compile(dialect=dialect)
            assert len(str(index.name)) < 64  # what PostgreSQL keeps of a name


def test_statements_compile(module: ModuleType) -> None:
    dialect = DIALECT
    said = [
        statement
        for statement in vars(module).values()
        if isinstance(statement, Executable) and isinstance(statement, ClauseElement)
    ]
    for statement in said:
        assert "PRAGMA" not in str(statement.compile(dialect=dialect))
    many = [statement for statement in vars(module).values() if isinstance(statement, Bulk)]
    for bulk in many:
        sql, arrange = bulk.prepare(dialect)
        row = arrange([tuple(None for _ in bulk._names)])[0]
        assert sql.count("%(") >= len(row)
        assert row.keys() == set(bulk._names)
    assert said or many


def test_every_module_that_speaks_to_the_database_is_among_them() -> None:
    speaking = {
        path.stem
        for path in FOLDER.glob("*.py")
        if re.search(r"session import \w*(Reading|Writing)", path.read_text())
    }
    assert speaking == set(ROOMS)


def test_the_indexes_of_what_is_due_hold_the_few_rows_that_are() -> None:
    words = {
        str(index.name): str(CreateIndex(index).compile(dialect=DIALECT))
        for index in schema.source_group.indexes
    }
    assert words["ix_source_group_due"].endswith("WHERE reconsider_at IS NOT NULL")
    assert words["ix_source_group_incomplete"].endswith("WHERE validator IS NULL")
