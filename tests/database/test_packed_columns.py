"""Packed columns: values come back from the database as they were, and are found by their value."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import TypeDecorator
from sqlalchemy.dialects.sqlite import dialect

from reconciler.database import ServedPublication
from reconciler.database.columns import (
    HexPacked,
    MediaType,
    PackedJson,
    from_json,
    pack_hex,
    unpack_hex,
)
from reconciler.errors import StateFault
from reconciler.model import Digest, canonical, stored_unit
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


@given(st.lists(st.binary(min_size=15, max_size=33).map(bytes.hex), max_size=3))
def test_digests_of_a_body_come_back_and_take_their_bytes(digests: list[str]) -> None:
    body = canonical({"artifacts": [{"path": "a", "sha256": digest} for digest in digests]})
    packed = COLUMN.process_bind_param(body, SQLITE)
    assert packed is not None
    assert COLUMN.process_result_value(packed, SQLITE) == body
    assert len(packed) <= 45 + len("".join(digests)) * 0.8


BODY = a_unit("alpha", "alpha-1.0-py3-none-any.whl", artifact=True).body
PATH = f"files/{Digest.of(b'a').hex}/a"


@given(st.data())
def test_damage_of_what_is_packed_is_a_fault_of_the_state(data: st.DataObject) -> None:
    """Kind: a packed value that cannot be read; never the error of a library."""
    columns: list[tuple[TypeDecorator[Any], Any, Callable[[Any], object]]] = [
        (COLUMN, BODY, stored_unit),
        (HexPacked(), PATH, str),
    ]
    column, value, read = data.draw(st.sampled_from(columns))
    packed = column.process_bind_param(value, SQLITE)
    assert isinstance(packed, bytes)
    at, byte = data.draw(st.integers(0, len(packed) - 1)), data.draw(st.binary(max_size=1))
    damaged = packed[:at] + byte + (packed[at + 1 :] if byte else b"")
    with suppress(StateFault):  # else it reads as something else, which only its digest tells
        read(column.process_result_value(damaged, SQLITE))


@pytest.mark.parametrize(
    ("column", "damaged"),
    [
        (COLUMN, b"\x01\xff"),
        (COLUMN, (COLUMN.process_bind_param(BODY, SQLITE) or b"")[:-1]),
        (HexPacked(), b"files/\x01"),
        (HexPacked(), b"files/\x01\x20abc"),
        (HexPacked(), b"files/\xff"),
    ],
)
def test_damage_says_what_and_what_now(column: TypeDecorator[Any], damaged: bytes) -> None:
    with pytest.raises(StateFault, match="the database holds a damaged") as fault:
        column.process_result_value(damaged, SQLITE)
    assert "backup" in (fault.value.hint or "")


def test_a_body_or_a_json_text_that_is_none_is_a_fault_of_the_state() -> None:
    reads = (partial(stored_unit, b"{"), partial(stored_unit, b"\xff"), partial(from_json, "{"))
    for read in reads:
        with pytest.raises(StateFault, match="damaged") as fault:
            read()
        assert "backup" in (fault.value.hint or "")


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
