"""The write-ahead log stays short although a server keeps the database open all the time."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from reconciler.database import Database, write_ahead_log
from tests.support.databases import a_unit, by_group, created_repository, database

KIB = 1024


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead_log, "LONGEST", 256 * KIB)
    monkeypatch.setattr(write_ahead_log, "LEFT", 16 * KIB)
    monkeypatch.setattr(write_ahead_log, "PATIENCE", 1)
    monkeypatch.setattr(write_ahead_log, "AGAIN", 0.0)


def log_size(folder: Path) -> int:
    return write_ahead_log.log_size(f"{folder}/state.db")


def write(opened: Database, number: int) -> None:
    units = [a_unit(f"g{number}", str(key), note="x" * 500) for key in range(100)]
    opened.writer().record_units(by_group(*units), {})


def test_the_log_is_truncated_beside_a_reader_that_comes_and_goes(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        created_repository(opened.writer())
        with Database(f"sqlite:///{tmp_path}/state.db").open(read_only=True) as server:
            longest = 0
            for number in range(12):
                write(opened, number)
                server.reader().generation()
                longest = max(longest, log_size(tmp_path))
            assert longest < 512 * KIB, "else 12 times 100 KiB and more"
            opened.close()
            assert log_size(tmp_path) == 0, "nothing is left beside a server that goes on"
            assert server.reader().generation() is not None


def test_a_reader_that_stays_delays_it_and_is_not_disturbed(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        created_repository(opened.writer())
        with Database(f"sqlite:///{tmp_path}/state.db").open(read_only=True) as server:
            with server.reader()._reading.connect() as session:
                before = session.execute(text("SELECT count(*) FROM unit")).scalar()
                for number in range(8):
                    write(opened, number)
                assert session.execute(text("SELECT count(*) FROM unit")).scalar() == before
                assert log_size(tmp_path) > 256 * KIB
            write(opened, 8)
            assert log_size(tmp_path) < 256 * KIB
