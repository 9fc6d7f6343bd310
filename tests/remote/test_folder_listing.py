"""The listing of a local folder: everything that can be asked for, and nothing from outside."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Gone, Malformed, Refused
from reconciler.remote import FOLDER_MEDIA_TYPE, Response, open_fetcher
from reconciler.remote.folder_listing import etag_of, is_within
from tests.support.remotes import remote


def ask(base: Path, path: str = "", limit: int = 1_000_000, **headers: str) -> Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}

    async def main() -> Response:
        return await open_fetcher(remote(retries=0), f"{base.as_uri()}/").get(
            f"{base.as_uri()}/{path}", headers=sent, limit=limit
        )

    return asyncio.run(main())


def files(answer: Response) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = msgspec.json.decode(answer.body)["files"]
    return listed


def paths(base: Path, path: str = "") -> list[str]:
    return [file["path"] for file in files(ask(base, path))]


def tree(base: Path, *names: str) -> None:
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(name.encode())


def test_a_listing_names_every_file_below_by_path(tmp_path: Path) -> None:
    tree(tmp_path, "b", "sub/deep/x", "sub.txt", "sub/a", "A")
    answer = ask(tmp_path)
    assert (
        answer.headers["content-type"]
        == FOLDER_MEDIA_TYPE
        == "application/vnd.reconciler.folder+json"
    )
    assert [file["path"] for file in files(answer)] == ["A", "b", "sub.txt", "sub/a", "sub/deep/x"]
    assert files(answer)[1] == {"path": "b", "size": 1, "etag": etag_of((tmp_path / "b").stat())}


def test_an_empty_folder_has_an_empty_listing(tmp_path: Path) -> None:
    assert ask(tmp_path).body == b'{"files":[]}'


def test_a_listed_etag_is_the_one_that_the_file_answers_with(tmp_path: Path) -> None:
    tree(tmp_path, "sub/a")
    [listed] = files(ask(tmp_path))
    assert ask(tmp_path, "sub/a").headers["etag"] == listed["etag"]


@pytest.mark.parametrize("path", ["sub", "sub/"])
def test_a_folder_below_is_listed_with_or_without_its_slash(tmp_path: Path, path: str) -> None:
    tree(tmp_path, "sub/a", "other")
    answer = ask(tmp_path, path)
    assert [file["path"] for file in files(answer)] == ["a"]
    assert answer.url == f"{tmp_path.as_uri()}/sub/"


def test_what_begins_with_a_dot_is_left_out(tmp_path: Path) -> None:
    tree(tmp_path, ".git/config", ".a.swp", "sub/.b", "sub/c")
    assert paths(tmp_path) == ["sub/c"]


def test_links_to_files_of_the_folder_are_listed_and_others_are_not(tmp_path: Path) -> None:
    base = tmp_path / "base"
    tree(tmp_path, "base/sub/a", "outside/x", "base-too/y")
    for name, target in {
        "in": "sub/a",
        "out": "../outside/x",
        "beside": "../base-too/y",
        "folder": "../outside",
        "up": ".",
        "dead": "none",
        "me": "me",
    }.items():
        (base / name).symlink_to(target)
    os.mkfifo(base / "pipe")
    assert paths(base) == ["in", "sub/a"]
    assert files(ask(base))[0]["size"] == len("base/sub/a")


def test_a_link_to_the_credentials_of_a_checkout_is_no_content(tmp_path: Path) -> None:
    """Kind: the folder of a remote is a work tree, and a link in it leads to `.git/config`."""
    tree(tmp_path, "a", ".git/config")
    (tmp_path / "b").symlink_to(".git/config")
    assert paths(tmp_path) == ["a"]
    assert not is_within(str(tmp_path / ".git" / "config"), str(tmp_path))
    assert is_within(str(tmp_path / "a.git" / "config"), str(tmp_path))


def test_the_etag_of_a_listing_changes_with_the_files_and_only_then(tmp_path: Path) -> None:
    tree(tmp_path, "a", "sub/b")
    etag = ask(tmp_path).headers["etag"]
    assert ask(tmp_path).headers["etag"] == etag
    unchanged = ask(tmp_path, if_none_match=etag)
    assert (unchanged.status, unchanged.body) == (304, b"")
    os.utime(tmp_path / "sub" / "b", ns=(0, 1))
    changed = ask(tmp_path, if_none_match=etag)
    assert (changed.status, len(files(changed))) == (200, 2)


def test_a_listing_larger_than_the_limit_is_malformed(tmp_path: Path) -> None:
    tree(tmp_path, "a")
    with pytest.raises(Malformed, match="limit of 10 bytes"):
        ask(tmp_path, limit=10)


def test_a_folder_that_is_not_there_is_gone(tmp_path: Path) -> None:
    with pytest.raises(Gone):
        ask(tmp_path, "sub/")


def test_a_folder_that_cannot_be_read_is_a_refusal_and_no_absence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a", "sub/b")
    scandir = os.scandir

    def forbidding(path: str) -> Any:
        if path.endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("reconciler.remote.folder_listing.os.scandir", forbidding)
    with pytest.raises(Refused, match="sub` cannot be read: Permission denied"):
        ask(tmp_path)


def test_a_folder_that_goes_away_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a", "sub/b")
    scandir = os.scandir

    def losing(path: str) -> Any:
        return scandir(path if path == str(tmp_path) else f"{path}/gone")

    monkeypatch.setattr("reconciler.remote.folder_listing.os.scandir", losing)
    assert paths(tmp_path) == ["a"]


def test_a_name_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"a\xff")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    with pytest.raises(Refused, match="not UTF-8"):
        ask(tmp_path)


@given(st.text("ab/", max_size=6), st.text("ab/", max_size=6))
def test_within_means_the_folder_or_below_it(base: str, rest: str) -> None:
    base = f"/{base.strip('/')}"
    assert is_within(base, base)
    assert is_within(f"{base.rstrip('/')}/{rest}", base)
    if base != "/":
        assert not is_within(f"{base}c{rest}", base)
        assert not is_within("/", base)
