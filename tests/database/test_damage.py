"""`stored` is a claim: what takes it back, who relies on it, and what makes it true again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.database import Damage, Entry, Writer
from reconciler.model import Digest, artifact_digest
from tests.support.databases import (
    NOW,
    a_unit,
    by_group,
    change,
    created_publication,
    created_repository,
    database,
)

UNITS = [a_unit("alpha", key, artifact=True, size=3) for key in ("one", "two")]
ONE, TWO = (artifact_digest(unit.artifacts[0]) for unit in UNITS)
SIZES = {ONE: 3, TWO: 3}


def recorded(writer: Writer) -> int:
    """Return the ID of a repository whose version 1 holds both units."""
    repository_id = created_repository(writer)
    writer.record_units(by_group(*UNITS), SIZES)
    change(writer, repository_id, joins=UNITS)
    return repository_id


def test_damage_takes_back_that_bytes_are_stored_until_they_are_again(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        recorded(writer)
        assert writer.record_damage({ONE: "missing", TWO: "changed"}, NOW) == {ONE, TWO}
        assert writer.record_damage({ONE: "missing"}, NOW) == set(), "an event happens once"
        assert writer.stored([ONE, TWO]) == set()
        assert sorted(record.digest for record in writer.damage()) == sorted([ONE, TWO])
        writer.artifact_stored(ONE, 3)
        assert writer.damage() == [Damage(TWO, "changed", NOW)]
        writer.record_units(by_group(*UNITS), SIZES)
        assert writer.damage() == []
        assert writer.stored([ONE, TWO]) == {ONE, TWO}


def test_what_was_never_stored_cannot_be_damaged(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        writer.record_units(by_group(UNITS[0]), {})
        assert writer.record_damage({ONE: "missing", TWO: "missing"}, NOW) == set()
        assert writer.damage() == []


def test_damage_names_every_repository_that_needs_the_bytes(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        first = recorded(writer)
        other = created_repository(writer, "other")
        change(writer, other, joins=UNITS[:1])
        change(writer, first, leaves=UNITS[:1])  # an old version still needs it
        uses = writer.artifact_uses([ONE])
        assert [(use.digest, use.repository, use.group, use.path) for use in uses] == [
            (ONE, "other", "alpha", "one"),
            (ONE, "team", "alpha", "one"),
        ]
        assert uses[0].body == bytes(UNITS[0].body)


def test_needed_is_what_any_version_or_commit_in_preparation_or_publication_names(
    tmp_path: Path,
) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        repository_id = recorded(writer)
        change(writer, repository_id, leaves=UNITS[:1])
        unused = a_unit("beta", "three", artifact=True, size=3)
        writer.record_units(by_group(unused), {})
        assert writer.needed_artifacts() == {ONE.raw, TWO.raw}
        assert dict(writer.artifacts_of_repository(repository_id)) == SIZES
        assert dict(writer.stored_artifacts()) == SIZES
        writer.artifacts_removed([TWO])
        assert writer.stored([ONE, TWO]) == {ONE}


def test_a_publication_lists_what_it_shows_and_what_appeared_in_it(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        recorded(writer)
        publication_id = created_publication(writer)
        for digests in ([ONE], [ONE, TWO]):
            entries = [
                Entry(digest.hex, "text/plain", "alpha", False, digest, 3) for digest in digests
            ]
            with writer.publish(
                publication_id,
                version=1,
                version_digest=Digest.of(b"v"),
                digest=Digest.of(str(digests).encode()),
                now=NOW,
                full=True,
            ) as stage:
                stage.replace_group("alpha", entries, {})
                number = stage.complete({}, {}).number
        assert dict(writer.artifacts_of_publication(publication_id, number)) == SIZES
        assert dict(writer.appeared_artifacts(publication_id, number)) == {TWO: 3}
        assert dict(writer.appeared_artifacts(publication_id, number - 1)) == {ONE: 3}


def test_artifacts_are_read_without_a_query_open_for_as_long_as_that_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: the write-ahead log grows past its checkpoint. Who verifies takes hours."""
    monkeypatch.setattr("reconciler.database.damage.ROWS_AT_ONCE", 1)
    with database(tmp_path) as opened:
        writer = opened.writer()
        repository_id = recorded(writer)
        for artifacts in (writer.stored_artifacts(), writer.artifacts_of_repository(repository_id)):
            seen = [next(artifacts)]
            with closing(sqlite3.connect(tmp_path / "state.db", timeout=0)) as beside:
                busy, *_ = beside.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert not busy, "no reader holds the log"
            assert dict([*seen, *artifacts]) == SIZES
