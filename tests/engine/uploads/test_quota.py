"""Quotas of repositories: refused before bytes are stored, free again after a removal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.engine import Inspector
from reconciler.errors import ManifestFaults, QuotaExceeded
from reconciler.model import Kind
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository
from tests.support.uploading import ADA, file_part

ACCESS = "access: {upload: [{username: ada, password: {env: T_PASSWORD}}]}"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("T_PASSWORD", "lovelace")
    with rehearsal(tmp_path) as site:
        yield site


def declare(site: Rehearsal, quota: str) -> None:
    site.declare(repository("team", "upload: {}", more=f"quota: {quota}"), publication(more=ACCESS))
    site.applied()


def blobs(site: Rehearsal) -> int:
    return sum(path.is_file() for path in (site.home.root / "store").rglob("*"))


def test_what_is_beyond_the_quota_is_a_413_that_says_how_much_there_is(site: Rehearsal) -> None:
    declare(site, "{size: 10B}")
    assert site.post("/team/upload/", file_part("one", b"1234567"), headers=[ADA]).status == 201
    before = blobs(site)
    answer = site.post("/team/upload/", file_part("two", b"1234567"), headers=[ADA])
    assert answer.status == 413
    assert "7 B of 10 B are uploaded, 7 B more would be too much" in answer.text
    assert blobs(site) == before, "nothing is stored that cannot be kept"
    assert site.held() == ["uploads/one"]
    [document] = site.ask(
        lambda reader: Inspector(reader, site.registry).resources(Kind.REPOSITORY, "team")
    )
    assert document["status"]["uploads"] == {"files": 1, "bytes": 7}


def test_room_comes_from_removals_replacements_and_the_manifest(site: Rehearsal) -> None:
    declare(site, "{files: 1}")
    site.upload("one", b"1")
    site.upload("one", b"other", fields={})
    with pytest.raises(QuotaExceeded):
        site.upload("two", b"2")
    site.remove("one")
    site.upload("two", b"2")
    declare(site, "{files: 2}")
    site.upload("three", b"3")
    declare(site, "{files: 1}")
    site.remove("three")
    assert site.held() == ["uploads/two"]


@pytest.mark.parametrize(
    ("quota", "source", "message"),
    [
        ("{}", "upload: {}", "expects `size`, `files` or both"),
        ("{files: 0}", "upload: {}", "greater than or equal to 1|at least 1"),
        ("{size: 10}", "upload: {}", "expects a size"),
        ("{files: 1}", "remote: {name: up}", "no source of the repository takes any"),
    ],
)
def test_a_quota_that_limits_nothing_is_a_fault(
    quota: str, source: str, message: str, site: Rehearsal
) -> None:
    site.declare(site.remote(), repository("team", source, more=f"quota: {quota}"))
    with pytest.raises(ManifestFaults, match=message):
        site.applied()
