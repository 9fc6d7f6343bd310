"""Packed columns: values come back from the database as they were, and are found by their value."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.sqlite import dialect

from reconciler.database import ServedPublication
from reconciler.database.columns import MediaType, PackedJson, pack_hex, unpack_hex
from reconciler.model import Digest
from tests.support.databases import (
    a_unit,
    by_group,
    change,
    created_publication,
    created_repository,
    database,
)
from tests.support.publishing import published

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


segments = st.sampled_from(
    ["a", "0" * 64, "ab" * 32, "c" * 63, "d" * 40, "E" * 64, "\x00", "\x01", "é\ud800"]
)


@given(st.lists(segments, max_size=4).map("/".join))
def test_a_path_comes_back(path: str) -> None:
    packed = pack_hex(path)
    assert unpack_hex(packed) == path
    assert len(packed) <= len(path.encode("utf-8", "surrogatepass")) + 1


@given(st.sampled_from(["text/html", "application/octet-stream", "image/png", "0/1"]))
def test_a_media_type_comes_back(name: str) -> None:
    column = MediaType()
    assert column.process_result_value(column.process_bind_param(name, SQLITE), SQLITE) == name


def test_folders_that_are_digests_are_listed_and_found_as_others(tmp_path: Path) -> None:
    digests = sorted(Digest.of(str(number).encode()).hex for number in range(300))
    paths = [f"files/{digest}/{part}" for digest in digests for part in ("a", "b")]
    others = ["files/0/x", "files/x", f"files/{digests[7]}0/x"]
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_publication(writer)
        published(writer, id_, {"alpha": [(path, path) for path in (*paths, *others)]})
        served = ServedPublication(id_, "team", "team", 1)
        names = sorted([*(f"{digest}/" for digest in digests), "0/", "x", f"{digests[7]}0/"])
        assert writer.names_below(served, "files/", limit=1_000) == names
        assert writer.names_below(served, f"files/{digests[3]}/", limit=9) == ["a", "b"]
        assert writer.names_below(served, "", limit=9) == ["files/"]
        assert [entry.path for entry in writer.entries(id_, 1, paths[9])] == [paths[9]]
        assert {entry.path for entry in writer.all_entries(id_, 1)} == {*paths, *others}
