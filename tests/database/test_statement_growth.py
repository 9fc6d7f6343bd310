"""The work of statements follows what changes, not what there is.

Every operation of the room runs on a small and a large state. SQLite counts the instructions of
its virtual machine in each statement; where the count grows although the same was asked for, the
statement walks what did not change. A new statement has to run here as well.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import FunctionType, TracebackType
from typing import Any, Self

import pytest
from sqlalchemy import ClauseElement, Connection, Engine, event, text
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.sql.base import Executable

from reconciler import database
from reconciler.database import PublicationStage, Stage, Writer
from reconciler.database.bulk import Bulk
from tests.support import content_operations, pulled_operations, room_operations
from tests.support.large_states import LargeState, discarded, opened_state
from tests.support.old_statements import OLD_STATEMENTS
from tests.support.room_operations import SMALL, WHOLE

SIZES = (200, 5_000)
STEP = 50  # instructions of the virtual machine, counted as one
GROWTH, ALLOWED = 2, 40

# Building blocks of other statements: they never run alone.
PARTS = {
    "commit_statements.REMEMBERED",
    "commit_statements.TOUCHED_IDS",
    "damage._SHOWN",
    "delisted._KEYS",
    "delisted._SHOWN",
    "extractable_units._MADE",
    "extractable_units._STILL",
    "extractable_units._WAITING",
    "index_entries._CHANGING",
    "lingering._begun_at",
    "publications._RECORD",
    "upload_totals._CAME",
    "upload_totals._WENT",
    "versions._RECORDS",
}

# Statements whose work may grow although the operation is as small as ever, and why.
GROWING = {
    "commit_statements.BUCKETS": "at most 4,096 rows, whose digests make that of the version",
    "derived._SHOWN": "the identity of a release is of everything that is shown",
}

# Statements that answer for all of a version, a publication or the store.
WHOLE_ANSWERS = {
    "chunks._SHOWN_LISTS": "gc",
    "damage._COUNT_UNUSED_PAGES": "gc",
    "damage._KNOWN": "gc",
    "damage._NEEDED": "gc",
    "damage._OF_PUBLICATION": "verify",
    "damage._OF_REPOSITORY": "verify",
    "damage._SHOWING": "verify, where something is damaged",
    "damage._STORED": "verify",
    "damage._REMOVE_UNUSED_PAGES": "gc",
    "groups._COMMITTED": "a list of upstream is compared with all that is committed",
    "groups._HELD": "the same",
    "index_entries._DELETE_OLD_ENTRIES": "a full publication makes its indexes anew",
    "index_entries._ENTRIES": "an index that differs is rendered from all of its entries",
    "members._CONTENT": "a copy of a version",
    "members._DIGESTS": "a copy of a version",
    "members._FIND": "a key may be in any group",
    "members._HELD_PATHS": "whose a path is, when a source with names in common is added",
    "published_moments._MOMENTS": "a list of all pages of groups",
    "publications._ALL_ENTRIES": "the first export",
    "publishing._END_REST": "a full publication ends what it did not emit",
    "resources._ONLY_FROM": "the removal of a remote",
    "versions._GROUP_NAMES": "a publication of all of a version",
    "withheld._END_ALL": "a publication that says nothing of what it withholds",
    "withheld._OTHERS_IN": "a filter of some sources judges all of a version",
    "withheld._WITHHELD": "a list of what is withheld, of which the verdict is the digest",
    **{
        f"DELETE FROM {table}": "the deletion of a resource"
        for table in (
            "membership",
            "publication_entry",
            "publication_withheld",
            "repository_bucket",
            "repository_group",
            "source_group",
        )
    },
}


class Statements:
    """The statements of the room that are constants, by name."""

    def __init__(self) -> None:
        self.constants: dict[str, tuple[str, Executable | Bulk]] = {}
        for _, module, _ in iter_modules(database.__path__):
            path = f"reconciler.database.{module}"
            for name, statement in vars(import_module(path)).items():
                if _is_statement(statement):
                    self.constants.setdefault(_text(statement), (f"{module}.{name}", statement))
        self.names = {name for name, _ in self.constants.values()}
        self._by_id = {id(statement): name for name, statement in self.constants.values()}

    def name(self, text: str, statement: object) -> str:
        """Return the name of a constant; of another statement, what it does to which table."""
        if name := self._by_id.get(id(statement)):
            return name
        if text in self.constants:
            return self.constants[text][0]
        return " ".join(text.split()).partition(" WHERE ")[0]


def _is_statement(statement: object) -> bool:
    return isinstance(statement, Bulk) or (
        isinstance(statement, Executable) and isinstance(statement, ClauseElement)
    )


def _text(statement: Any) -> str:
    """Return its SQL; the same text in two modules is one statement."""
    if isinstance(statement, Bulk):
        return statement.prepare(dialect())[0]
    return str(statement.compile(dialect=dialect()))


STATEMENTS = Statements()


class Work:
    """Counts the work of each statement that runs."""

    def __init__(self) -> None:
        self.steps: Counter[str] = Counter()
        self._current = ""

    def __enter__(self) -> Self:
        event.listen(Engine, "before_cursor_execute", self._begin)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        event.remove(Engine, "before_cursor_execute", self._begin)

    def _begin(self, connection: Connection, cursor: Any, text: str, *rest: Any) -> None:
        compiled = rest[1].compiled
        self._current = STATEMENTS.name(text, None if compiled is None else compiled.statement)
        self.steps[self._current] += 0
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_progress_handler(self._count, STEP)

    def _count(self) -> int:
        self.steps[self._current] += 1
        return 0


@dataclass(frozen=True)
class Works:
    """Work of the small operations, of those that answer for a whole, and of old statements."""

    small: Work
    whole: Work
    old: Work


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> list[Works]:
    """Return the work on the smaller and on the larger state."""
    return [_worked(tmp_path_factory.mktemp("state"), size) for size in SIZES]


def _worked(folder: Path, groups: int) -> Works:
    with opened_state(folder, groups) as state:
        old = _old_work(state)
        done = []
        for operations in (SMALL, WHOLE):
            with Work() as work:
                for operation in operations.values():
                    operation(state)
            done.append(work)
        small, whole = done
        return Works(small, whole, old)


def _old_work(state: LargeState) -> Work:
    ids = {"publication": state.publication_id, "repository": state.repository_id}
    total = Work()
    with discarded(state) as connection:
        for name, statement in OLD_STATEMENTS.items():
            known = {key: value for key, value in ids.items() if f":{key}" in statement}
            with Work() as work:
                result = connection.execute(text(statement), known)
                if result.returns_rows:
                    result.all()
            total.steps[name] = work.steps.total()
    return total


def _growing(smaller: Work, larger: Work) -> dict[str, str]:
    return {
        name: f"{smaller.steps[name]} -> {steps} times {STEP} instructions"
        for name, steps in larger.steps.items()
        if steps > GROWTH * smaller.steps[name] + ALLOWED
    }


def test_the_work_of_a_small_change_does_not_grow_with_the_state(works: list[Works]) -> None:
    smaller, larger = works
    assert _growing(smaller.small, larger.small).keys() == GROWING.keys()


def test_only_answers_for_a_whole_grow_with_it(works: list[Works]) -> None:
    smaller, larger = works
    assert _growing(smaller.whole, larger.whole).keys() == WHOLE_ANSWERS.keys()


def test_statements_that_were_mended_would_be_seen(works: list[Works]) -> None:
    smaller, larger = works
    assert _growing(smaller.old, larger.old).keys() == OLD_STATEMENTS.keys()


def test_no_statement_is_left_out(works: list[Works]) -> None:
    """A new constant has to run here, in an operation of `room_operations`."""
    ran = works[0].small.steps.keys() | works[0].whole.steps.keys()
    assert STATEMENTS.names - ran == PARTS


def test_no_operation_is_left_out() -> None:
    """A new method of the room has to be called by an operation."""
    modules = (room_operations, content_operations, pulled_operations)
    texts = [Path(str(each.__file__)).read_text() for each in modules]
    called = set(re.findall(r"\.(\w+)\(", "".join(texts)))
    public = {
        name
        for room in (Writer, Stage, PublicationStage)
        for base in room.__mro__
        for name, statement in vars(base).items()
        if isinstance(statement, FunctionType) and not name.startswith("_")
    }
    assert public - called == set()
