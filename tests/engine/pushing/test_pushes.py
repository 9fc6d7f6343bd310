"""Pushes to an index: what it lacks, once, in order, and nothing over what is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.mirror import Mirror, call, publication, resource
from tests.support.pushed_index import PushedIndex, pushed_index
from tests.support.wheels import Built, build_sdist, build_wheel

TOKEN = "t0ken-of-the-index"
APP = build_wheel("acme-app", "1.0", requires=["acme-zlib>=1", "other"])
SOURCE = build_sdist("acme-app", "1.0")
ZLIB = build_wheel("acme-zlib", "1.0")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PushedIndex]:
    monkeypatch.setenv("INDEX_TOKEN", TOKEN)
    with pushed_index() as index:
        yield index


def site(folder: Path, index: PushedIndex, *files: Built, more: str = "") -> Mirror:
    """A repository with these uploads, whose publication is sent to the index."""
    own = resource("Repository", "own", "type: python\nsources:\n  - upload: {}\n")
    upload = "access: {upload: [{token: {env: INDEX_TOKEN}}]}\n"
    mirror = Mirror(folder, own, publication("own", more=upload))
    mirror.applied()
    add(mirror, *files)
    target = f"url: {index.url}, auth: {{token: {{env: INDEX_TOKEN}}}}, retries: 1{more}"
    export = f"{upload}exports:\n  - index: {{{target}}}\n"
    mirror.declare(own, publication("own", more=export))
    return mirror


def add(mirror: Mirror, *files: Built) -> None:
    folder = mirror.folder / "dist"
    folder.mkdir(exist_ok=True)
    for built in files:
        (folder / built.filename).write_bytes(built.content)
    words = [str(folder / built.filename) for built in files]
    assert call(["upload", "own", *words, "--home", str(mirror.home.root)]).code == 0


def test_a_plan_shows_what_would_be_sent_and_sends_nothing(
    tmp_path: Path, index: PushedIndex
) -> None:
    index.hold(ZLIB)
    mirror = site(tmp_path, index, APP, SOURCE, ZLIB)
    shown = mirror.plan().out
    assert "2 files to send" in shown
    assert f"> acme-app {APP.filename}" in shown
    assert ZLIB.filename not in shown
    change = mirror.plan("--format", "json").document["changes"][-1]
    assert [each["key"] for each in change["pushes"][0]["entries"]] == [
        APP.filename,
        SOURCE.filename,
    ]
    assert index.posts() == []


def test_what_is_needed_goes_first_and_what_arrived_is_not_sent_again(
    tmp_path: Path, index: PushedIndex
) -> None:
    mirror = site(tmp_path, index, APP, SOURCE, ZLIB)
    index.answers = [200, -503]  # the second file arrives, and the answer does not
    assert "sent 2 files" in mirror.applied()
    assert [dict(form)["name"] for form in index.forms] == ["acme-zlib", "acme-app", "acme-app"]
    assert [dict(form)["filetype"] for form in index.forms][1:] == ["bdist_wheel", "sdist"]
    assert set(index.logins) == {f"__token__:{TOKEN}"}
    assert "sent" not in mirror.applied()
    asked = len(index.looks())
    mirror.applied()
    assert len(index.posts()) == 3
    assert sorted(index.looks()[asked:]) == [
        ("/simple/acme-app/", True),
        ("/simple/acme-zlib/", True),
    ], "where nothing is to do, one conditional request for each project is all that it costs"


def test_a_file_that_the_index_lost_is_sent_again(tmp_path: Path, index: PushedIndex) -> None:
    mirror = site(tmp_path, index, APP, ZLIB)
    mirror.applied()
    index.lose(ZLIB.filename)
    assert "lacks files" in mirror.plan().out
    mirror.applied()
    assert index.files.keys() == {APP.filename, ZLIB.filename}
    assert len(index.posts()) == 3


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_another_file_of_the_name_stays_and_is_an_error_with_both_digests(
    tmp_path: Path, index: PushedIndex, algorithm: str
) -> None:
    index.algorithm = algorithm
    theirs = build_wheel("acme-app", "1.0", padding=b"theirs")
    index.hold(theirs)
    mirror = site(tmp_path, index, APP, ZLIB)
    done = mirror.apply()
    assert done.code == 1
    assert f"sent 1 file to {index.url[7:].strip('/')}" in done.err + done.out
    told = next(line for line in (done.err + done.out).splitlines() if "and this publ" in line)
    assert told.count(f"{algorithm}:") == 2
    assert index.files[APP.filename] == theirs.content
    assert [dict(form)["name"] for form in index.forms] == ["acme-zlib"]


def test_what_an_index_gives_for_a_digest_is_no_text_for_a_terminal(
    tmp_path: Path, index: PushedIndex
) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        text = f'<a href="x#sha256={"ff" * 99}\x1b[31m">{APP.filename}</a>'
        return web.Response(text=text, content_type="text/html")

    mirror = site(tmp_path, index, APP)
    index.server.on("/simple/acme-app/", page)
    shown = mirror.plan().out
    assert "the index has sha256:ffff" in shown
    assert "\x1b" not in shown
    assert "f" * 129 not in shown


def test_a_name_that_the_index_keeps_taken_is_an_error(tmp_path: Path, index: PushedIndex) -> None:
    mirror = site(tmp_path, index, APP, ZLIB)
    index.answers = [409]
    done = mirror.apply()
    assert done.code == 1
    assert "its page does not list it" in done.err + done.out
    assert index.files.keys() == {APP.filename}, "one file holds no other one back"


def test_only_what_include_names_is_sent(tmp_path: Path, index: PushedIndex) -> None:
    mirror = site(tmp_path, index, APP, ZLIB, more=", include: [acme-z*]")
    mirror.applied()
    assert index.files.keys() == {ZLIB.filename}
    assert {path for path, _ in index.looks()} == {"/simple/acme-zlib/"}


def test_credentials_that_are_refused_are_tried_once(tmp_path: Path, index: PushedIndex) -> None:
    mirror = site(tmp_path, index, APP, SOURCE, ZLIB)
    index.answers = [403] * 9
    done = mirror.apply()
    assert done.code == 1
    assert "2 more files not sent" in done.err + done.out
    assert TOKEN not in done.err + done.out
    assert len(index.posts()) == 1


def test_offline_says_unknown_and_asks_for_nothing(tmp_path: Path, index: PushedIndex) -> None:
    mirror = site(tmp_path, index, APP)
    done = mirror.plan("--offline")
    assert "unknown for 1 project" in done.out
    assert index.server.requests == []


def test_pages_elsewhere_are_read_without_the_credentials(
    tmp_path: Path, index: PushedIndex
) -> None:
    elsewhere = index.server.url("/simple/", host="localhost")
    mirror = site(tmp_path, index, APP, more=f", simple: {elsewhere}")
    mirror.applied()
    asked = {
        (request.method, request.host.split(":")[0], "authorization" in request.headers)
        for request in index.server.requests
    }
    assert asked == {("GET", "localhost", False), ("POST", "127.0.0.1", True)}
