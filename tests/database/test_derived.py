"""Artifacts that are shown in the place of declared ones: their identity costs what has changed."""

from __future__ import annotations

from pathlib import Path

from reconciler.database import ArtifactOrigin, Derivation, DerivedArtifact, Writer
from reconciler.model import Artifact, Digest, Unit, artifact_digest, identify
from tests.support.databases import NOW, a_unit, by_group, change, created_repository, database

MADE = Digest.of(b"made")


def show(writer: Writer, repository_id: int, number: int, *, after: int = 0) -> None:
    """Record one artifact for each unit that joined a repository after a version."""
    units = list(writer.unexamined_units(repository_id, after, number))
    writer.record_derived(
        [DerivedArtifact(unit.id, "x", MADE) for unit in units], {MADE: 4}, examined=[]
    )


def test_what_is_shown_already_is_not_read_again_until_it_changes(tmp_path: Path) -> None:
    """Kind: cost follows change. What another repository shows is no change of this one."""
    with database(tmp_path) as opened:
        writer = opened.writer()
        team, other = created_repository(writer), created_repository(writer, "other")
        change(writer, team, joins=[a_unit("a", "one")])
        show(writer, team, 1)
        first = writer.derivation(team, 1)
        assert first.digest is not None
        known = Derivation(Digest.of(b"as recorded"), first.seq)
        assert writer.derivation(team, 1, known=known) is known
        change(writer, other, joins=[a_unit("b", "two")])
        show(writer, other, 1)
        assert writer.derivation(team, 1, known=known) is known
        unit = next(iter(writer.unexamined_units(other, 0, 1)), None)
        assert unit is None, "examined"
        change(writer, team, joins=[a_unit("c", "three")])
        show(writer, team, 2, after=1)
        assert writer.derivation(team, 1, known=known) is known, "not of the earlier version"
        assert writer.derivation(team, 2, known=known).digest not in (known.digest, first.digest)


def test_units_are_examined_again_for_what_arrived_or_was_lost(tmp_path: Path) -> None:
    """Kind: cost follows change. They are not looked for among all units that wait."""
    with database(tmp_path) as opened:
        writer = opened.writer()
        team = created_repository(writer)
        unit = a_unit("a", "one", artifact=True)
        container = Digest.parse(unit.artifacts[0].sha256)
        writer.record_units(
            by_group(unit, a_unit("b", "two")),
            {},
            {container: ArtifactOrigin("a", "http://a.example.org/one")},
        )
        change(writer, team, joins=[unit, a_unit("b", "two")])
        waiting = next(
            each.id for each in writer.unexamined_units(team, 0, 1) if each.unit.key == "one"
        )

        def examined(*derived: DerivedArtifact) -> bool:
            writer.record_derived(derived, {}, examined=[waiting])
            return writer.has_extractable_units(team, 1)

        waits = DerivedArtifact(waiting, "x", None, "one")
        assert not examined(waits)
        writer.artifact_stored(container, 3)
        assert [each.id for each in writer.extractable_units(team, 1)] == [waiting]
        assert not writer.has_extractable_units(team, 0), "not of the empty version"
        assert examined(waits), "it came while the unit was examined"
        writer.record_derived([], {MADE: 4}, examined=[])
        assert not examined(DerivedArtifact(waiting, "x", MADE))
        writer.artifact_stored(container, 3)
        assert not writer.has_extractable_units(team, 1), "it waits for nothing any more"
        writer.record_damage({MADE: "missing"}, NOW)
        assert writer.has_extractable_units(team, 1)
        assert not examined(), "nothing can be made of it"


PATHS = ["é.whl", "é.whl.metadata", "é", "é.wh/l", "below/é.whl"]
FILES = [Artifact(path, Digest.of(path.encode()).hex) for path in PATHS]
WHEEL = identify(Unit("test.file", PATHS[0], {}, FILES), "é")


def with_wheel(writer: Writer) -> int:
    """Create a repository that holds the wheel, whose bytes are upstream; return its ID."""
    team = created_repository(writer)
    upstream = ArtifactOrigin("up", "http://a.example.org/")
    writer.record_units(by_group(WHEEL), {}, {artifact_digest(file): upstream for file in FILES})
    change(writer, team, joins=[WHEEL])
    return team


def test_every_path_of_a_unit_comes_back(tmp_path: Path) -> None:
    """Kind: rows hold paths relative to the key of the unit, readers see none of that."""
    with database(tmp_path) as opened:
        writer = opened.writer()
        team = with_wheel(writer)
        assert sorted(path for _, path in writer.held_paths(team)) == sorted(PATHS)
        uses = writer.artifact_uses(Digest.of(path.encode()) for path in PATHS)
        assert sorted(use.path for use in uses) == sorted(PATHS)
        (unit,) = writer.unexamined_units(team, 0, 1)
        rows = [DerivedArtifact(unit.id, path, MADE) for path in PATHS]
        writer.record_derived(rows, {MADE: 4}, examined=[unit.id])
        (shown,) = writer.derived_artifacts(team, 1, ["é"]).values()
        assert shown.keys() == set(PATHS)


def test_what_waits_from_the_start_is_no_change_and_what_waits_again_is_one(tmp_path: Path) -> None:
    container, file = Digest.of(PATHS[0].encode()), PATHS[1]
    with database(tmp_path) as opened:
        writer = opened.writer()
        team = with_wheel(writer)
        (unit,) = writer.unexamined_units(team, 0, 1)
        waits = DerivedArtifact(unit.id, file, None, within=PATHS[0])
        writer.record_derived([waits], {}, examined=[unit.id])
        first = writer.derivation(team, 1)
        assert (first, writer.derived_groups(team, 1, 0)) == (Derivation(), [])
        assert not writer.has_extractable_units(team, 1)
        writer.artifact_stored(container, 4)
        assert list(writer.extractable_units(team, 1)) == [unit]
        made_of = DerivedArtifact(unit.id, file, MADE)
        writer.record_derived([made_of], {MADE: 4}, examined=[unit.id])
        made = writer.derivation(team, 1, known=first)
        assert made.digest is not None
        assert writer.derived_groups(team, 1, first.seq) == ["é"]
        writer.record_derived([waits], {}, examined=[unit.id])
        again = writer.derivation(team, 1, known=made)
        assert (again.digest, again.seq > made.seq) == (None, True)
        assert writer.derived_groups(team, 1, made.seq) == ["é"]
