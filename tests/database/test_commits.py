"""Compare and swap: a version is made of what the plan saw, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.database import (
    CommittedGroup,
    CommittedSource,
    Database,
    StagedGroup,
    StagedMember,
    Writer,
)
from reconciler.errors import Conflict, StateFault
from reconciler.model import EMPTY_VERSION, Digest, group_digest
from tests.support.databases import (
    NOW,
    SELECTION,
    a_unit,
    by_group,
    change,
    committed,
    created_repository,
    database,
    group_digests,
)


def test_version_0_is_there_from_the_beginning_and_not_listed(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        first = writer.version(id_, 0)
        assert first is not None
        assert (first.number, first.digest, first.created_at) == (0, EMPTY_VERSION, NOW)
        assert writer.versions(id_) == []
        assert writer.version_by_digest(id_, EMPTY_VERSION) == 0
        assert list(writer.group_names(id_, 0)) == []


def test_a_group_that_moved_refuses_the_commit_by_name_and_changes_nothing(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        change(writer, id_, joins=[a_unit("alpha", "one"), a_unit("beta", "one")])
        seen = group_digests(writer, id_, ["alpha", "beta", "gamma"])
        assert seen.keys() == {"alpha", "beta"}
        change(writer, id_, joins=[a_unit("beta", "two")])
        before = writer.actual_state(), writer.committed_groups(id_, "remote:b")
        with pytest.raises(Conflict, match="`beta`") as refusal:
            change(
                writer,
                id_,
                joins=[a_unit("alpha", "two"), a_unit("beta", "three")],
                source="remote:b",
                was=seen,
            )
        assert "alpha" not in str(refusal.value)
        assert (writer.actual_state(), writer.committed_groups(id_, "remote:b")) == before
        assert change(writer, id_, joins=[a_unit("alpha", "two")], was=seen).number == 3


def test_a_group_that_appeared_or_vanished_refuses_as_well(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        unit = a_unit("alpha", "one")
        change(writer, id_, joins=[unit])
        with pytest.raises(Conflict):
            change(writer, id_, joins=[a_unit("alpha", "two")], was={})
        seen = group_digests(writer, id_, ["alpha"])
        change(writer, id_, leaves=[unit])
        assert group_digests(writer, id_, ["alpha"]) == {}
        with pytest.raises(Conflict):
            change(writer, id_, joins=[a_unit("alpha", "two")], was=seen)


def test_two_writers_to_different_groups_both_commit(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        id_ = created_repository(opened.writer())

        def work(number: int) -> int:
            return change(opened.writer(), id_, joins=[a_unit(f"group-{number}", "one")]).number

        with ThreadPoolExecutor(8) as pool:
            numbers = list(pool.map(work, range(24)))
        assert sorted(numbers) == list(range(1, 25))
        assert opened.reader().counts(id_, 24) == {"test.file": 24}


def test_of_two_writers_to_one_group_the_second_is_refused(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        units = [a_unit("alpha", f"key-{number}") for number in range(8)]
        writer.record_units(by_group(*units), {})
        stages = [writer.stage(id_) for _ in units]
        for stage, unit in zip(stages, units, strict=True):
            stage.add(
                [StagedGroup("alpha", "remote:a", None, committed("alpha"))],
                [StagedMember("alpha", unit.digest, "remote:a", True)],
            )

        def work(index: int) -> bool:
            try:
                return stages[index].commit({}, {}, NOW).created
            except Conflict:
                return False

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(work, range(8))) == 1
        assert opened.reader().counts(id_, 1) == {"test.file": 1}


def test_nothing_staged_is_seen_before_the_commit_or_after_a_discard(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        unit = a_unit("alpha", "one")
        writer.record_units(by_group(unit), {})
        before = writer.actual_state()
        with writer.stage(id_) as stage:
            stage.add(
                [StagedGroup("alpha", "remote:a", None, committed("alpha"))],
                [StagedMember("alpha", unit.digest, "remote:a", True)],
            )
            assert writer.actual_state() == before
            assert writer.current_units(id_, ["alpha"]) == {}
        assert writer.committed_groups(id_, "remote:a") == {}
        with pytest.raises(Conflict):
            stage.commit({}, {}, NOW)


def test_a_unit_whose_bytes_are_not_stored_cannot_join(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        unit = a_unit("alpha", "one", artifact=True, size=7)
        with pytest.raises(StateFault, match="`one`"):
            change(writer, id_, joins=[unit])
        assert writer.versions(id_) == []
        writer.record_units(by_group(unit), {Digest.parse(unit.unit.artifacts[0].sha256): 7})
        assert change(writer, id_, joins=[unit]).number == 1


def test_a_unit_that_was_never_recorded_cannot_be_staged(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        unknown = a_unit("alpha", "one")
        with (
            writer.stage(id_) as stage,
            pytest.raises(StateFault, match=r"never recorded.*`alpha`"),
        ):
            stage.add(
                [StagedGroup("alpha", "remote:a", None, None)],
                [StagedMember("alpha", unknown.digest, "remote:a", True)],
            )


def test_a_member_cannot_be_staged_without_the_compare_of_its_group(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        change(writer, id_, joins=[a_unit("alpha", "one")])
        other = a_unit("alpha", "two")
        writer.record_units(by_group(other), {})
        with writer.stage(id_) as stage, pytest.raises(StateFault, match="`alpha`"):
            stage.add([], [StagedMember("alpha", other.digest, "remote:a", True)])


def test_validators_alone_are_remembered_without_a_version(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        unit = a_unit("alpha", "one")
        first = change(writer, id_, joins=[unit])
        later = NOW + timedelta(days=7, microseconds=1)
        remembered = CommittedGroup("alpha", None, SELECTION, later)
        with writer.stage(id_) as stage:
            stage.add(
                [StagedGroup("alpha", "remote:a", group_digest([unit.digest]), remembered)], []
            )
            result = stage.commit({}, {"remote:a": CommittedSource("list-2", SELECTION)}, NOW)
        assert (result.created, result.number, result.digest) == (False, 1, first.digest)
        assert writer.committed_groups(id_, "remote:a") == {"alpha": remembered}
        assert writer.committed_sources(id_) == {"remote:a": CommittedSource("list-2", SELECTION)}
        with writer.stage(id_) as stage:
            stage.add([StagedGroup("alpha", "remote:a", group_digest([unit.digest]), None)], [])
            stage.commit({}, {"remote:a": CommittedSource(None, None)}, NOW)
        assert writer.committed_groups(id_, "remote:a") == {}
        assert writer.committed_sources(id_) == {"remote:a": CommittedSource(None, None)}


def test_a_unit_that_only_changes_hands_makes_no_version(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        unit = a_unit("alpha", "one")
        first = change(writer, id_, joins=[unit], source="remote:a")
        assert not change(writer, id_, joins=[unit], source="remote:b").created
        for source, other in [("remote:a", "remote:b"), ("remote:b", "remote:a")] * 2:
            _hand_over(writer, id_, source, other)
        latest = writer.actual_state().repositories["team"]
        assert (latest.number, latest.digest, latest.units) == (1, first.digest, 1)
        assert [current.source for current in writer.current_units(id_, ["alpha"])["alpha"]] == [
            "remote:a"
        ]
        assert next(iter(writer.difference(id_, 0, 1))).after == unit.body


def _hand_over(writer: Writer, id_: int, source: str, other: str) -> None:
    """The unit leaves `source` and joins the other one."""
    unit = a_unit("alpha", "one")
    was = group_digests(writer, id_, ["alpha"])["alpha"]
    with writer.stage(id_) as stage:
        stage.add(
            [StagedGroup("alpha", name, was, committed("alpha")) for name in (source, other)],
            [
                StagedMember("alpha", unit.digest, source, False),
                StagedMember("alpha", unit.digest, other, True),
            ],
        )
        assert not stage.commit({}, {}, NOW).created
    assert [current.source for current in writer.current_units(id_, ["alpha"])["alpha"]] == [other]


def test_provenance_is_kept_with_the_version(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        unit = a_unit("alpha", "one")
        writer.record_units(by_group(unit), {})
        with writer.stage(id_) as stage:
            stage.add(
                [StagedGroup("alpha", "remote:a", None, committed("alpha"))],
                [StagedMember("alpha", unit.digest, "remote:a", True)],
            )
            stage.commit({"commit": "abc", "plugin": {"test": "1"}}, {}, NOW)
        record = writer.version(id_, 1)
        assert record is not None
        assert record.provenance == {"commit": "abc", "plugin": {"test": "1"}}


def test_a_reader_sees_what_was_committed_and_cannot_write(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        id_ = created_repository(opened.writer())
        change(opened.writer(), id_, joins=[a_unit("alpha", "one")])
        with Database(f"sqlite:///{tmp_path}/state.db").open(read_only=True) as other:
            assert other.reader().counts(id_, 1) == {"test.file": 1}
