"""The mark of the generation: a look at it, before the database, misses no commit.

Kind: what one process remembers of a state that others change.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from reconciler.database import Database
from reconciler.database.generation import NO_MARK, SUFFIX, MarkFile
from reconciler.errors import StateFault
from reconciler.model import Kind, Ref
from tests.support.databases import NOW, created_publication, database, publication
from tests.support.publishing import published


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Database]:
    with database(tmp_path) as opened:
        yield opened


def test_every_change_that_servers_obey_moves_mark_and_generation(opened: Database) -> None:
    writer, mark = opened.writer(), opened.mark()
    id_ = created_publication(writer)
    record = published(writer, id_, {"a": [("a", "body")]})
    resource = writer.actual_state().resources[Ref(Kind.PUBLICATION, "team")]
    changes: tuple[Callable[[], object], ...] = (
        lambda: writer.point(id_, record.number),
        lambda: writer.record_resources([publication(path="elsewhere")], now=NOW),
        lambda: writer.update_metadata([resource]),  # a token that was exchanged
        lambda: writer.record_resources([], now=NOW, deleted=[Ref(Kind.PUBLICATION, "team")]),
    )
    for change in changes:
        before = mark.value(), writer.generation()
        change()
        assert mark.value() % 2 == 0
        assert mark.value() > before[0]
        assert writer.generation() != before[1]


def test_the_mark_is_odd_while_the_commit_is_under_way(opened: Database) -> None:
    """A look in the middle of a commit must not be taken for the last word."""
    seen: list[int] = []
    writer, mark = opened.writer(), opened.mark()
    id_ = created_publication(writer)
    record = published(writer, id_, {"a": [("a", "body")]})

    def look(connection: Connection) -> None:
        seen.append(mark.value())

    event.listen(Engine, "commit", look)
    try:
        writer.point(id_, record.number)
    finally:
        event.remove(Engine, "commit", look)
    assert [value % 2 for value in seen] == [1]
    assert mark.value() == seen[0] + 1


def test_a_change_that_fails_moves_nothing_for_good(opened: Database) -> None:
    mark = opened.mark()
    with pytest.raises(StateFault, match="does not exist"):
        opened.writer().point(1, 7)
    assert mark.value() % 2 == 0


def test_two_openings_of_one_file_see_the_same(tmp_path: Path) -> None:
    first, other = (MarkFile(str(tmp_path / "mark")) for _ in range(2))
    assert first.value() == other.value()
    with first.raised():
        assert other.value() % 2 == 1
        other.tend()  # the writer is at work: nothing is to be repaired
        assert other.value() % 2 == 1
    assert first.value() == other.value() == 2


def test_a_writer_that_was_killed_is_made_up_for(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    code = (
        "import os, signal, sys; from reconciler.database.generation import MarkFile\n"
        "with MarkFile(sys.argv[1]).raised(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    mark = MarkFile(str(path))
    assert mark.value() == 1
    mark.tend()
    assert mark.value() == 2
    with mark.raised():
        assert mark.value() == 3


def test_a_writer_makes_up_for_one_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    path.write_bytes((7).to_bytes(8, sys.byteorder))
    mark = MarkFile(str(path))
    with mark.raised():
        assert mark.value() == 9
    assert mark.value() == 10


def test_a_file_that_was_put_in_its_place_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    mark = MarkFile(str(path))
    assert mark.value() == 0
    beside = tmp_path / "restored"
    beside.write_bytes((40).to_bytes(8, sys.byteorder))
    beside.replace(path)
    mark.tend()
    assert mark.value() == 40
    path.unlink()
    mark.tend()
    assert (mark.value(), path.exists()) == (0, True)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateFault, match=r"missing/mark` cannot be used: No such file") as caught:
        MarkFile(str(tmp_path / "missing" / "mark")).value()
    assert caught.value.hint is not None


def test_the_file_is_open_only_as_long_as_its_database(tmp_path: Path) -> None:
    def open_files() -> set[str]:
        folder = "/proc/self/fd"
        return {os.readlink(f"{folder}/{name}") for name in os.listdir(folder) if _is_link(name)}

    def _is_link(name: str) -> bool:
        return os.path.lexists(f"/proc/self/fd/{name}")

    with database(tmp_path) as opened:
        opened.mark().value()
        assert f"{tmp_path}/state.db{SUFFIX}" in open_files()
    assert f"{tmp_path}/state.db{SUFFIX}" not in open_files()


def test_a_database_server_has_no_mark() -> None:
    assert Database("postgresql+psycopg://host/name").mark() is NO_MARK
    with NO_MARK.raised():
        assert NO_MARK.value() == 0
    NO_MARK.tend()
