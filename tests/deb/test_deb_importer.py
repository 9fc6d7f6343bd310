"""The importer: suites are believed, read once, and read again where they move."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.plugin import Gone, Group, Malformed, Page, Refused, Unchanged
from reconciler_deb.deb_importer import DebImporter
from reconciler_deb.options.source_options import RemoteOptions
from tests.support.apt import archive, control
from tests.support.conduits import FakeConduit

NGINX, TOOL = control("nginx", "1.22"), control("tool", "1.0", "all")
LATER = "Tue, 06 Jan 2026 10:00:00 UTC"


def pages(files: Mapping[str, bytes]) -> dict[str, Page | Exception]:
    return {path: Page(path, body, "v", "text/plain") for path, body in files.items()}


def conduit(files: Mapping[str, bytes], **keys: Any) -> FakeConduit:
    options = {"suites": ["stable"], "trusted": True, **keys}
    return FakeConduit(pages(files), RemoteOptions.model_validate(options), files=dict(files))


def declared(given: FakeConduit) -> list[Group | Unchanged]:
    async def collect() -> list[Group | Unchanged]:
        return [group async for group in DebImporter().declare(given)]

    return asyncio.run(collect())


def names(groups: Iterable[Group | Unchanged]) -> list[str]:
    return [group.name for group in groups if isinstance(group, Group)]


def validators(groups: Iterable[Group | Unchanged]) -> dict[str, str | None]:
    return {group.name: group.validator for group in groups if isinstance(group, Group)}


def test_packages_are_declared_with_what_changes_when_they_do() -> None:
    first = declared(conduit(archive([NGINX, TOOL])))
    second = declared(conduit(archive([NGINX, control("tool", "1.1", "all")], date=LATER)))
    assert names(first) == names(second) == ["nginx", "tool"]
    changed = [name for name, text in validators(first).items() if validators(second)[name] != text]
    assert changed == ["tool"]
    given = conduit(archive([NGINX]))
    [group] = declared(given)
    assert isinstance(group, Group)
    [unit] = asyncio.run(DebImporter().read(given, group))
    assert unit.artifacts[0].url == f"{given.url}pool/nginx/nginx_1.22_amd64.deb"


def test_a_newer_release_of_the_same_indexes_is_no_change() -> None:
    """Kind: an archive that signs anew every six hours, and each time is read whole."""
    given = conduit(archive([NGINX]))
    declared(given)
    newer = conduit(archive([NGINX], date=LATER))
    newer.committed, newer.notes = frozenset(given.validators), given.notes
    [group] = declared(newer)
    assert isinstance(group, Unchanged)
    assert newer.fetched == []
    older = conduit(archive([NGINX]))
    older.notes = newer.notes
    with pytest.raises(Malformed, match="older than the last one"):
        declared(older)
    older.options = RemoteOptions.model_validate(
        {"suites": ["stable"], "trusted": True, "checkValidUntil": False}
    )
    assert names(declared(older)) == ["nginx"]


class MovingConduit(FakeConduit):
    """An archive that moves on while it is read: `later` lies there once an index was asked for."""

    later: Mapping[str, bytes]

    async def get_file(self, url: str, *, sha256: str) -> bytes:
        try:
            return await super().get_file(url, sha256=sha256)
        finally:
            self.pages, self.files = pages(self.later), dict(self.later)


@pytest.mark.parametrize("by_hash", [False, True])
def test_an_archive_that_moves_between_two_reads_is_read_again(by_hash: bool) -> None:
    """Kind: a Release and an index of two different days."""
    before = archive([NGINX], by_hash=by_hash)
    after = archive([TOOL], by_hash=by_hash, date=LATER)
    broken = {path: b"" if "/main/" in path else body for path, body in before.items()}
    given = MovingConduit(pages(broken), conduit({}).options, files=broken)
    given.later = after
    assert names(declared(given)) == ["tool"]
    stays = MovingConduit(pages(broken), conduit({}).options, files=broken)
    stays.later = broken
    with pytest.raises((Malformed, Gone)):
        declared(stays)


@pytest.mark.parametrize(
    ("keys", "files", "fault"),
    [
        ({"suites": ["other"]}, archive([NGINX]), "neither `InRelease` nor `Release`"),
        ({"components": ["x"]}, archive([NGINX]), "dists/stable/`: it has no component `x`"),
        (
            {},
            archive([NGINX], valid_until="Tue, 06 Jan 2026 10:00:00 UTC"),
            "dists/stable/`: it was valid until 2026-01-06",
        ),
    ],
)
def test_what_cannot_be_believed_is_an_error_that_names_the_suite(
    keys: dict[str, Any], files: dict[str, bytes], fault: str
) -> None:
    with pytest.raises((Malformed, Refused), match=fault):
        declared(conduit(files, **keys))


def test_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    options = RemoteOptions.model_validate(
        {"suites": ["stable"], "keys": ["no.asc"]}, context={"folder": str(tmp_path)}
    )
    with pytest.raises(Refused, match=r"`keys`: `no\.asc` cannot be read: No such file"):
        declared(FakeConduit({}, options))


def test_only_packages_that_can_be_meant_are_declared() -> None:
    files = archive([NGINX, TOOL, control("x", Depends="tool")])
    assert names(declared(conduit(files, include=["ng*"]))) == ["nginx"]
    assert names(declared(conduit(files, include=["x"], dependencies=True))) == ["tool", "x"]
    shared = declared(conduit(files, include=["nginx"], sharedPackages=["n*"]))
    assert [group.shared for group in shared if isinstance(group, Group)] == [True]
