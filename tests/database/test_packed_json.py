"""Bodies of units come back byte for byte, packed or not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.sqlite import dialect

from reconciler.database.columns import PackedJson
from tests.support.databases import a_unit, by_group, change, created_repository, database

COLUMN, SQLITE = PackedJson(), dialect()


@given(st.binary(max_size=600) | st.text().map(str.encode))
def test_what_is_packed_comes_back(body: bytes) -> None:
    packed = COLUMN.process_bind_param(body, SQLITE)
    assert packed is not None
    assert len(packed) <= len(body) or body.startswith(b"\x01")
    assert COLUMN.process_result_value(packed, SQLITE) == body


def test_a_unit_takes_less_room_than_its_text_and_reads_the_same(tmp_path: Path) -> None:
    unit = a_unit("alpha", "alpha-1.0-py3-none-any.whl", "x" * 50, artifact=True)
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        writer.record_units(by_group(unit), {unit.digest: 1})
        change(writer, id_, joins=[a_unit("alpha", "one")])
        assert writer.members(id_, 1, ["alpha"])["alpha"][0][1] == a_unit("alpha", "one").body
    with sqlite3.connect(tmp_path / "state.db") as state:
        lengths = state.execute("SELECT max(length(body)) FROM unit").fetchone()
    state.close()
    assert lengths[0] < len(unit.body) * 0.6
