"""Compiled statements: made once for all engines on SQLite of a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import make_url, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Integer

from reconciler.database import connection

COMPILED: list[str] = []


class Seven(GenericFunction[int]):
    """Notes that it is compiled."""

    type = Integer()
    inherit_cache = True


@compiles(Seven)
def _seven(element: Seven, compiler: Any, **keys: Any) -> str:
    COMPILED.append(compiler.dialect.name)
    return "7"


def test_a_statement_is_compiled_once_for_all_engines(tmp_path: Path) -> None:
    url = make_url(f"sqlite:///{tmp_path}/state.db")
    for engine in (connection.writing(url), connection.reading(url), connection.in_memory()):
        with engine.begin() as transaction:
            assert transaction.execute(select(Seven())).scalar_one() == 7
        engine.dispose()
    assert COMPILED == ["sqlite"]
