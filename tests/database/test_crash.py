"""A process killed before any writing statement leaves the old state or the new one.

The statements are those of a commit or a publication; the next run succeeds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from reconciler.database import Database, Reader, Writer, schema
from tests.support.databases import (
    a_unit,
    change,
    created_publication,
    created_repository,
    database,
)
from tests.support.publishing import published

# For n = 1, 2, ...: a child does the work on a copy of the database and kills itself before the
# n-th writing statement or commit.
_VICTIMS = """
import os, shutil, signal, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from reconciler.database import Database
from test_crash import {work} as work

def die_before(left, url, id_):
    def count(*arguments):
        nonlocal left
        if len(arguments) > 2 and arguments[2].startswith(("SELECT", "BEGIN")):
            return  # the same as before the statement that comes next
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    writer = Database(url).open(read_only=False).writer()
    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
    work(writer, id_)
    os._exit(0)

folder = Path(sys.argv[1])
for number in range(1, 500):
    copy = folder / f"{{number:03}}"
    copy.mkdir()
    shutil.copy(folder / "state.db", copy)
    child = os.fork()
    if child == 0:
        die_before(number, f"sqlite:///{{copy}}/state.db", int(sys.argv[2]))
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
"""

ROOT = Path(__file__).parents[2]


def killed(folder: Path, work: str, id_: int) -> Iterator[Database]:
    """Yield every state in which a crash can leave the database, opened for writing.

    The last one is that of a whole run.
    """
    code = _VICTIMS.format(work=work)
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    subprocess.run(
        [sys.executable, "-c", code, str(folder), str(id_)],
        check=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    states = sorted(path for path in folder.iterdir() if path.is_dir())
    assert len(states) > 10
    for state in states:
        with database(state) as opened:
            yield opened


def commit(writer: Writer, id_: int) -> None:
    change(
        writer,
        id_,
        joins=[a_unit("alpha", "two"), a_unit("beta", "one")],
        leaves=[a_unit("alpha", "one")],
    )


def publish(writer: Writer, id_: int) -> None:
    record = published(
        writer,
        id_,
        {"alpha": [("alpha/", "alpha 2")], "gamma": [("gamma/", "gamma")], None: [("", "all 2")]},
    )
    writer.point(id_, record.number)


def rows(reader: Reader, table: str) -> int:
    with reader._reading.connect() as connection:
        return len(connection.execute(schema.metadata.tables[table].select()).all())


def test_a_killed_commit_leaves_the_old_version_or_the_new_one(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        id_ = created_repository(opened.writer())
        change(opened.writer(), id_, joins=[a_unit("alpha", "one")])
    before, after = {"alpha": ["one"]}, {"alpha": ["two"], "beta": ["one"]}
    seen = set()
    for opened in killed(tmp_path, "commit", id_):
        writer = opened.writer()
        number = writer.actual_state().repositories["team"].number
        seen.add(number)
        _check(writer, id_, 1, before)
        if number == 1:
            commit(writer, id_)
        _check(writer, id_, 2, after)
        assert len(writer.versions(id_)) == 2
        with writer.stage(id_):
            assert (
                rows(writer, "stage"),
                rows(writer, "stage_group"),
                rows(writer, "stage_member"),
            ) == (1, 0, 0)
    assert seen == {1, 2}


def _check(writer: Writer, id_: int, number: int, expected: dict[str, list[str]]) -> None:
    units = writer.units(id_, number, writer.group_names(id_, number))
    assert {group: [unit.key for unit in held] for group, held in units.items()} == expected


def test_a_killed_publication_leaves_the_old_one_served_or_the_new_one(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        id_ = created_publication(opened.writer())
        published(
            opened.writer(),
            id_,
            {"alpha": [("alpha/", "alpha 1")], "beta": [("beta/", "beta")], None: [("", "all 1")]},
        )
        opened.writer().point(id_, 1)
    seen = set()
    for opened in killed(tmp_path, "publish", id_):
        writer = opened.writer()
        (served,) = writer.served()
        seen.add(served.number)
        assert [entry.path for entry in writer.all_entries(id_, 1)] == ["", "alpha/", "beta/"]
        if served.number == 1:
            publish(writer, id_)
        (served,) = writer.served()
        entries = list(writer.all_entries(id_, served.number))
        assert [entry.path for entry in entries] == ["", "alpha/", "beta/", "gamma/"]
        assert writer.pages(entry.digest for entry in entries).keys() == {
            entry.digest for entry in entries
        }
        assert [entry.path for entry in writer.all_entries(id_, 1)] == ["", "alpha/", "beta/"]
    assert seen == {1, 2}
