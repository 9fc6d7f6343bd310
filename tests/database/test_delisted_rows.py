"""Rows of what upstream no longer lists: which units they mark, and which versions show those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from reconciler.database import StagedGroup, StagedMember, Writer
from reconciler.model import IdentifiedUnit, Kind, Ref
from tests.support.databases import (
    NOW,
    a_unit,
    change,
    committed,
    created_repository,
    database,
    group_digests,
)

ONE, TWO, NEW = a_unit("alpha", "one"), a_unit("alpha", "two"), a_unit("alpha", "two", "yanked")
KEY = ("test.file", "two")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with database(tmp_path) as opened:
        yield opened.writer()


def delist(
    writer: Writer,
    id_: int,
    *,
    source: str = "remote:a",
    leaves: Iterable[IdentifiedUnit] = (),
    again: bool = False,
) -> None:
    """Commit that a source no longer lists `two`, or lists it again."""
    was = group_digests(writer, id_, ["alpha"]).get("alpha")
    keys = ((), [KEY]) if again else ([KEY], ())
    with writer.stage(id_) as stage:
        stage.add(
            [StagedGroup("alpha", source, was, committed("alpha"), *keys)],
            [StagedMember("alpha", unit.digest, source, False) for unit in leaves],
        )
        stage.commit({}, {}, NOW)


def found(writer: Writer, id_: int, number: int) -> list[tuple[str, int]]:
    units = writer.delisted_units(id_, number)
    assert all(
        (unit.group, unit.type, unit.source) == ("alpha", *KEY[:1], "remote:a") for unit in units
    )
    return [(unit.key, unit.brought_by) for unit in units]


def copies(writer: Writer, id_: int, *, of: int) -> list[str]:
    return [unit.key for unit in writer.delisted_copies(id_, 1, source="repository:team", of=of)]


def test_a_mirror_shows_it_in_the_versions_before_and_additive_content_in_all(
    writer: Writer,
) -> None:
    """Also under the bytes that the name had before: no later reading would find those."""
    id_ = created_repository(writer)
    change(writer, id_, joins=[ONE, TWO])
    change(writer, id_, joins=[NEW], leaves=[TWO])
    delist(writer, id_)
    assert [found(writer, id_, number) for number in (0, 1, 2)] == [[], [("two", 1)], [("two", 1)]]
    delist(writer, id_, leaves=[NEW])
    assert [found(writer, id_, number) for number in (1, 2, 3)] == [[("two", 1)], [("two", 1)], []]
    assert writer.delisted_keys(id_, "remote:a", ["alpha"]) == {"alpha": {KEY}}
    assert writer.left_keys(id_, "remote:a", ["alpha"]) == {"alpha": {KEY}}
    delist(writer, id_, again=True)
    assert [found(writer, id_, number) for number in (1, 2, 3)] == [[], [], []]
    assert writer.delisted_digests(id_) == set()


def test_sources_that_bring_the_same_are_told_apart(writer: Writer) -> None:
    """And what a copy has of it counts as long as no other source of its base lists it."""
    id_, copy = created_repository(writer), created_repository(writer, "copy")
    for source in ("remote:a", "upload"):
        change(writer, id_, joins=[ONE, TWO], source=source)
    change(writer, copy, joins=[ONE, TWO], source="repository:team")
    delist(writer, id_)
    assert found(writer, id_, 1) == [("two", 2)], "two sources bring it, one no longer lists it"
    assert copies(writer, copy, of=id_) == []
    change(writer, id_, leaves=[TWO], source="upload")
    assert copies(writer, copy, of=id_) == ["two"]
    assert writer.delisted_digests(id_) == {TWO.digest}


def test_it_goes_with_its_repository(writer: Writer) -> None:
    id_ = created_repository(writer)
    change(writer, id_, joins=[ONE, TWO])
    delist(writer, id_)
    writer.record_resources([], now=NOW, deleted=[Ref(Kind.REPOSITORY, "team")])
    assert found(writer, id_, 1) == []
