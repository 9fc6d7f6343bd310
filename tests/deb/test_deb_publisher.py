"""Publishing: entries as upstream has them, indexes, Release files, paths of the pool."""

from __future__ import annotations

import gzip
import lzma
from datetime import UTC, datetime
from hashlib import sha256

from reconciler.plugin import StoredArtifact, StoredUnit
from reconciler_deb.publishing.indexes import Indexes, IndexName, entry_of
from reconciler_deb.publishing.paths import pool_files, pool_path
from reconciler_deb.publishing.release import (
    ReleaseFacts,
    by_hash_path,
    compressed,
    render_release,
)
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


def collected(*units: StoredUnit, architectures: tuple[str, ...] = ()) -> Indexes:
    indexes = Indexes(architectures)
    for unit in units:
        indexes.add(unit, entry_of(unit, "digest"))
    return indexes


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


def test_packages_for_all_stand_in_the_index_of_each_architecture() -> None:
    indexes = collected(
        stored("b"), stored("a", architecture="all"), stored("c", suite="next", component="extra")
    )
    assert indexes.suites() == ["next", "stable"]
    stable = indexes.of_suite("stable")
    [(name, body)] = stable.items()
    assert name == IndexName("stable", "main", "amd64")
    assert [line for line in body.decode().splitlines() if line.startswith("Package:")] == [
        "Package: a",
        "Package: b",
    ]
    only_all = collected(stored("a", architecture="all"))
    assert [name.architecture for name in only_all.of_suite("stable")] == ["all"]
    both = collected(stored("a", architecture="all"), architectures=("arm64", "amd64", "all"))
    assert [name.architecture for name in both.of_suite("stable")] == ["amd64", "arm64"]


def test_the_order_of_units_means_nothing() -> None:
    units = [stored("b"), stored("a"), stored("a", "2.0")]
    assert collected(*units).of_suite("stable") == collected(*units[::-1]).of_suite("stable")


def test_a_release_lists_every_file_and_can_be_read_again() -> None:
    name, body = IndexName("stable", "main", "amd64"), b"Package: a\n"
    files = {path: content for path, content, _ in compressed(name.path, body)}
    assert gzip.decompress(files[f"{name.path}.gz"]) == body
    assert lzma.decompress(files[f"{name.path}.xz"]) == body
    assert by_hash_path(name.path, body) == (
        f"main/binary-amd64/by-hash/SHA256/{sha256(body).hexdigest()}"
    )
    facts = ReleaseFacts("stable", "Ours", "", "For tests", datetime(2026, 1, 5, 10, tzinfo=UTC))
    text = render_release(facts, [name], files)
    release = parse_release(text)
    assert {path: index.size for path, index in release.indexes.items()} == {
        path: len(content) for path, content in files.items()
    }
    assert release.date == facts.date
    assert release.by_hash
    assert b"Label" not in text
    assert release.fields["origin"] == "Ours"
