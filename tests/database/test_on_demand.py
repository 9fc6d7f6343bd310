"""Units whose bytes are somewhere else: an origin lets them in, and their bytes may come later."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.database import ArtifactOrigin
from reconciler.errors import StateFault
from reconciler.model import Artifact, Digest, Unit, identify
from tests.support.databases import a_unit, by_group, change, created_repository, database

HERE, THERE = (
    ArtifactOrigin("files", "https://files.example.org/one"),
    ArtifactOrigin("mirror", "https://mirror.example.org/one"),
)
ONE = a_unit("alpha", "one", artifact=True)
SHA256 = Digest.parse(ONE.unit.artifacts[0].sha256)


def test_an_origin_lets_a_unit_join_before_its_bytes_are_stored(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        with pytest.raises(StateFault, match="`one` of `one`"):
            change(writer, id_, joins=[ONE])
        writer.record_units(by_group(ONE), {}, {SHA256: HERE})
        assert change(writer, id_, joins=[ONE]).number == 1
        assert writer.stored([SHA256]) == set()
        assert writer.units(id_, 1, ["alpha"])["alpha"][0].artifacts[0].size is None
        writer.artifact_stored(SHA256, 17)
        assert writer.stored([SHA256]) == {SHA256}
        assert writer.units(id_, 1, ["alpha"])["alpha"][0].artifacts[0].size == 17
        assert writer.artifact_origins(SHA256) == [HERE]


def test_every_artifact_of_a_unit_needs_its_bytes_or_an_origin(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        digests = [Digest.of(name.encode()) for name in "abc"]
        whole = identify(
            Unit(
                "test.file",
                "whole",
                {},
                [Artifact(digest.hex[:8], digest.hex) for digest in digests],
            ),
            "alpha",
        )
        writer.record_units(by_group(whole), {digests[0]: 1}, {digests[1]: HERE})
        with pytest.raises(StateFault, match=f"`{digests[2].hex[:8]}` of `whole`") as refusal:
            change(writer, id_, joins=[whole])
        assert digests[1].hex[:8] not in str(refusal.value)
        writer.record_units(by_group(whole), {}, {digests[2]: THERE})
        assert writer.stored(digests) == {digests[0]}
        writer.artifact_stored(digests[2], 3)
        assert writer.stored(digests) == {digests[0], digests[2]}


def test_a_remote_has_one_origin_and_says_anew_where_it_is(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        moved = ArtifactOrigin("files", "https://files.example.org/moved")
        for origin in (HERE, THERE, moved):
            writer.record_units(by_group(ONE), {}, {SHA256: origin})
        assert writer.artifact_origins(SHA256) == [moved, THERE]
        other = Digest.of(b"other")
        assert writer.artifact_origins(other) == []
        assert writer.origins_of([SHA256, other]) == {SHA256: [moved, THERE]}


def test_bytes_that_are_stored_stay_stored_when_an_origin_is_recorded(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        writer.record_units(by_group(ONE), {SHA256: 9})
        writer.record_units(by_group(ONE), {}, {SHA256: HERE})
        assert writer.stored([SHA256]) == {SHA256}
        assert writer.artifact_origins(SHA256) == [HERE]


def test_more_units_than_one_batch_takes_are_recorded_whole(tmp_path: Path) -> None:
    units = [
        a_unit("alpha", f"key-{number}", artifact=True, size=number) for number in range(1_201)
    ]
    digests = [Digest.parse(unit.unit.artifacts[0].sha256) for unit in units]
    origins = {
        digest: ArtifactOrigin("files", f"https://files.example.org/{digest.hex}")
        for digest in digests
    }
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_repository(writer)
        writer.record_units(by_group(*units), {}, origins)
        assert change(writer, id_, joins=units).created
        assert writer.counts(id_, 1) == {"test.file": len(units)}
        assert writer.origins_of(digests) == {
            digest: [origin] for digest, origin in origins.items()
        }
        assert {unit.artifacts[0].size for unit in writer.units(id_, 1, ["alpha"])["alpha"]} == set(
            range(1_201)
        )
