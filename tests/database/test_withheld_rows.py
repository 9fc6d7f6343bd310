"""Withheld units of publications in the database, and sources of units to evaluate."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from reconciler.database import QUARANTINED, PublicationRecord, Writer, migration
from reconciler.model import EMPTY_VERSION, Digest, FilterVerdict, Kind, Ref
from tests.support.databases import (
    NOW,
    a_unit,
    by_group,
    change,
    created_publication,
    created_repository,
    database,
)
from tests.support.publishing import an_entry, published

ONE, TWO, THREE = (
    a_unit(group, key) for group, key in (("alpha", "one"), ("alpha", "two"), ("beta", "three"))
)
RULES = Digest.of(b"rules")
TOMORROW = NOW + timedelta(days=1)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with database(tmp_path) as opened:
        writer = opened.writer()
        writer.record_units(by_group(ONE, TWO, THREE), {})
        yield writer


def judged(*units: Digest) -> FilterVerdict:
    return FilterVerdict(
        RULES,
        Digest.of_value([str(unit) for unit in units]) if units else None,
        len(units),
        TOMORROW,
    )


def withholding(
    writer: Writer,
    id_: int,
    withheld: Mapping[Digest, str],
    *,
    before: Mapping[Digest, str] | None = None,
) -> PublicationRecord:
    with writer.publish(
        id_, version=1, version_digest=EMPTY_VERSION, digest=EMPTY_VERSION, now=NOW, full=False
    ) as stage:
        stage.replace_group(None, [an_entry(None, "index", "page")], {})
        stage.withhold(judged(*withheld), withheld, before=before)
        return stage.complete()


def left_out(writer: Writer, id_: int, number: int) -> dict[str, str]:
    return {
        f"{withheld.group}/{withheld.key}": withheld.reason
        for withheld in writer.withheld(id_, number).values()
    }


def test_every_publication_leaves_out_what_was_said_of_it(writer: Writer) -> None:
    id_, other = created_publication(writer), created_publication(writer, "other", "other")
    first = withholding(writer, id_, {THREE.digest: "denied", ONE.digest: "denied"})
    withholding(writer, other, {TWO.digest: "elsewhere"})
    withholding(writer, id_, {ONE.digest: "denied otherwise", TWO.digest: "denied"})
    withholding(writer, id_, {})
    withholding(writer, id_, {ONE.digest: "again"})
    assert [left_out(writer, id_, number) for number in range(6)] == [
        {},
        {"alpha/one": "denied", "beta/three": "denied"},
        {"alpha/one": "denied otherwise", "alpha/two": "denied"},
        {},
        {"alpha/one": "again"},
        {"alpha/one": "again"},
    ]
    assert list(writer.withheld(id_, 1)) == [ONE.digest, THREE.digest], "by group, type and key"
    assert writer.publication_numbered(id_, 1) == first
    assert first.verdict == judged(THREE.digest, ONE.digest)
    assert left_out(writer, other, 1) == {"alpha/two": "elsewhere"}


def test_what_was_said_is_read_with_what_is_served(writer: Writer) -> None:
    id_ = created_publication(writer)
    assert writer.actual_state().publications["team"].verdict == FilterVerdict()
    published(writer, id_, {"alpha": [("a", "1")]})
    second = withholding(writer, id_, {ONE.digest: "denied"})
    for number, said in ((1, FilterVerdict()), (2, second.verdict)):
        writer.point(id_, number)
        shown = writer.actual_state().publications["team"]
        assert (shown.number, shown.verdict) == (number, said)
        record = writer.publication(id_)
        assert record is not None
        assert record.verdict == said
    assert second.verdict == judged(ONE.digest)


def test_a_publication_that_is_not_completed_leaves_nothing_behind(writer: Writer) -> None:
    id_ = created_publication(writer)
    withholding(writer, id_, {ONE.digest: "denied"})
    for discarded in (True, False):  # the second time a run dies, and the next publication sweeps
        stage = writer.publish(
            id_, version=1, version_digest=EMPTY_VERSION, digest=EMPTY_VERSION, now=NOW, full=False
        )
        stage.withhold(judged(TWO.digest), {TWO.digest: "denied"})
        if discarded:
            stage.discard()
    assert left_out(writer, id_, 1) == {"alpha/one": "denied"}
    withholding(writer, id_, {ONE.digest: "denied"})
    assert left_out(writer, id_, 2) == {"alpha/one": "denied"}


def test_asked_again_only_words_and_times_change(writer: Writer) -> None:
    id_ = created_publication(writer)
    withholding(writer, id_, {ONE.digest: "denied", TWO.digest: "denied"})
    again = FilterVerdict(Digest.of(b"others"), judged(ONE.digest, TWO.digest).withheld, 2, None)
    writer.judge(
        id_,
        1,
        again,
        reasons={
            ONE.digest: "denied by another",
            TWO.digest: "denied",
            THREE.digest: "never withheld",
        },
    )
    assert left_out(writer, id_, 1) == {"alpha/one": "denied by another", "alpha/two": "denied"}
    record = writer.last_complete(id_)
    assert record is not None
    assert record.verdict == again


def test_a_publication_writes_only_what_is_withheld_otherwise_than_before(
    writer: Writer, tmp_path: Path
) -> None:
    """Kind: cost follows change. What stays withheld keeps its row; a quarantine is found alone."""
    id_ = created_publication(writer)
    before = {ONE.digest: "denied", TWO.digest: "denied"}
    withholding(writer, id_, before)
    after = {ONE.digest: "denied", THREE.digest: QUARANTINED}
    withholding(writer, id_, after, before=before)
    assert left_out(writer, id_, 2) == {"alpha/one": "denied", "beta/three": QUARANTINED}
    assert [writer.quarantined_groups(id_, number) for number in (1, 2)] == [set(), {"beta"}]
    with sqlite3.connect(tmp_path / "state.db") as opened:
        rows = opened.execute("SELECT added, removed FROM publication_withheld").fetchall()
    opened.close()
    assert sorted(map(str, rows)) == ["(1, 2)", "(1, None)", "(2, None)"]


def test_what_is_left_out_goes_with_its_publication(writer: Writer) -> None:
    id_ = created_publication(writer)
    withholding(writer, id_, {ONE.digest: "denied"})
    writer.record_resources([], now=NOW, deleted=[Ref(Kind.PUBLICATION, "team")])
    assert left_out(writer, id_, 1) == {}
    assert writer.actual_state().publications == {}


def test_who_brought_what_a_version_holds(writer: Writer) -> None:
    id_ = created_repository(writer)
    sized = a_unit("alpha", "sized", artifact=True)
    digest = Digest.parse(sized.unit.artifacts[0].sha256)
    writer.record_units(by_group(sized), {digest: 7})
    change(writer, id_, joins=[ONE, sized])
    change(writer, id_, joins=[ONE, TWO, THREE], source="upload")

    def brought(number: int, *names: str) -> list[tuple[str, str, str]]:
        sourced = writer.sourced_units(id_, number, names)
        return [
            (name, unit.unit.key, unit.source) for name, units in sourced.items() for unit in units
        ]

    assert brought(1, "alpha", "beta") == [
        ("alpha", "one", "remote:a"),
        ("alpha", "sized", "remote:a"),
    ]
    assert brought(2, "alpha") == [
        ("alpha", "one", "remote:a"),
        ("alpha", "one", "upload"),
        ("alpha", "sized", "remote:a"),
        ("alpha", "two", "upload"),
    ]
    [sourced] = [
        unit
        for unit in writer.sourced_units(id_, 1, ["alpha"])["alpha"]
        if unit.unit.key == "sized"
    ]
    assert (sourced.digest, sourced.unit.artifacts[0].size) == (sized.digest, 7)


def test_groups_in_which_others_have_something(writer: Writer) -> None:
    id_ = created_repository(writer)
    change(writer, id_, joins=[ONE, THREE])
    change(writer, id_, joins=[TWO], source="upload")
    assert writer.groups_of_others(id_, 1, ["remote:a"]) == []
    assert writer.groups_of_others(id_, 2, ["remote:a"]) == ["alpha"]
    assert writer.groups_of_others(id_, 2, ["upload"]) == ["alpha", "beta"]
    assert writer.groups_of_others(id_, 2, ["upload"], names=["beta", "gamma"]) == ["beta"]
    assert writer.groups_of_others(id_, 2, ["remote:a", "upload"]) == []


def test_publications_of_the_release_before_are_kept_and_count_as_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = create_engine(f"sqlite:///{tmp_path}/state.db")
    with monkeypatch.context() as patched, old.begin() as session:
        patched.setattr(migration, "HEAD", "0002")
        migration.upgrade(session, migration.scripts())
    old.dispose()
    digest = Digest.of(b"shown")
    with sqlite3.connect(tmp_path / "state.db") as opened:
        spec = '{"path":"team","repository":"team"}'
        opened.execute(
            "INSERT INTO resource VALUES (4, 'Publication', 'team', '{}', '{}', ?, '{}', 'team',"
            " 'test', 1, 1, '')",
            (spec,),
        )
        opened.execute(
            "INSERT INTO publication VALUES (4, 1, 3, ?, ?, 1, 1)", (EMPTY_VERSION.raw, digest.raw)
        )
        opened.execute("INSERT INTO pointer VALUES (4, 1)")
    opened.close()
    with database(tmp_path) as opened_again:
        writer = opened_again.writer()
        shown = writer.actual_state().publications["team"]
        assert (shown.version, shown.digest, shown.number, shown.verdict) == (
            3,
            digest,
            1,
            FilterVerdict(),
        )
        writer.record_units(by_group(ONE), {})
        withholding(writer, 4, {ONE.digest: "denied"})
        assert left_out(writer, 4, 2) == {"alpha/one": "denied"}
