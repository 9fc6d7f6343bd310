"""Opening, migrating, and the promise that reading never writes."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from reconciler.database import Database, Entry, connection, database_file, migration, schema
from reconciler.errors import StateFault, UsageFault
from reconciler.model import (
    EMPTY_VERSION,
    Digest,
    bucket_digest,
    bucket_of,
    group_digest,
    version_digest,
)
from tests.support.databases import a_unit, change, created_repository, database
from tests.support.publishing import published

_UNIT = a_unit("alpha", "one")

_BEFORE = f"{int(schema.HEAD) - 1:04}"
_NEXT = f"{int(schema.HEAD) + 1:04}"
_LATER = f"""
from alembic import op
revision = "{_NEXT}"
down_revision = "{schema.HEAD}"
def upgrade():
    op.execute("CREATE TABLE later (id INTEGER)")
"""


def tables(file: Path) -> dict[str, list[str]]:
    """Return the definition of every table and index, without order and layout."""
    with sqlite3.connect(file) as opened:
        definitions = dict(
            opened.execute(
                "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND name <>"
                " 'alembic_version'"
            )
        )
    opened.close()
    return {
        name: sorted(filter(None, (part.strip("() \t") for part in re.split("[,\n]", sql or ""))))
        for name, sql in definitions.items()
    }


def set_revision(file: Path, revision: str) -> None:
    with sqlite3.connect(file) as opened:
        opened.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    opened.close()


def test_reading_where_no_database_is_sees_emptiness_and_creates_nothing(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/new/state.db").open(read_only=True) as opened:
        reader = opened.reader()
        state = reader.actual_state()
        assert (state.resources, state.repositories, state.publications) == ({}, {}, {})
        assert reader.served() == []
        assert reader.versions(1) == []
        assert list(reader.difference(1, 0, 1)) == []
        assert reader.runs(5) == []
        assert reader.generation() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_of_0_bytes_is_a_lost_database_and_never_a_new_one(
    tmp_path: Path, read_only: bool
) -> None:
    (tmp_path / "state.db").touch()
    with pytest.raises(StateFault, match=r"state\.db.*0 bytes") as refusal:
        Database(f"sqlite:///{tmp_path}/state.db").open(read_only=read_only)
    assert "backup" in (refusal.value.hint or "")
    assert (tmp_path / "state.db").stat().st_size == 0


def test_a_new_database_appears_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """Else a crash, or a second process that looks at the same time, would see 0 bytes."""
    file = tmp_path / "state.db"
    database_file.create(file, "here")
    with Database(f"sqlite:///{file}").open(read_only=True) as opened:
        assert opened.reader().generation() == 0
    database_file.create(file, "here")  # another process was first
    assert [path.name for path in tmp_path.iterdir()] == ["state.db"]


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        created_repository(opened.writer())
        for reader in (
            opened.reader(),
            Database(f"sqlite:///{tmp_path}/state.db").open(read_only=True).reader(),
        ):
            with reader._reading.connect() as session, pytest.raises(StateFault, match="readonly"):
                session.execute(schema.repository.delete())
            reader._reading.dispose()
    empty = connection.empty()
    with empty.connect() as session, pytest.raises(StateFault, match="readonly"):
        session.execute(schema.generation.insert().values(id=1, value=0))
    empty.dispose()


def test_there_is_no_writer_on_a_database_opened_for_reading(tmp_path: Path) -> None:
    with (
        Database(f"sqlite:///{tmp_path}/state.db").open(read_only=True) as opened,
        pytest.raises(UsageFault),
    ):
        opened.writer()


def test_opening_for_writing_creates_folder_and_tables_once(tmp_path: Path) -> None:
    for _ in range(2):
        with Database(f"sqlite:///{tmp_path}/a b%#/state.db").open(read_only=False) as opened:
            created_repository(opened.writer())
    assert tables(tmp_path / "a b%#" / "state.db").keys() >= set(schema.metadata.tables)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "what is this"])
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(UsageFault):
        Database(url)


# Indexes of expressions are compared by their text.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_migrations_lead_to_exactly_the_tables_of_the_schema(tmp_path: Path) -> None:
    with database(tmp_path):
        pass
    migrated = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    with migrated.begin() as session:
        migration.upgrade(session, migration.scripts())
        assert compare_metadata(MigrationContext.configure(session), schema.metadata) == []
        assert (
            session.execute(text("SELECT version_num FROM alembic_version")).scalar() == schema.HEAD
        )
        assert session.execute(text("SELECT id, value FROM generation")).all() == [(1, 0)]
    migrated.dispose()
    assert tables(tmp_path / "migrated.db") == tables(tmp_path / "state.db")


def test_the_newest_migration_is_the_one_that_this_release_expects() -> None:
    assert migration.scripts().get_current_head() == schema.HEAD


def test_a_newer_schema_is_refused_by_readers_and_writers(tmp_path: Path) -> None:
    with database(tmp_path):
        pass
    set_revision(tmp_path / "state.db", "9999")
    for read_only in (True, False):
        opened = Database(f"sqlite:///{tmp_path}/state.db")
        with pytest.raises(StateFault, match=r"`9999`.*newer") as refusal:
            opened.open(read_only=read_only)
        opened.close()
        assert refusal.value.hint


def test_an_older_schema_is_migrated_by_a_writer_and_refused_by_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database(tmp_path) as opened:
        created_repository(opened.writer())
    folder = tmp_path / "migrations"
    shutil.copytree(migration.FOLDER, folder)
    (folder / "versions" / f"{_NEXT}_later.py").write_text(_LATER)
    monkeypatch.setattr(migration, "FOLDER", folder)
    monkeypatch.setattr(migration, "HEAD", _NEXT)
    reading = Database(f"sqlite:///{tmp_path}/state.db")
    with pytest.raises(StateFault, match=f"`{schema.HEAD}`") as refusal:
        reading.open(read_only=True)
    assert "apply" in str(refusal.value.hint)
    with database(tmp_path) as opened:
        assert opened.reader().actual_state().repositories.keys() == {"team"}
    assert "later" in tables(tmp_path / "state.db")


def test_a_database_of_the_first_release_is_migrated_and_keeps_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _of_the_first_release(tmp_path / "state.db", monkeypatch)
    with database(tmp_path) as opened:
        writer = opened.writer()
        state = writer.actual_state()
        assert {str(ref): resource.folder for ref, resource in state.resources.items()} == {
            "repository/team": ""
        }
        latest = state.repositories["team"]
        assert (latest.id, latest.number, latest.units) == (7, 1, 1)
        assert writer.members(7, 1, ["alpha"]) == {"alpha": [(_UNIT.digest, _UNIT.body)]}
        assert list(writer.version_groups(7, 1)) == [("alpha", group_digest([_UNIT.digest]))]
        assert writer.committed_groups(7, "remote:a").keys() == {"alpha"}
        assert writer.source_incomplete(7, "remote:a")
        assert (writer.attachments(7), writer.artifact_origins(_UNIT.digest)) == ([], [])
        assert change(writer, 7, joins=[a_unit("beta", "one")]).number == 2
        assert created_repository(writer, "other") > 7
    with sqlite3.connect(tmp_path / "state.db") as checked:
        assert checked.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert checked.execute("PRAGMA foreign_key_check").fetchall() == []
    checked.close()


def test_a_database_of_the_release_before_is_migrated_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units are counted once, entries and paths written anew; what breaks half-way is undone."""
    file = tmp_path / "state.db"
    _of_the_release_before(file, monkeypatch)
    before = tables(file)
    folder = tmp_path / "migrations"
    shutil.copytree(migration.FOLDER, folder)
    (folder / "versions" / f"{_NEXT}_later.py").write_text(f"{_LATER}    1 / 0\n")
    with monkeypatch.context() as patched:
        patched.setattr(migration, "FOLDER", folder)
        patched.setattr(migration, "HEAD", _NEXT)
        with pytest.raises(ZeroDivisionError):
            Database(f"sqlite:///{file}").open(read_only=False)
    assert tables(file) == before
    with database(tmp_path) as opened:
        reader = opened.reader()
        assert reader.actual_state().repositories["team"].units == 1
        counts = [reader.counts(7, number) for number in (0, 1, 2)]
        assert counts == [{}, {"test.file": 1}, {"test.file": 1}]
        records = [
            (record.number, record.added, record.removed, record.changed)
            for record in reader.versions(7)
        ]
        assert records == [(2, 0, 0, 1), (1, 1, 0, 0)]
        assert sorted(path for _, path in reader.held_paths(7)) == sorted(_PATHS)
        name = ("alpha", "test.file", "one")
        assert reader.derived_artifacts(7, 2, ["alpha"]) == {name: {_PATHS[1]: None}}
        assert [unit.id for unit in reader.extractable_units(7, 2)] == [4]
        assert list(reader.all_entries(8, 1)) == _ENTRIES
        assert reader.entries(8, 1, _ENTRIES[0].path) == _ENTRIES[:1]
        assert list(reader.all_entries(8, 2)) == _ENTRIES[1:]
        assert published(opened.writer(), 8, {"alpha": []}).number == 3
        assert list(reader.all_entries(8, 3)) == _ENTRIES[2:]
    with sqlite3.connect(file) as checked:
        assert checked.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert checked.execute("PRAGMA foreign_key_check").fetchall() == []
    checked.close()


_PATHS = ["one", "one.metadata", "on/one"]  # of the unit `one`
_ENTRIES = [
    Entry(f"files/{_UNIT.digest.hex}/a.bin", "application/x", "alpha", False, _UNIT.digest, None),
    Entry("simple/alpha/", "text/html", "alpha", True, _UNIT.digest, 7, ("other",), 1),
    Entry("z/é", "text/plain", None, False, _UNIT.digest, 5),
]


def _of_the_release_before(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more version in which the unit is another one, and a publication of both versions."""
    _of_the_first_release(file, monkeypatch)
    engine = create_engine(f"sqlite:///{file}")
    with monkeypatch.context() as patched, engine.begin() as session:
        patched.setattr(migration, "HEAD", _BEFORE)
        migration.upgrade(session, migration.scripts())
    engine.dispose()
    other = a_unit("alpha", "one", "another")
    with sqlite3.connect(file) as opened:
        opened.execute(
            "INSERT INTO unit VALUES (4, ?, 'test.file', 'alpha', 'one', ?)",
            (other.digest.raw, other.body),
        )
        files = [Digest.of(path.encode()).raw for path in _PATHS]
        opened.executemany("INSERT INTO artifact VALUES (?, 1, 1)", [(raw,) for raw in files])
        opened.executemany(
            "INSERT INTO unit_artifact VALUES (4, ?, ?)", zip(_PATHS, files, strict=True)
        )
        opened.execute(
            "INSERT INTO derived_artifact VALUES (4, ?, NULL, ?, 1)", (_PATHS[1], files[0])
        )
        opened.execute("UPDATE membership SET removed = 2")
        opened.execute("INSERT INTO membership VALUES (7, 5, 4, 'remote:a', 2, NULL)")
        opened.execute("INSERT INTO version VALUES (7, 2, ?, 1, '{}')", (other.digest.raw,))
        opened.execute("UPDATE repository SET number = 2")
        opened.execute(
            "INSERT INTO resource (id, kind, name, labels, annotations, spec, secrets, created_at,"
            " updated_at) VALUES (8, 'Publication', 'team', '{}', '{}', '{}', '{}', 1, 1)"
        )
        for number in (1, 2):
            opened.execute(
                "INSERT INTO publication (publication_id, number, version, version_digest, digest,"
                " complete, published_at) VALUES (8, ?1, ?1, ?2, ?2, 1, 1)",
                (number, other.digest.raw),
            )
        opened.executemany(
            "INSERT INTO publication_entry VALUES (8, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, 0)",
            [
                (
                    *(entry.path, entry.media_type, json.dumps(entry.aliases), entry.group),
                    *(entry.page, entry.digest.raw, -1 if entry.size is None else entry.size),
                    *(entry.position, None if number else 2),
                )
                for number, entry in enumerate(_ENTRIES)
            ],
        )
    opened.close()


def _of_the_first_release(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository with one unit in version 1, in the tables of revision 0001."""
    first = create_engine(f"sqlite:///{file}")
    with monkeypatch.context() as patched, first.begin() as session:
        patched.setattr(migration, "HEAD", "0001")
        migration.upgrade(session, migration.scripts())
        assert "folder" not in [
            column["name"] for column in inspect(session).get_columns("resource")
        ]
    first.dispose()
    alpha = group_digest([_UNIT.digest])
    bucket = bucket_of("alpha"), bucket_digest([alpha])
    whole = version_digest([bucket])
    with sqlite3.connect(file) as opened:
        opened.execute(
            "INSERT INTO resource VALUES (7, 'Repository', 'team', '{}', '{}',"
            " '{\"type\":\"test\"}', '{}', NULL, NULL, 1, 1)"
        )
        opened.execute("INSERT INTO repository VALUES (7, 1, ?)", (whole.raw,))
        opened.executemany(
            "INSERT INTO version VALUES (7, ?, ?, 1, '{}')",
            [(0, EMPTY_VERSION.raw), (1, whole.raw)],
        )
        opened.execute(
            "INSERT INTO unit VALUES (3, ?, 'test.file', 'alpha', 'one', ?)",
            (_UNIT.digest.raw, _UNIT.body),
        )
        opened.execute(
            "INSERT INTO repository_group VALUES (5, 7, 'alpha', ?, ?)", (bucket[0], alpha.raw)
        )
        opened.execute("INSERT INTO repository_bucket VALUES (7, ?, ?)", (bucket[0], bucket[1].raw))
        opened.execute("INSERT INTO membership VALUES (7, 5, 3, 'remote:a', 1, NULL)")
        opened.execute(
            "INSERT INTO source_group VALUES (7, 'remote:a', 'alpha', NULL, ?, NULL)",
            (Digest.of(b"selection").raw,),
        )
    opened.close()


def test_alembic_is_not_imported_when_the_schema_is_current(tmp_path: Path) -> None:
    code = (
        "import sys; from reconciler.database import Database\n"
        "for read_only in (True, False, True):\n"
        "    Database(sys.argv[1]).open(read_only=read_only).close()\n"
        "sys.exit('alembic' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, f"sqlite:///{tmp_path}/state.db"], check=True)


def test_what_the_database_cannot_do_is_said_in_our_words(tmp_path: Path) -> None:
    """A file that is no database: no traceback of a driver, but what, where and what now."""
    file = tmp_path / "state.db"
    with Database(f"sqlite:///{file}").open(read_only=False) as database:
        writer = database.writer()
        writer.start_run(
            plan_digest=None, manifest_digest=None, provenance={}, now=datetime.now(UTC)
        )
    for name in ("state.db-wal", "state.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 20000)
    with (
        pytest.raises(StateFault, match="cannot be used") as raised,
        Database(f"sqlite:///{file}").open(read_only=True) as database,
    ):
        database.reader().runs(10)
    assert str(file) in str(raised.value)
