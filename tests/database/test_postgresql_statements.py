"""Every table and every prepared statement compiles for PostgreSQL."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
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
MODULES = (
    "artifacts",
    "browsing",
    "chunks",
    "commit_statements",
    "damage",
    "delisted",
    "derived",
    "extractable_units",
    "first_sights",
    "groups",
    "immutable_paths",
    "index_entries",
    "leases",
    "lingering",
    "manual_changes",
    "members",
    "path_clashes",
    "plugins",
    "published_moments",
    "publications",
    "publishing",
    "pulled",
    "resources",
    "runs",
    "signatures",
    "staged_names",
    "upload_totals",
    "version_counts",
    "versions",
    "withheld",
)


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(f"reconciler.database.{request.param}")


def test_tables_and_indexes_compile() -> None:
    dialect = DIALECT
    for table in schema.metadata.sorted_tables:
        assert "ROWID" not in str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            CreateIndex(index).compile(dialect=dialect)
            assert len(str(index.name)) < 64  # what PostgreSQL keeps of a name


def test_partial_indexes_are_partial_on_postgresql() -> None:
    schema.declare_partial_indexes("postgresql")
    indexes = schema.source_group.indexes
    assert len(indexes) == 3
    for index in indexes:
        assert " WHERE " in str(CreateIndex(index).compile(dialect=DIALECT))


def test_a_start_on_sqlite_imports_nothing_of_postgresql() -> None:
    code = "import sys, reconciler.database; print([m for m in sys.modules if 'postgresql' in m])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_statements_compile(module: ModuleType) -> None:
    dialect = DIALECT
    statements = [
        statement
        for statement in vars(module).values()
        if isinstance(statement, Executable) and isinstance(statement, ClauseElement)
    ]
    for statement in statements:
        assert "PRAGMA" not in str(statement.compile(dialect=dialect))
    bulks = [statement for statement in vars(module).values() if isinstance(statement, Bulk)]
    for bulk in bulks:
        sql, arrange = bulk.prepare(dialect)
        row = arrange([tuple(None for _ in bulk._names)])[0]
        assert sql.count("%(") >= len(row)
        assert row.keys() == set(bulk._names)
    assert statements or bulks


def test_every_module_with_statements_is_among_them() -> None:
    with_statements = {
        path.stem
        for path in FOLDER.glob("*.py")
        if re.search(r"session import \w*(Reading|Writing)", path.read_text())
    }
    elsewhere = {
        "commit_statements",
        "extractable_units",
        "index_entries",
        "immutable_paths",
        "path_clashes",
        "publications",
        "publishing",
        "staged_names",
    }
    assert with_statements - {"commits"} | elsewhere | {"version_counts"} == set(MODULES)
