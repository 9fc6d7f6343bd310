"""The synthetic index that tests and benchmarks read, and the nginx that serves it."""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.request
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urljoin

import pytest

from tests.support.clients import PIP, run
from tests.support.index import Index, Project, make_index, named
from tests.support.nginx import JSON, Request, serving_index, serving_tree


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Index]:
    folder = tmp_path_factory.mktemp("index")
    return folder, make_index(folder, "tiny")


def get(url: str, **headers: str) -> tuple[dict[str, str], bytes]:
    request = urllib.request.Request(
        url, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return {name.lower(): value for name, value in answer.headers.items()}, answer.read()


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def some(index: Index) -> Project:
    return index.projects[1]


def test_the_index_is_what_its_profile_says(tiny: tuple[Path, Index]) -> None:
    folder, index = tiny
    assert len(index.projects) == 13
    assert len(named(index.projects, "fixed-many-files").files) == 300
    for file in index.files:
        assert hashlib.sha256((folder / file.path).read_bytes()).hexdigest() == file.sha256
        if file.metadata:
            assert (
                hashlib.sha256((folder / f"{file.path}.metadata").read_bytes()).hexdigest()
                == file.metadata
            )
    assert {file.kind for file in index.files} == {"sdist", "wheel", "egg"}
    assert any(file.yanked for file in index.files)


def test_the_same_call_gives_the_same_bytes(tiny: tuple[Path, Index], tmp_path: Path) -> None:
    make_index(tmp_path, "tiny")
    assert tree(tmp_path) == tree(tiny[0])


def test_a_generation_writes_what_changed_and_nothing_else(
    tiny: tuple[Path, Index], tmp_path: Path
) -> None:
    shutil.copytree(tiny[0], tmp_path / "index")
    before = tree(tmp_path / "index")
    index = make_index(tmp_path / "index", "tiny", generation=1)
    (changed,) = index.written
    after = tree(tmp_path / "index")
    new = {path for path in after if after[path] != before.get(path)}
    lists = {"index.json", "serials.map", "simple/index.html", "simple/index.json"}
    assert {path for path in new if not path.startswith("packages/")} == lists | {
        f"simple/{changed}/index.{kind}" for kind in ("html", "json")
    }
    assert {file.version for file in named(index.projects, changed).files} - {
        file.version for file in named(tiny[1].projects, changed).files
    } == {"9.1.0"}
    make_index(tmp_path / "direct", "tiny", generation=1)
    direct, advanced = tree(tmp_path / "direct"), tree(tmp_path / "index")
    assert {path: data for path, data in direct.items() if path != "index.json"} == {
        p: d for p, d in advanced.items() if p != "index.json"
    }


def test_nginx_serves_what_is_asked_for(tiny: tuple[Path, Index], tmp_path: Path) -> None:
    folder, index = tiny
    project = some(index)
    with serving_index(folder, tmp_path) as server:
        url = f"{server.url}/simple/{project.normalized}/"
        headers, body = get(url, Accept=f"{JSON}, text/html;q=0.1")
        assert (headers["content-type"], headers["vary"], headers["x-pypi-last-serial"]) == (
            JSON,
            "Accept",
            str(project.serial),
        )
        page = json.loads(body)
        assert [file["filename"] for file in page["files"]] == [
            file.filename for file in project.files
        ]
        for file in page["files"]:
            assert (
                hashlib.sha256(get(urljoin(url, file["url"]))[1]).hexdigest()
                == file["hashes"]["sha256"]
            )
            if file["core-metadata"]:
                assert (
                    hashlib.sha256(get(urljoin(url, file["url"]) + ".metadata")[1]).hexdigest()
                    == file["core-metadata"]["sha256"]
                )
        html, body = get(url, Accept="text/html")
        assert (html["content-type"], html["x-pypi-last-serial"]) == (
            "text/html",
            str(project.serial),
        )
        assert all(file.sha256.encode() in body for file in project.files)
        with pytest.raises(HTTPError) as caught:
            get(url, Accept=JSON, If_None_Match=headers["etag"])
        assert caught.value.code == 304
        caught.value.close()
        listing, body = get(f"{server.url}/simple/", Accept=JSON)
        assert listing["x-pypi-last-serial"] == str(index.serial)
        assert [entry["name"] for entry in json.loads(body)["projects"]] == [
            entry.name for entry in index.projects
        ]


def test_every_request_is_counted(tiny: tuple[Path, Index], tmp_path: Path) -> None:
    with serving_index(tiny[0], tmp_path) as server:
        assert server.requests() == []
        get(f"{server.url}/simple/")
        with pytest.raises(HTTPError) as caught:
            get(f"{server.url}/simple/nobody/")
        caught.value.close()
        assert server.requests() == [
            Request(200, "GET", "/simple/"),
            Request(404, "GET", "/simple/nobody/"),
        ]


def test_an_index_without_serials(tmp_path: Path) -> None:
    index = make_index(tmp_path / "index", "tiny", serials=False)
    with serving_index(tmp_path / "index", tmp_path / "state", serials=False) as server:
        headers, body = get(f"{server.url}/simple/{some(index).normalized}/", Accept=JSON)
    assert "x-pypi-last-serial" not in headers
    assert "_last-serial" not in json.loads(body)["meta"]
    assert not any(
        b"serial" in data.lower()
        for path, data in tree(tmp_path / "index").items()
        if path.startswith("simple/")
    )


def test_links_may_name_where_the_index_will_be(tmp_path: Path) -> None:
    index = make_index(tmp_path, "tiny", base_url="http://files.example.org/")
    page = json.loads((tmp_path / "simple" / some(index).normalized / "index.json").read_bytes())
    assert page["files"][0]["url"] == f"http://files.example.org/{some(index).files[0].path}"


def test_pip_installs_from_it(tiny: tuple[Path, Index], tmp_path: Path) -> None:
    with serving_index(tiny[0], tmp_path / "state") as server:
        words = [
            "install",
            "--isolated",
            "--no-deps",
            "--no-cache-dir",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
        ]
        place = ["--index-url", f"{server.url}/simple", "--target", str(tmp_path / "site")]
        run([*PIP, *words, *place, *(project.name for project in tiny[1].projects[:4])], tmp_path)
    assert len(list((tmp_path / "site").glob("*.dist-info"))) == 4


def test_a_tree_is_served_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "tree" / "simple").mkdir(parents=True)
    (tmp_path / "tree" / "simple" / "index.html").write_bytes(b"a page")
    (tmp_path / "tree" / "a.whl").write_bytes(b"a file")
    with serving_tree(tmp_path / "tree", tmp_path / "state") as server:
        assert get(f"{server.url}/simple/")[1] == b"a page"
        assert get(f"{server.url}/a.whl")[1] == b"a file"
        assert [request.uri for request in server.requests()] == ["/simple/", "/a.whl"]


def test_the_nginx_of_the_package_will_do(
    tiny: tuple[Path, Index], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with serving_index(tiny[0], tmp_path) as server:
        headers, _ = get(f"{server.url}/simple/{some(tiny[1]).normalized}/", Accept=JSON)
        assert (headers["content-type"], headers["x-pypi-last-serial"]) == (
            JSON,
            str(some(tiny[1]).serial),
        )


def test_an_nginx_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match=r"serials\.map"),
        serving_index(tmp_path / "nothing", tmp_path / "state"),
    ):
        pass
