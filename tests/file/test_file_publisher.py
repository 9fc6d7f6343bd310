"""The published tree, and that reading it again gives the very same content."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import identify, safe_path, stored_unit
from reconciler.plugin import (
    Group,
    PluginCallConfiguration,
    Refused,
    StoredArtifact,
    StoredUnit,
    Unchanged,
    Unit,
)
from reconciler_file.file_importer import FileImporter
from reconciler_file.file_publisher import FilePublisher, media_type
from reconciler_file.listing import group_of
from reconciler_file.manifests import unlistable
from reconciler_file.options import SourceOptions
from tests.support.conduits import FakeConduit, FakePublishConduit, page

NO_CONFIGURATION = PluginCallConfiguration({}, {}, {})
URL = "https://mirror.example.org/files/PULP_MANIFEST"


def stored(path: str, sha256: str = "a" * 64, size: int | None = 1) -> StoredUnit:
    return StoredUnit(
        artifacts=[StoredArtifact(path, sha256, size)],
        group=group_of(path),
        key=path,
        metadata={},
        type="file.file",
    )


def grouped(*units: StoredUnit) -> dict[str, list[StoredUnit]]:
    groups: dict[str, list[StoredUnit]] = {}
    for unit in units:
        groups.setdefault(unit.group, []).append(unit)
    return groups


def published(groups: dict[str, list[StoredUnit]], **keys: Any) -> FakePublishConduit:
    conduit = FakePublishConduit(groups, **keys)
    FilePublisher().publish(conduit, NO_CONFIGURATION)
    return conduit


def manifest(conduit: FakePublishConduit) -> bytes:
    [(place, body)] = conduit.whole_output.pages.items()
    assert place == ("PULP_MANIFEST", "text/plain")
    return body


def test_files_keep_their_names_and_the_manifest_lists_them_in_order() -> None:
    conduit = published(
        grouped(stored("b.iso", "b" * 64, 0), stored("a,1.txt"), stored("docs/é.html", "c" * 64, 7))
    )
    assert conduit.merged.files == {
        "a,1.txt": ("a" * 64, "text/plain"),
        "b.iso": ("b" * 64, "application/octet-stream"),
        "docs/é.html": ("c" * 64, "text/html"),
    }
    assert (
        manifest(conduit).decode()
        == f"a,1.txt,{'a' * 64},1\nb.iso,{'b' * 64},0\ndocs/é.html,{'c' * 64},7\n"
    )


def test_only_what_changed_is_rendered_and_the_manifest_still_lists_all() -> None:
    gone = group_of("gone.iso")
    groups = {**grouped(stored("a"), stored("b")), gone: []}
    conduit = published(groups, changed_groups=[group_of("a"), gone])
    assert set(conduit.outputs) == {group_of("a"), gone}
    assert list(conduit.merged.files) == ["a"]
    assert manifest(conduit) == manifest(published(groups))


def test_an_empty_version_has_an_empty_manifest() -> None:
    assert manifest(published({})) == b""


def test_a_manifest_does_not_lie_about_a_size_that_nobody_knows() -> None:
    with pytest.raises(Refused, match=r"the size of `a\.iso` is not known"):
        published(grouped(stored("a.iso", size=None)))


@pytest.mark.parametrize("deep", ["a/b", "a/b/c/d"])
def test_a_file_cannot_be_a_folder_too_and_both_are_named(deep: str) -> None:
    with pytest.raises(
        Refused, match=f"`a` is a file, and a folder at once because of `{deep}`"
    ) as caught:
        published(grouped(stored("a"), stored("a!"), stored(deep), stored("a/z")))
    assert "`exclude` one of them" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("a.TXT", "text/plain"),
        ("a.tar.gz", "application/gzip"),
        ("a.tar", "application/x-tar"),
        ("a.zst", "application/zstd"),
        ("a", "application/octet-stream"),
        (".gz", "application/octet-stream"),
        ("v1.2/a", "application/octet-stream"),
    ],
)
def test_media_types_are_told_by_the_last_suffix(path: str, type: str) -> None:
    assert media_type(path) == type


SEGMENT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8) | st.sampled_from(
    ["a", "b c", "#1", "x,y", "%41", "ä?", 'q"', "a:b", "..."]
)
PATHS = (
    st.lists(SEGMENT, min_size=1, max_size=3)
    .map("/".join)
    .filter(lambda path: safe_path(path) and not unlistable(path))
)
FILES = st.dictionaries(
    PATHS,
    st.tuples(st.binary(min_size=32, max_size=32).map(bytes.hex), st.integers(0, 2**44)),
    max_size=12,
)


@settings(deadline=None)
@given(FILES)
def test_reading_our_publication_gives_the_same_content(files: dict[str, tuple[str, int]]) -> None:
    folders = {path[:cut] for path in files for cut in range(len(path)) if path[cut] == "/"}
    units = [stored(path, *rest) for path, rest in files.items() if path not in folders]
    body = manifest(published(grouped(*units)))
    conduit = FakeConduit({"": page(body, "text/plain", url=URL)}, SourceOptions(), url=URL)
    found = asyncio.run(_read(conduit))
    assert conduit.refused == {}
    assert {(unit.key, unit.group): unit for unit in found} == {
        (unit.key, unit.group): unit for unit in units
    }


async def _read(conduit: FakeConduit) -> list[StoredUnit]:
    groups = [group async for group in FileImporter().declare(conduit)]
    return [
        _recorded(unit, group)
        for group in groups
        if not isinstance(group, Unchanged)
        for unit in await FileImporter().read(conduit, group)
    ]


def _recorded(unit: Unit, group: Group) -> StoredUnit:
    return stored_unit(identify(unit, group.name).body)
