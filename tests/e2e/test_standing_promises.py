"""Promises of the whole command line: removals, identity of content, and the care of the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import pytest

from reconciler.model import Digest
from tests.support.clients import served
from tests.support.faulty import body
from tests.support.mirror import Done, Mirror, call, publication, remote, repository
from tests.support.upstream import Upstream, upstream

JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as server:
        server.release("alpha", "1.0", "2.0")
        server.release("beta", "1.0", yanked="broken")
        yield server


@pytest.fixture
def mirror(index: Upstream, tmp_path: Path) -> Mirror:
    mirror = Mirror(tmp_path, remote(index.url), repository(), publication())
    mirror.applied()
    return mirror


def on(mirror: Mirror, *words: str) -> Done:
    return call([*words, "--home", str(mirror.home.root)])


def test_an_exclude_that_is_added_later_prunes_an_unchanged_upstream(
    index: Upstream, mirror: Mirror
) -> None:
    """Validators say that upstream is unchanged; what is wanted of it is not."""
    mirror.declare(
        remote(index.url),
        repository(sources=["name: up, exclude: [beta]"], more="guard: {maxRemovals: 100%}"),
        publication(),
    )
    mirror.applied()
    assert [name.partition("-")[0] for name in mirror.filenames()] == ["alpha", "alpha"]
    assert not mirror.pending()


@pytest.mark.parametrize("content", [None, "", "# nothing\n"], ids=["no file", "empty", "comment"])
def test_prune_with_an_empty_folder_is_refused_whole(
    mirror: Mirror, tmp_path: Path, content: str | None
) -> None:
    """The wrong folder, or a checkout that failed, must not remove everything."""
    before = mirror.version()
    empty = tmp_path / "empty"
    empty.mkdir()
    if content is not None:
        (empty / "site.yaml").write_text(content)
    done = on(mirror, "apply", str(empty), "--prune")
    assert done.code == 1, done.out
    assert mirror.version() == before
    for kind in ("remote", "repository", "publication"):
        assert len(on(mirror, "get", kind, "-o", "json").document) == 1, kind


def test_a_mirror_of_our_own_index_has_the_same_version_digest(
    mirror: Mirror, tmp_path: Path
) -> None:
    """A digest names content: it says that two machines serve the same, whatever lies between."""
    with served(mirror.home.root) as url:
        second = Mirror(tmp_path / "second", remote(f"{url}team/simple/"), repository())
        second.applied()
    assert second.version() == mirror.version()


def test_diff_goes_backwards_and_across_removal_and_return(index: Upstream, mirror: Mirror) -> None:
    index.withdraw("alpha", "1.0")
    mirror.applied("--allow-destroy")
    index.release("alpha", "1.0")
    mirror.applied()

    def keys(a: str, b: str) -> dict[str, list[str]]:
        lists = on(mirror, "diff", "repository/team", a, b, "-o", "json").document
        return {name: [unit["key"] for unit in units] for name, units in lists.items()}

    gone = ["alpha-1.0-py3-none-any.whl"]
    assert keys("1", "2") == {"added": [], "removed": gone, "changed": []}
    assert keys("2", "1") == {"added": gone, "removed": [], "changed": []}
    assert keys("3", "2") == keys("1", "2")
    assert keys("1", "3") == keys("3", "1") == {"added": [], "removed": [], "changed": []}
    assert keys("2", "0")["removed"] == mirror.filenames()[1:]


def downloaded(page: str, filename: str) -> bytes:
    """Return the bytes to which a page of a project links."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    with urlopen(Request(page, headers=accept)) as answer:
        files = {file["filename"]: file["url"] for file in json.load(answer)["files"]}
    with urlopen(urljoin(page, files[filename])) as answer:
        data: bytes = answer.read()
    return data


def test_one_filename_with_other_bytes_in_two_repositories(index: Upstream, mirror: Mirror) -> None:
    """A filename is no identity: each repository serves the bytes of its own source."""
    filename = "alpha-1.0-py3-none-any.whl"
    with upstream() as other:
        other.release("alpha", "1.0", padding=64, salt="other")
        mirror.declare(
            *mirror.manifest.read_text().split("---\n"),
            remote(other.url, "other"),
            repository("second", sources=["name: other"]),
            publication("second"),
        )
        mirror.applied()
        wanted = {"team": index.sent(filename), "second": other.sent(filename)}
    assert wanted["team"] != wanted["second"]
    with served(mirror.home.root) as url:
        for name, data in wanted.items():
            assert downloaded(f"{url}{name}/simple/alpha/", filename) == data, name


def test_verify_finds_repair_mends_and_gc_keeps(mirror: Mirror) -> None:
    assert on(mirror, "verify").code == 0
    store = mirror.home.store()
    file = next(store.files())
    store.path(file.digest).unlink()
    done = on(mirror, "verify", "repository/team", "-o", "json")
    assert done.code == 1
    [damaged] = done.document["damagedFiles"]
    assert (damaged["digest"], damaged["problem"]) == (str(file.digest), "missing")
    assert "hint: `reconciler repair`" in done.err
    done = on(mirror, "repair")
    assert (done.code, done.out.splitlines()[-1]) == (0, "Repair: 1 mended.")
    assert on(mirror, "gc", "--dry-run", "--grace", "0s", "-o", "json").document["files"] == 0
    assert on(mirror, "verify").code == 0
    assert Digest.of(store.path(file.digest).read_bytes()) == file.digest


@pytest.mark.parametrize("verb", ["verify", "repair", "gc"])
def test_a_missing_home_is_an_error_and_is_not_created(tmp_path: Path, verb: str) -> None:
    home = tmp_path / "nowhere"
    done = call([verb, "--home", str(home)])
    assert done.code == 1
    assert "nowhere" in done.err
    assert "--home" in done.err
    assert not home.exists()


def test_a_page_of_5_000_files_is_mirrored_and_served_whole(
    index: Upstream, tmp_path: Path
) -> None:
    """A project with a nightly release for years: nothing of its page is cut, in either format."""
    names = [f"huge-1.{number}.tar.gz" for number in range(5_000)]
    files = [
        {
            "filename": name,
            "url": f"/files/{name}",
            "hashes": {"sha256": Digest.of(name.encode()).hex},
        }
        for name in names
    ]
    page = {"meta": {"api-version": "1.1"}, "name": "huge", "files": files}
    index.on(index.page_path("huge"), body(json.dumps(page).encode(), content_type=JSON))
    site = Mirror(
        tmp_path / "large",
        remote(index.url, more="policy: on-demand"),
        repository(sources=["name: up, include: [huge]"]),
        publication(),
    )
    site.applied()
    assert sorted(site.filenames()) == sorted(names)
    with served(site.home.root) as url:
        for accept, count in ((JSON, b'"filename"'), ("text/html", b"<a ")):
            request = Request(f"{url}team/simple/huge/", headers={"Accept": accept})
            with urlopen(request) as response:
                assert response.read().count(count) == 5_000
    assert not site.pending()
