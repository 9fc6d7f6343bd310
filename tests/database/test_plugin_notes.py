"""Attachments and scratchpads: recorded with the resource, replaced with the content.

Deleting the resource deletes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.database import (
    Attachment,
    CommittedSource,
    Database,
    StagedGroup,
    StagedMember,
    Writer,
    scratchpad_digest,
)
from reconciler.errors import Conflict
from reconciler.model import Digest
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
    repository,
)

IMPORTER, PUBLISHER = (
    Attachment("importer:test", Digest.of(b"one")),
    Attachment("publisher:test", None),
)

notes = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_attachments_are_recorded_with_the_resource_and_changed_in_place(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        writer.record_resources(
            [repository(), repository("other")],
            now=NOW,
            attachments={"team": [PUBLISHER, IMPORTER]},
        )
        ids = {name: actual.id for name, actual in writer.actual_state().repositories.items()}
        assert writer.attachments(ids["team"]) == [IMPORTER, PUBLISHER]
        assert writer.attachments(ids["other"]) == []
        changed = Attachment(IMPORTER.owner, Digest.of(b"two"))
        writer.set_scratchpads(ids["team"], {IMPORTER.owner: [1]})
        writer.record_resources([], now=NOW, attachments={"team": [changed]})
        assert writer.attachments(ids["team"]) == [changed, PUBLISHER]
        assert writer.scratchpad(ids["team"], IMPORTER.owner) == [1]
        writer.attach(ids["team"], [IMPORTER])
        assert writer.attachments(ids["team"]) == [IMPORTER, PUBLISHER]


def test_nothing_is_attached_when_the_resource_cannot_be_recorded(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        broken: Any = object()
        with pytest.raises(AttributeError):
            writer.record_resources([broken], now=NOW, attachments={"team": [IMPORTER]})
        assert writer.attachments(id_) == []


def test_detaching_takes_the_note_along_and_leaves_the_others(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        writer.attach(id_, [IMPORTER, PUBLISHER])
        writer.set_scratchpads(
            id_, {IMPORTER.owner: {"a": 1}, PUBLISHER.owner: "b", "repository": [None]}
        )
        for _ in range(2):
            writer.detach(id_, IMPORTER.owner)
            assert writer.attachments(id_) == [PUBLISHER]
            assert writer.scratchpad(id_, IMPORTER.owner) is None
        writer.attach(id_, [IMPORTER])
        assert writer.scratchpad(id_, IMPORTER.owner) is None
        assert (writer.scratchpad(id_, PUBLISHER.owner), writer.scratchpad(id_, "repository")) == (
            "b",
            [None],
        )


def test_a_note_attaches_nobody_and_none_forgets_it(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        writer.attach(id_, [PUBLISHER])
        writer.set_scratchpads(id_, {"repository": 1, IMPORTER.owner: 2, PUBLISHER.owner: 3})
        assert writer.attachments(id_) == [PUBLISHER]
        writer.set_scratchpads(
            id_, {"repository": None, IMPORTER.owner: None, PUBLISHER.owner: None}
        )
        assert [
            writer.scratchpad(id_, owner)
            for owner in ("repository", IMPORTER.owner, PUBLISHER.owner)
        ] == [None] * 3
        assert writer.attachments(id_) == [PUBLISHER]


def test_a_repository_that_comes_back_finds_no_notes(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        kept, gone = created_repository(writer, "kept"), created_repository(writer)
        for id_ in (kept, gone):
            writer.attach(id_, [IMPORTER])
            writer.set_scratchpads(id_, {IMPORTER.owner: 1, "repository": 2})
        writer.record_resources([], now=NOW, deleted=[repository().meta.ref])
        assert (writer.attachments(gone), writer.scratchpad(gone, "repository")) == ([], None)
        assert (writer.attachments(kept), writer.scratchpad(kept, "repository")) == ([IMPORTER], 2)
        assert writer.attachments(created_repository(writer)) == []


def test_what_is_not_json_leaves_every_note_as_it_was(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        writer.set_scratchpads(id_, {"repository": 1})
        for nonsense, error in [(object(), TypeError), (float("nan"), ValueError)]:
            with pytest.raises(error):
                writer.set_scratchpads(id_, {"repository": 2, IMPORTER.owner: nonsense})
        assert writer.scratchpad(id_, "repository") == 1


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(notes, min_size=1, max_size=4))
def test_notes_come_back_as_they_were_written(tmp_path: Path, values: list[Any]) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        for value in values:
            writer.set_scratchpads(id_, {"repository": value})
            assert writer.scratchpad(id_, "repository") == value


def test_a_refused_commit_leaves_the_old_notes_and_the_old_sources(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        writer.set_scratchpads(id_, {IMPORTER.owner: "old", "repository": "old"})
        stage = _staged(writer, id_, "one")
        change(writer, id_, joins=[a_unit("alpha", "two")])
        with pytest.raises(Conflict):
            stage.commit(
                {},
                {"remote:a": CommittedSource("new", SELECTION)},
                NOW,
                scratchpads={IMPORTER.owner: "new", "repository": None},
            )
        assert _notes(writer, id_) == ("old", "old")
        assert writer.committed_source(id_, "remote:a") is None
        stage.discard()


def test_a_note_that_cannot_be_written_refuses_the_content_as_well(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        with _staged(writer, id_, "one") as stage, pytest.raises(TypeError):
            stage.commit({}, {}, NOW, scratchpads={IMPORTER.owner: object()})
        assert writer.versions(id_) == []
        assert writer.committed_groups(id_, "remote:a") == {}


def test_notes_and_sources_are_committed_with_content_and_without(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        with _staged(writer, id_, "one") as stage:
            assert stage.commit(
                {}, {}, NOW, scratchpads={IMPORTER.owner: 1, "repository": 1}
            ).created
        assert _notes(writer, id_) == (1, 1)
        with _staged(writer, id_, "one") as stage:  # the same content once more
            assert not stage.commit({}, {}, NOW, scratchpads={IMPORTER.owner: 2}).created
        assert _notes(writer, id_) == (2, 1)
        with writer.stage(id_) as stage:  # nothing at all
            assert not stage.commit(
                {},
                {"remote:a": CommittedSource("v2", SELECTION)},
                NOW,
                scratchpads={"repository": None},
            ).created
        assert _notes(writer, id_) == (2, None)
        assert writer.committed_source(id_, "remote:a") == CommittedSource("v2", SELECTION)
        assert writer.committed_source(id_, "remote:b") is None
        assert len(writer.versions(id_)) == 1


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(notes, notes)
def test_a_note_is_written_over_by_those_who_have_seen_it(
    tmp_path: Path, first: Any, second: Any
) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        writer.set_scratchpads(id_, {IMPORTER.owner: first, "repository": "kept"})
        seen = {IMPORTER.owner: scratchpad_digest(writer.scratchpad(id_, IMPORTER.owner))}
        writer.set_scratchpads(id_, {IMPORTER.owner: second})
        with writer.stage(id_) as stage:
            if scratchpad_digest(first) == scratchpad_digest(second):
                stage.commit({}, {}, NOW, scratchpads={IMPORTER.owner: "mine"}, seen=seen)
            else:
                with pytest.raises(Conflict, match=f"`{IMPORTER.owner}`"):
                    stage.commit(
                        {},
                        {},
                        NOW,
                        scratchpads={IMPORTER.owner: "mine", "repository": None},
                        seen=seen,
                    )
                assert writer.scratchpad(id_, IMPORTER.owner) == second
        assert writer.scratchpad(id_, "repository") == "kept"


def test_a_reader_sees_notes_and_attachments(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        writer.attach(id_, [IMPORTER])
        writer.set_scratchpads(id_, {"repository": {"deep": [1, {"a": None}]}})
    with Database(f"sqlite:///{tmp_path}/state.db").open(read_only=True) as opened:
        reader = opened.reader()
        assert reader.attachments(id_) == [IMPORTER]
        first = reader.scratchpad(id_, "repository")
        first["deep"].clear()
        assert reader.scratchpad(id_, "repository") == {"deep": [1, {"a": None}]}


def _staged(writer: Writer, id_: int, key: str) -> Any:
    """A stage with one unit that joins `alpha`."""
    unit = a_unit("alpha", key)
    was = group_digests(writer, id_, ["alpha"]).get("alpha")
    writer.record_units(by_group(unit), {})
    stage = writer.stage(id_)
    stage.add(
        [StagedGroup("alpha", "remote:a", was, committed("alpha"))],
        [StagedMember("alpha", unit.digest, "remote:a", True)],
    )
    return stage


def _notes(writer: Writer, id_: int) -> tuple[Any, Any]:
    return writer.scratchpad(id_, IMPORTER.owner), writer.scratchpad(id_, "repository")
