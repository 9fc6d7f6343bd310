"""Committed states of sources, due times, failures, and sources of units."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, event

from reconciler.database import (
    CommittedGroup,
    CommittedSource,
    Database,
    FoundUnit,
    Reader,
    StagedGroup,
    Writer,
    connection,
)
from tests.support.databases import (
    NOW,
    SELECTION,
    a_unit,
    change,
    created_repository,
    database,
    group_digests,
)

SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=9)


def remember(
    writer: Writer,
    id_: int,
    name: str,
    *,
    due: datetime | None = None,
    failed: bool = False,
    source: str = "remote:a",
) -> None:
    """Commit this of a group, and no content."""
    was = group_digests(writer, id_, [name]).get(name)
    with writer.stage(id_) as stage:
        stage.add(
            [
                StagedGroup(
                    name, source, was, CommittedGroup(name, None if failed else "v", SELECTION, due)
                )
            ],
            [],
        )
        stage.commit({}, {}, NOW)


def selects(engine: Engine) -> list[str]:
    """Texts of the queries that it will be asked from now on."""
    asked: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    return asked


def test_a_source_is_due_when_the_first_of_its_groups_is(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_, other = created_repository(writer), created_repository(writer, "other")
        assert writer.source_due(id_, "remote:a") is None
        for name, due in [("alpha", LATER), ("beta", None), ("gamma", SOON)]:
            remember(writer, id_, name, due=due)
        assert writer.source_due(id_, "remote:a") == SOON
        assert writer.source_due(id_, "remote:b") is None
        assert writer.source_due(other, "remote:a") is None
        remember(writer, id_, "gamma")
        assert writer.source_due(id_, "remote:a") == LATER


def test_a_source_is_incomplete_as_long_as_one_of_its_groups_has_no_validator(
    tmp_path: Path,
) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        remember(writer, id_, "alpha")
        assert not writer.source_incomplete(id_, "remote:a")
        remember(writer, id_, "beta", failed=True, source="remote:b")
        assert not writer.source_incomplete(id_, "remote:a")
        remember(writer, id_, "alpha", failed=True)
        assert writer.source_incomplete(id_, "remote:a")
        remember(writer, id_, "alpha")
        assert not writer.source_incomplete(id_, "remote:a")


def test_what_is_due_and_what_failed_is_asked_of_an_index(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        created_repository(opened.writer())
    engine = connection.reading(Database(f"sqlite:///{tmp_path}/state.db")._url)
    asked = selects(engine)
    reader = Reader(engine)
    reader.source_due(1, "remote:a")
    reader.source_incomplete(1, "remote:a")
    with engine.connect() as session:
        plans = [
            session.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", ("x",) * statement.count("?")
            ).all()
            for statement in asked
        ]
    engine.dispose()
    for plan, index in zip(
        plans, ("ix_source_group_due", "ix_source_group_incomplete"), strict=True
    ):
        assert len(plan) == 1
        assert index in plan[0][3]


def test_how_a_source_stood_is_told_one_by_one_and_all_at_once(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        stood = {
            "remote:a": CommittedSource("v1", SELECTION),
            "upload": CommittedSource(None, None),
        }
        with writer.stage(id_) as stage:
            assert not stage.commit({}, stood, NOW).created
        assert writer.committed_sources(id_) == stood
        assert {name: writer.committed_source(id_, name) for name in stood} == stood
        assert writer.committed_source(id_, "remote:b") is None


def test_a_unit_is_found_by_key_or_group_with_its_source_and_since_when(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        first, second, same_name = (
            a_unit("alpha", "one"),
            a_unit("alpha", "two"),
            a_unit("one", "three"),
        )
        change(writer, id_, joins=[first])
        change(writer, id_, joins=[second, same_name], source="upload")
        change(writer, id_, leaves=[first])
        in_first = FoundUnit("alpha", first.digest, first.body, "remote:a", 1)
        in_second = FoundUnit("alpha", second.digest, second.body, "upload", 2)
        in_third = FoundUnit("one", same_name.digest, same_name.body, "upload", 2)
        assert writer.find_units(id_, 2, "one") == [in_first, in_third]
        assert writer.find_units(id_, 2, "alpha") == [in_first, in_second]
        assert writer.find_units(id_, 3, "one") == [in_third]
        assert writer.find_units(id_, 1, "two") == writer.find_units(id_, 0, "one") == []


def test_groups_of_the_latest_version_are_told_without_touching_units(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        first, second = a_unit("alpha", "one"), a_unit("beta", "two")
        change(writer, id_, joins=[first, second])
        change(writer, id_, leaves=[first])
        expected = group_digests(writer, id_, ["alpha", "beta"])
        asked = selects(writer._reading)
        assert dict(writer.version_groups(id_, 2)) == expected
        assert asked
        assert not any("membership" in statement for statement in asked)
        assert [name for name, _ in writer.version_groups(id_, 1)] == ["alpha", "beta"]
        assert list(writer.version_groups(id_, 0)) == []
