"""Requirement files from manifests to versions, and messages about wrong ones."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from reconciler.errors import ManifestFaults
from reconciler.manifest import read, read_recorded
from reconciler.model import ActualResource, ActualState
from reconciler.plugin.registry import Registry
from tests.support.mirror import Mirror, call, remote, repository
from tests.support.upstream import Upstream, upstream

ABSENT = "0" * 64


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as one:
        one.release("alpha", "1.0", "2.0", "3.0rc1")
        one.release("beta", "1.0")
        one.release("gamma", "1.0")
        yield one


def mirror(
    folder: Path,
    index: Upstream,
    requirements: str,
    *,
    file: str = "requirements.txt",
    source: str = "name: up",
    **more: str,
) -> Mirror:
    made = Mirror(
        folder,
        remote(index.url),
        repository(
            sources=[f"{source}, requirements: [{file}]"], more="guard: {maxRemovals: 100%}"
        ),
    )
    write(made, requirements, file)
    return made


def write(mirror: Mirror, requirements: str, file: str = "requirements.txt") -> None:
    (mirror.folder / file).write_text(requirements, encoding="utf-8")


def uv_lock(digest: str, filename: str) -> str:
    wheel = (
        f'{{ url = "https://elsewhere.example.org/{filename}", hash = "sha256:{digest}", size ='
        " 1 }"
    )
    source = 'source = { registry = "https://elsewhere.example.org" }'
    return (
        f'version = 1\n[[package]]\nname = "alpha"\nversion = "2.0"\n{source}\nwheels = [\n   '
        f" {wheel},\n]\n"
    )


def test_a_source_takes_what_its_files_ask_for_and_no_more(index: Upstream, tmp_path: Path) -> None:
    site = mirror(tmp_path, index, "alpha<3\n-r more.txt\n", source="name: up, include: [gamma]")
    write(site, "beta; python_version < '3'\n", "more.txt")
    site.applied()
    assert site.filenames() == [
        f"{name}-py3-none-any.whl" for name in ("alpha-1.0", "alpha-2.0", "beta-1.0", "gamma-1.0")
    ]


def test_an_empty_file_takes_nothing(index: Upstream, tmp_path: Path) -> None:
    site = mirror(tmp_path, index, "# nobody needs anything\n")
    site.applied()
    assert site.version()[0] == 0


def test_a_changed_file_makes_a_plan_and_an_unchanged_or_commented_one_none(
    index: Upstream, tmp_path: Path
) -> None:
    site = mirror(tmp_path, index, "alpha==1.0\n-r more.txt\n")
    write(site, "", "more.txt")
    site.applied()
    before = index.requests[:]
    assert not site.pending()
    write(site, "# a comment\nalpha == 1.0\n-r more.txt\n")
    assert not site.pending()
    write(site, "alpha==1.0\n", "more.txt")
    assert not site.pending()
    write(site, "alpha==2.0\n", "more.txt")
    assert site.pending()
    assert len(index.requests) > len(before)
    site.applied()
    assert site.filenames() == ["alpha-1.0-py3-none-any.whl", "alpha-2.0-py3-none-any.whl"]
    write(site, "alpha==2.0\n")
    assert [change["key"] for change in site.changes()["removed"]] == ["alpha-1.0-py3-none-any.whl"]


def test_a_moved_site_is_the_same_site(index: Upstream, tmp_path: Path) -> None:
    site = mirror(tmp_path / "here", index, "alpha==1.0")
    site.applied()
    text = site.manifest.read_text(encoding="utf-8")
    (tmp_path / "here").rename(tmp_path / "there")
    assert not Mirror(tmp_path / "there", text).pending()


def test_a_lock_brings_exactly_its_files_from_wherever_they_are_offered(
    index: Upstream, tmp_path: Path
) -> None:
    digest = sha256(index.sent("alpha-2.0-py3-none-any.whl")).hexdigest()
    site = mirror(tmp_path, index, uv_lock(digest, "another-name.whl"), file="uv.lock")
    site.applied()
    assert site.filenames() == ["alpha-2.0-py3-none-any.whl"]


def test_a_digest_that_the_index_does_not_offer_is_an_error_naming_it(
    index: Upstream, tmp_path: Path
) -> None:
    site = mirror(tmp_path, index, uv_lock(ABSENT, "alpha-2.0-py3-none-any.whl"), file="uv.lock")
    done = site.apply()
    assert done.code == 1
    assert f"sha256:{ABSENT}" in done.out + done.err
    assert "`alpha==2.0` (uv.lock:2)" in done.out + done.err
    assert site.version()[0] == 0
    pinned = (
        f"beta==1.0 --hash=sha256:{sha256(index.sent('beta-1.0-py3-none-any.whl')).hexdigest()}\n"
    )
    write(site, f"{pinned}alpha==2.0 --hash=sha256:{ABSENT}\n")
    site.declare(site.manifest.read_text().replace("uv.lock", "requirements.txt"))
    assert site.apply().code == 1
    assert site.filenames() == ["beta-1.0-py3-none-any.whl"]  # one project's failure is no other's


def test_files_that_are_yanked_or_left_out_count_as_offered(
    index: Upstream, tmp_path: Path
) -> None:
    index.say("alpha", "2.0", yanked="broken")
    digest = sha256(index.sent("alpha-2.0-py3-none-any.whl")).hexdigest()
    site = mirror(
        tmp_path,
        index,
        uv_lock(digest, "alpha.whl"),
        file="uv.lock",
        source='name: up, exclude: ["alpha==2.0"]',
    )
    site.applied()
    assert site.version()[0] == 0


def test_all_faults_of_all_files_are_told_offline_at_their_entries(tmp_path: Path) -> None:
    site = Mirror(
        tmp_path,
        remote("https://index.example.org/"),
        repository(
            sources=["name: up, requirements: [one.txt, two.txt, {file: three.lock, format: uv}]"]
        ),
    )
    write(site, "alpha\n./here\n!\n", "one.txt")
    write(site, "version = 9\n", "three.lock")
    done = call(["validate", str(site.manifest)])
    assert done.code == 1
    said = done.out + done.err
    assert [
        part in said
        for part in (
            "one.txt:2: a requirement by URL, path",
            "one.txt:3: that is no requirement",
            "`two.txt`: there is no such file",
            "states version 9",
        )
    ] == [True] * 4
    assert said.count(".requirements[0]`: ") == 2


def test_records_are_as_written_and_outlive_the_files(tmp_path: Path) -> None:
    entries = "requirements: [requirements.txt, {file: more.txt, unresolvable: skip}]"
    site = Mirror(
        tmp_path, remote("https://index.example.org/"), repository(sources=[f"name: up, {entries}"])
    )
    write(site, "alpha")
    write(site, "-e .", "more.txt")
    state = read([site.manifest], Registry())
    [source] = state.repositories["team"].spec["sources"]
    assert source["remote"]["requirements"] == [
        "requirements.txt",
        {"file": "more.txt", "unresolvable": "skip"},
    ]
    (tmp_path / "requirements.txt").unlink()
    with pytest.raises(ManifestFaults):
        read([site.manifest], Registry())
    kept = {
        one.meta.ref: ActualResource(one.meta.ref, {}, {}, one.spec, folder=str(tmp_path))
        for one in state
    }
    again = read_recorded(ActualState(kept), Registry())
    assert again.faults == {}
    assert (
        again.desired.repositories["team"].sources[0].options
        == state.repositories["team"].sources[0].options
    )
