"""Publishing: entries as upstream has them, indexes, Release files, paths of the pool."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from reconciler.plugin import RenderedFile, StoredArtifact, StoredUnit
from reconciler_deb.options.publication_options import PublicationOptions
from reconciler_deb.publishing.indexes import (
    IndexName,
    entry_of,
    index_file,
    indexes_of,
    parse_index_name,
)
from reconciler_deb.publishing.paths import pool_files, pool_path
from reconciler_deb.publishing.release import render_release
from reconciler_deb.reading.units import PACKAGE, SOURCE_PACKAGE
from reconciler_deb.releases.release_file import parse_release
from tests.support.apt import control, paragraph

DIGEST = sha256(b"deb").hexdigest()


def stored(name: str, version: str = "1.0", architecture: str = "amd64", **keys: str) -> StoredUnit:
    path = f"pool/{name}_{version.replace(':', '%3a')}_{architecture}.deb"
    suite = keys.get("suite", "stable")
    return StoredUnit(
        artifacts=[StoredArtifact(path, DIGEST, 3)],
        group=name,
        key=f"{suite}/{name}_{version}_{architecture}",
        metadata={
            "architecture": architecture,
            "component": keys.get("component", "main"),
            "paragraph": paragraph(control(name, version, architecture), b"deb", path).strip(),
            "suite": suite,
            "version": version,
        },
        type=PACKAGE,
    )


def options(**keys: Any) -> PublicationOptions:
    return PublicationOptions.model_validate(keys)


def test_an_entry_is_what_upstream_says_but_for_the_place_of_the_file() -> None:
    unit = stored("libfoo1", "2:1.0~x+b1")
    path = f"pool/main/libf/libfoo1/{DIGEST}/libfoo1_2%3a1.0~x+b1_amd64.deb"
    assert pool_path(unit, "digest") == path
    assert entry_of(unit, "upstream").decode() == f"{unit.metadata['paragraph']}\n\n"
    changed = unit.metadata["paragraph"].replace(unit.artifacts[0].path, path)
    assert entry_of(unit, "digest").decode() == f"{changed}\n\n"


def test_the_files_of_a_source_package_lie_in_one_folder() -> None:
    unit = StoredUnit(
        artifacts=[StoredArtifact("p/x.dsc", "a" * 64, 1), StoredArtifact("p/x.tar", "b" * 64, 1)],
        group="x",
        key="stable/x_1_source",
        metadata={"component": "main", "suite": "stable", "paragraph": "Package: x\nDirectory: p"},
        type=SOURCE_PACKAGE,
    )
    folder = f"pool/main/x/x/{'a' * 64}"
    assert sorted(pool_files(unit, "digest")) == [f"{folder}/x.dsc", f"{folder}/x.tar"]
    assert entry_of(unit, "digest").decode() == f"Package: x\nDirectory: {folder}\n\n"
    assert sorted(pool_files(unit, "upstream")) == ["p/x.dsc", "p/x.tar"]


def test_packages_for_all_have_an_index_of_their_own_or_stand_in_each() -> None:
    unit, every = stored("b", suite="a/b"), stored("a", architecture="all")
    assert indexes_of(unit, options()) == [IndexName("a/b", "main", "amd64")]
    assert indexes_of(every, options()) == [IndexName("stable", "main", "all")]
    both = indexes_of(every, options(architectures=["arm64", "amd64", "all"]))
    assert [name.architecture for name in both] == ["amd64", "arm64"]
    assert parse_index_name(str(indexes_of(unit, options())[0])).suite == "a/b"


def test_an_index_is_published_compressed_and_under_its_digest() -> None:
    file = index_file(IndexName("a/b", "main", "source"), options(compressions=["gz"]))
    assert (file.path, file.compressions) == ("dists/a/b/main/source/Sources", ("gz",))
    assert file.by_digest == ("dists/a/b/main/source/by-hash/SHA256/{sha256}",)
    assert file.summary == "a/b"


def test_a_release_lists_every_file_and_can_be_read_again() -> None:
    name = str(IndexName("stable", "main", "amd64"))
    path = "dists/stable/main/binary-amd64/Packages"
    files = [
        RenderedFile(name, path, "", 11, {"sha256": "a" * 64}, published=False),
        RenderedFile(name, f"{path}.gz", "gz", 5, {"sha256": "b" * 64}),
    ]
    moment = datetime(2026, 1, 5, 10, tzinfo=UTC)
    text = render_release("stable", options(origin="Ours", validFor="7d"), moment, files=files)
    release = parse_release(text)
    assert {path: index.size for path, index in release.indexes.items()} == {
        "main/binary-amd64/Packages": 11,
        "main/binary-amd64/Packages.gz": 5,
    }
    assert (release.date, release.valid_until) == (moment, moment + timedelta(days=7))
    assert release.by_hash
    assert b"Label" not in text
    assert release.fields["origin"] == "Ours"
