"""Resources and the journal: recorded as given, deleted with all that they held."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from reconciler.database import (
    Attachment,
    Outcome,
    Reader,
    RunRecord,
    StagedGroup,
    StagedMember,
    schema,
)
from reconciler.errors import Origin
from reconciler.model import ActualResource, Digest
from tests.support.databases import (
    NOW,
    a_unit,
    change,
    committed,
    created_repository,
    database,
    publication,
    repository,
)
from tests.support.publishing import published

KEPT = {
    "unit",
    "artifact",
    "unit_artifact",
    "artifact_origin",
    "page",
    "generation",
    "run",
    "lease",
}  # content and history outlive resources


def test_resources_are_recorded_as_given_and_updated_in_place(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        team, shown = repository(), publication()
        writer.record_resources(
            [team, shown], now=NOW, secrets={shown.meta.ref: {"spec.access": "f1"}}
        )
        state = writer.actual_state()
        assert state.resources[shown.meta.ref] == ActualResource(
            shown.meta.ref,
            {"team": "data"},
            {"note": "x"},
            shown.spec,
            {"spec.access": "f1"},
            os.getcwd(),
        )
        change(
            writer,
            state.repositories["team"].id,
            joins=[a_unit("alpha", "one"), a_unit("alpha", "two")],
        )
        writer.record_resources([team], now=NOW + timedelta(days=1))
        again = writer.actual_state().repositories["team"]
        assert (again.id, again.number, again.units) == (state.repositories["team"].id, 1, 2)
        assert writer.actual_state().publications["team"].version is None


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("/etc/reconciler/a.yaml", "/etc/reconciler"),
        ("/etc/reconciler/../b.yaml", "/etc"),
        ("<stdin>", ""),
        ("-", ""),
        ("", ""),
    ],
)
def test_the_folder_of_the_manifest_is_recorded_and_none_where_there_is_no_file(
    tmp_path: Path, file: str, folder: str
) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        for at in ("/elsewhere/a.yaml", file):
            moved = msgspec.structs.replace(
                repository(), meta=msgspec.structs.replace(repository().meta, origin=Origin(at, 1))
            )
            writer.record_resources([moved], now=NOW)
        assert writer.actual_state().resources[moved.meta.ref].folder == folder


def rows(reader: Reader) -> dict[str, int]:
    with reader._reading.connect() as connection:
        counted = {
            table.name: len(connection.execute(table.select()).all())
            for table in schema.metadata.sorted_tables
        }
    return {name: count for name, count in counted.items() if count}


def test_deleting_takes_everything_along_and_leaves_others_alone(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        kept = created_repository(writer, "kept")
        unit = a_unit("alpha", "one")
        change(writer, kept, joins=[unit])
        before = rows(writer)
        team = created_repository(writer)
        change(writer, team, joins=[unit])
        writer.record_resources([publication()], now=NOW)
        shown = writer.actual_state().publications["team"].id
        record = published(writer, shown, {"alpha": [("a", "1")]}, full=True)
        writer.point(shown, record.number)
        writer.attach(team, [Attachment("importer:test", None)])
        writer.set_scratchpads(team, {"repository": {"seen": 1}})
        stage = writer.stage(team)
        stage.add(
            [StagedGroup("beta", "remote:a", None, committed("beta"))],
            [StagedMember("beta", unit.digest, "remote:a", True)],
        )
        writer.record_resources(
            [],
            now=NOW,
            deleted=[repository().meta.ref, publication().meta.ref, publication().meta.ref],
        )
        after = rows(writer)
        assert {name: count for name, count in after.items() if name not in KEPT} == {
            n: c for n, c in before.items() if n not in KEPT
        }
        assert writer.actual_state().repositories.keys() == {"kept"}
        assert writer.counts(kept, 1) == {"test.file": 1}
        assert created_repository(writer) not in (team, shown)


def test_runs_are_told_newest_first_with_their_outcomes(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        plan, manifests = Digest.of(b"plan"), Digest.of(b"manifests")
        first = writer.start_run(
            plan_digest=plan, manifest_digest=manifests, provenance={"commit": "abc"}, now=NOW
        )
        second = writer.start_run(plan_digest=None, manifest_digest=None, provenance={}, now=NOW)
        outcomes = (
            Outcome("repository/team", "failed", "no answer"),
            Outcome("publication/team", "blocked"),
        )
        writer.finish_run(first, outcomes, NOW + timedelta(seconds=1))
        assert writer.runs(5) == [
            RunRecord(second, NOW, None, None, None),
            RunRecord(
                first, NOW, NOW + timedelta(seconds=1), plan, manifests, {"commit": "abc"}, outcomes
            ),
        ]
        assert len(writer.runs(1)) == 1
