"""Indexes of every make, each reduced to one property, read over HTTP by the engine."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.faulty import Answer, FaultyServer, body, redirect, running, status, truncated
from tests.support.mirror import Mirror, export, publication, remote, repository
from tests.support.wheels import build_wheel

JSON = "application/vnd.pypi.simple.v1+json"
SECRET = "c2VjcmV0"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with running(lambda server: None) as found:
        yield found


def wheel(project: str) -> str:
    return f"{project}-1.0-py3-none-any.whl"


def content(project: str) -> bytes:
    return build_wheel(project, "1.0").content


def digest(project: str, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, content(project)).hexdigest()


def offered(server: FaultyServer, project: str) -> str:
    """The file of a project, and where it is."""
    server.on(f"/files/{wheel(project)}", body(content(project)))
    return f"/files/{wheel(project)}"


def json_page(project: str, url: str, **keys: Any) -> bytes:
    entry = {"filename": wheel(project), "url": url, "hashes": {"sha256": digest(project)}, **keys}
    return json.dumps({"meta": {"api-version": "1.4"}, "name": project, "files": [entry]}).encode()


def html_page(project: str, url: str, *, head: str = "", fragment: str = "") -> str:
    fragment = fragment or f"sha256={digest(project)}"
    return (
        f"<!DOCTYPE html><html><head>{head}</head><body><a"
        f' href="{url}#{fragment}">{wheel(project)}</a><br></body></html>'
    )


def mirrored(
    server: FaultyServer,
    folder: Path,
    keys: str,
    *,
    more: str = "retries: 0",
    rest: str = "",
    host: str = "127.0.0.1",
) -> Mirror:
    site = Mirror(
        folder,
        remote(server.url("/simple/", host), more=more),
        repository(sources=[f"name: up{keys}"], more=rest),
    )
    site.applied()
    return site


def dated(data: bytes, moment: str, content_type: str = JSON) -> Answer:
    """With a date and no entity tag."""

    async def answer(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": content_type, "Last-Modified": moment}
        if request.headers.get("If-Modified-Since") == moment:
            return web.Response(status=304, headers=headers)
        return web.Response(body=data, headers=headers)

    return answer


class TestChangeDetection:
    """Two projects, of which one changes."""

    def test_by_serial_in_the_project_list_alone(
        self, server: FaultyServer, tmp_path: Path
    ) -> None:
        def show(serial: int, **keys: Any) -> None:
            listed = [{"name": "one", "_last-serial": 5}, {"name": "two", "_last-serial": serial}]
            server.on(
                "/simple/",
                body(
                    json.dumps({"meta": {"api-version": "1.0"}, "projects": listed}).encode(),
                    content_type=JSON,
                ),
            )
            for project in ("one", "two"):
                page = json_page(
                    project,
                    f"../..{offered(server, project)}",
                    **(keys if project == "two" else {}),
                )
                server.on(f"/simple/{project}/", body(page, content_type=JSON))

        show(7)
        site = mirrored(server, tmp_path, "")
        server.requests.clear()
        assert not site.pending()
        assert [request.path for request in server.requests] == ["/simple/"], (
            "an unchanged project is not asked about"
        )
        show(8, yanked=True)
        server.requests.clear()
        assert "yanked upstream" in site.applied()
        assert {request.path for request in server.requests} == {"/simple/", "/simple/two/"}

    @pytest.mark.parametrize("by", ["etag", "last-modified", "neither"])
    def test_by_what_each_page_says(self, by: str, server: FaultyServer, tmp_path: Path) -> None:
        def show(project: str, moment: str, **keys: Any) -> None:
            page = json_page(project, f"../..{offered(server, project)}", **keys)
            server.on(
                f"/simple/{project}/",
                (
                    dated(page, moment)
                    if by == "last-modified"
                    else body(page, content_type=JSON, conditional=by == "etag")
                ),
            )

        show("one", "Mon, 05 Jan 2026 01:02:03 GMT")
        show("two", "Mon, 05 Jan 2026 01:02:03 GMT")
        site = mirrored(server, tmp_path, ", include: [one, two]")
        server.requests.clear()
        assert not site.pending()
        assert all(
            ("if-none-match" in request.headers, "if-modified-since" in request.headers)
            == (by == "etag", by == "last-modified")
            for request in server.requests
        )
        assert len(server.requests) == 2
        show("two", "Tue, 06 Jan 2026 01:02:03 GMT", yanked="why")
        assert 'yanked upstream: "why"' in site.applied()
        assert not site.pending()


class TestKinds:
    def test_an_index_of_html_alone(self, server: FaultyServer, tmp_path: Path) -> None:
        server.on(
            "/simple/",
            body(
                b"<html><body><a href='one/'>One</a> <a href='two/'>two</a></body></html>",
                content_type="text/html",
            ),
        )
        for project in ("one", "two"):
            markup = html_page(project, f"../..{offered(server, project)}")
            server.on(
                f"/simple/{project}/",
                body(markup.encode(), content_type="text/html; charset=utf-8", conditional=True),
            )
        site = mirrored(server, tmp_path, "")
        assert site.filenames() == [wheel("one"), wheel("two")]
        assert not site.pending()

    @pytest.mark.parametrize("code", [403, 404])
    def test_an_index_without_a_list_serves_named_projects_and_says_what_globs_need(
        self, code: int, server: FaultyServer, tmp_path: Path
    ) -> None:
        server.on("/simple/", status(code))
        server.on(
            "/simple/one/",
            body(json_page("one", f"../..{offered(server, 'one')}"), content_type=JSON),
        )
        site = mirrored(server, tmp_path, ", include: [one]")
        assert site.filenames() == [wheel("one")]
        for keys in (", include: ['o*']", ""):
            site.declare(remote(server.url("/simple/")), repository(sources=[f"name: up{keys}"]))
            done = site.plan()
            assert done.code == 1
            assert f"answered {code}" in done.out
            assert "the index lists no projects, so globs cannot be matched" in done.out
            assert f"- {wheel('one')}" not in done.out
        assert site.filenames() == [wheel("one")], "a list that cannot be had removes nothing"


def peculiar(server: FaultyServer, elsewhere: FaultyServer) -> dict[str, Answer]:
    """Pages that are odd and sound, by project."""

    def here(project: str) -> str:
        return f"../..{offered(server, project)}"

    def there(project: str) -> str:
        return offered(elsewhere, project)

    def html(data: str | bytes, content_type: str = "text/html") -> Answer:
        return body(data.encode() if isinstance(data, str) else data, content_type=content_type)

    other = elsewhere.url("", "localhost")
    latin = html_page("latin", here("latin"), head="<title>caf\xe9</title>")
    return {
        "base": html(
            html_page(
                "base", there("base").removeprefix("/files/"), head=f'<base href="{other}/files/">'
            )
        ),
        "protocol": html(html_page("protocol", f"//localhost:{elsewhere.port}{there('protocol')}")),
        "rooted": html(html_page("rooted", f"/files/{wheel('rooted')}") if here("rooted") else ""),
        "userinfo": html(
            html_page(
                "userinfo", f"http://user:{SECRET}@localhost:{elsewhere.port}{there('userinfo')}"
            )
        ),
        "parameters": html(
            html_page("parameters", here("parameters")), 'Text/HTML; Charset="UTF-8"; odd=1'
        ),
        "xhtml": html(html_page("xhtml", here("xhtml")), "application/xhtml+xml"),
        "latest": body(
            json_page("latest", here("latest")),
            content_type="application/vnd.pypi.simple.latest+json",
        ),
        "plain": body(json_page("plain", here("plain")), content_type="application/json"),
        "octets": body(
            json_page("octets", here("octets")), content_type="application/octet-stream"
        ),
        "text": body(html_page("text", here("text")).encode(), content_type="text/plain"),
        "latin": html(latin.encode("latin-1"), "text/html; charset=iso-8859-1"),
        "meta": html(
            latin.replace("latin", "meta")
            .replace(digest("latin"), digest("meta"))
            .encode("latin-1")
            .replace(b"<title>", b"<meta charset=latin-1><title>")
        ),
        "wide": html(html_page("wide", here("wide")).encode("utf-16"), "text/html"),
        "wide-json": body(
            json_page("wide_json", here("wide_json")).decode().encode("utf-16"), content_type=JSON
        ),
        "marked": body(b"\xef\xbb\xbf" + json_page("marked", here("marked")), content_type=JSON),
        "packed": body(
            gzip.compress(json_page("packed", here("packed"))),
            content_type=JSON,
            headers={"Content-Encoding": "gzip"},
        ),
        "newer": body(
            json_page("newer", here("newer"), tomorrow={"x": [1]}).replace(b'"1.4"', b'"1.9"'),
            content_type=JSON,
        ),
        "twice": body(
            json_page("twice", here("twice")).replace(b'"meta"', b'"files": [], "meta"', 1),
            content_type=JSON,
        ),
        "unlisted": body(
            b'{"meta": {"api-version": "1.4"}, "name": "unlisted", "files": []}', content_type=JSON
        ),
    }


def test_odd_pages_that_are_sound_are_read(server: FaultyServer, tmp_path: Path) -> None:
    with running(lambda server: None) as elsewhere:
        pages = peculiar(server, elsewhere)
        offered(server, "meta")
        for project, answer in pages.items():
            server.on(f"/simple/{project}/", answer)
        site = Mirror(
            tmp_path,
            remote(server.url("/simple/")),
            repository(sources=[f"name: up, include: [{', '.join(pages)}]"]),
        )
        site.applied()
        assert site.filenames() == sorted(
            wheel(project.replace("-", "_")) for project in pages if project != "unlisted"
        )
        database = [path for path in site.home.root.rglob("*") if path.is_file()]
        assert not [path for path in database if SECRET.encode() in path.read_bytes()], (
            "a password in a URL is recorded nowhere but in the cached page"
        )


BROKEN: dict[str, tuple[Answer, str]] = {
    "empty-html": (body(b"", content_type="text/html"), "there is no element in it"),
    "empty-json": (body(b"", content_type=JSON), "not a project page"),
    "cut-off": (truncated(b'{"files": []}' * 10), "cut-off"),
    "cut-html": (
        truncated(b"<!DOCTYPE html><html><body><h1>Links</h1>" * 10, content_type="text/html"),
        "cut-html",
    ),
    "cut-tag": (
        body(b"<html><body><a href='foo-1.0.tar", content_type="text/html"),
        "it ends within a tag",
    ),
    "cut-json": (
        body(b'{"meta": {"api-version": "1.0"}, "files": [', content_type=JSON),
        "not a project page",
    ),
    "cut-gzip": (
        body(
            gzip.compress(b"x" * 10_000)[:-9],
            content_type=JSON,
            headers={"Content-Encoding": "gzip"},
        ),
        "before its compressed body",
    ),
    "list": (body(b"[]", content_type=JSON), "Expected `object`, got `array`"),
    "number": (body(b'{"files": [], "x": NaN}', content_type=JSON), "JSON is malformed"),
    "huge": (
        body(b'{"files": [], "x": ' + b"9" * 5000 + b"}", content_type=JSON),
        "not a project page",
    ),
    "major": (
        body(b'{"meta": {"api-version": "2.0"}, "files": []}', content_type=JSON),
        "speaks version 2.0",
    ),
    "major-html": (
        body(b'<meta name="pypi:repository-version" content="2.0">', content_type="text/html"),
        "speaks version 2.0",
    ),
    "major-type": (
        body(b"{}", content_type="application/vnd.pypi.simple.v2+json"),
        "speaks version 2 ",
    ),
    "project-json": (
        body(b'{"info": {}, "releases": {}, "urls": []}', content_type="application/json"),
        "which is no page of the simple API",
    ),
    "picture": (body(b"\x89PNG", content_type="image/png"), "content type `image/png`"),
    "login": (
        body(
            b"<html><body><form><input type=Password></form></body></html>",
            content_type="text/html",
        ),
        "is no page of an index",
    ),
    "wrong-charset": (
        body(b"<html><body></body></html>", content_type="text/html; charset=utf-16"),
        "there is no element in it",
    ),
}


def test_a_page_that_cannot_be_right_is_a_failure_and_never_an_absence(
    server: FaultyServer, tmp_path: Path
) -> None:
    for project in BROKEN:
        name = project.replace("-", "_")
        server.on(
            f"/simple/{project}/",
            body(json_page(name, f"../..{offered(server, name)}"), content_type=JSON),
        )
    site = mirrored(server, tmp_path, f", include: [{', '.join(BROKEN)}]")
    held = site.filenames()
    assert len(held) == len(BROKEN)
    for project, (answer, _) in BROKEN.items():
        server.on(f"/simple/{project}/", answer)
    done = site.apply()
    assert done.code == 1
    errors = {
        line.split("error: ", 1)[1].split(": ")[1]: line
        for line in done.out.splitlines()
        if "error: remote:up" in line
    }
    assert errors.keys() == BROKEN.keys()
    for project, (_, words) in BROKEN.items():
        assert words in errors[project], errors[project]
    assert site.filenames() == held


def test_credentials_stay_with_the_remotes_own_host_wherever_pages_and_files_lead(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INDEX_USER", "someone")
    monkeypatch.setenv("INDEX_PASSWORD", SECRET)
    with running(lambda server: None) as elsewhere:
        other = elsewhere.url("", "localhost")
        server.on("/simple/one/", redirect(f"{other}/moved/one/"))
        elsewhere.on(
            "/moved/one/", body(json_page("one", "../../files/" + wheel("one")), content_type=JSON)
        )
        offered(elsewhere, "one")
        server.on(
            "/simple/two/", body(json_page("two", f"/files/{wheel('two')}"), content_type=JSON)
        )
        server.on(f"/files/{wheel('two')}", redirect(f"{other}{offered(elsewhere, 'two')}"))
        auth = "auth: {username: {env: INDEX_USER}, password: {env: INDEX_PASSWORD}}"
        auth += "\nredirects: any\nretries: 0"
        site = mirrored(server, tmp_path, ", include: [one, two]", more=auth)
        assert site.filenames() == [wheel("one"), wheel("two")]
        assert server.requests, "asked"
        assert all("authorization" in request.headers for request in server.requests)
        assert {request.path for request in elsewhere.requests} == {
            "/moved/one/",
            f"/files/{wheel('one')}",
            f"/files/{wheel('two')}",
        }
        assert not [
            request
            for request in elsewhere.requests
            if "authorization" in request.headers or "cookie" in request.headers
        ]


def test_other_digests_are_verified_and_sha256_is_computed(
    server: FaultyServer, tmp_path: Path
) -> None:
    """And none at all is refused unless the source says otherwise."""
    named = {"old": "md5", "older": "sha1", "long": "sha512", "blake": "blake2b"}
    for project, algorithm in named.items():
        markup = html_page(
            project,
            f"../..{offered(server, project)}",
            fragment=f"{algorithm}={digest(project, algorithm).upper()}",
        )
        server.on(f"/simple/{project}/", body(markup.encode(), content_type="text/html"))
    offered(server, "wrong")
    server.on(
        "/simple/wrong/",
        body(
            html_page("wrong", f"/files/{wheel('wrong')}", fragment=f"md5={'0' * 32}").encode(),
            content_type="text/html",
        ),
    )
    offered(server, "none")
    server.on(
        "/simple/none/",
        body(
            html_page("none", f"/files/{wheel('none')}", fragment="egg=x").encode(),
            content_type="text/html",
        ),
    )
    projects = ", ".join([*named, "none"])
    site = mirrored(server, tmp_path, f", include: [{projects}]")
    assert site.filenames() == sorted(wheel(project) for project in named)
    assert not site.pending()
    site.declare(
        remote(server.url("/simple/")),
        repository(sources=[f"name: up, include: [{projects}, wrong], hashes: optional"]),
    )
    done = site.apply()
    assert done.code == 1
    assert "md5" in done.out + done.err
    site.declare(
        remote(server.url("/simple/")),
        repository(sources=[f"name: up, include: [{projects}], hashes: optional"]),
    )
    site.applied()
    assert site.filenames() == sorted(wheel(project) for project in [*named, "none"])


def test_legacy_files_come_in_when_they_are_asked_for_and_are_served(
    server: FaultyServer, tmp_path: Path
) -> None:
    names = [
        "alpha-latest.tar.gz",
        "alpha-1.0.tar.gz",
        "unrelated.zip",
        "alpha-2004a-final.win32.exe",
        "alpha-x.whl",
    ]
    outside = ["../alpha-1.0.tar.gz", "alpha-1.0.deb", ".alpha-1.tar.gz"]
    entries = []
    for number, name in enumerate([*names, *outside]):
        server.on(f"/files/{number}", body(name.encode()))
        entries.append(
            {
                "filename": name,
                "url": f"/files/{number}",
                "hashes": {"sha256": hashlib.sha256(name.encode()).hexdigest()},
            }
        )
    server.on(
        "/simple/alpha/",
        body(
            json.dumps({"meta": {"api-version": "1.4"}, "files": entries}).encode(),
            content_type=JSON,
        ),
    )
    site = mirrored(server, tmp_path, ", include: [alpha]")
    assert site.filenames() == ["alpha-1.0.tar.gz"]
    declared = (
        remote(server.url("/simple/")),
        repository(sources=["name: up, include: [alpha], legacy: allow"]),
    )
    site.declare(*declared, publication(more=export(str(tmp_path / "tree"))))
    site.applied()
    assert site.filenames() == sorted(names)
    page = json.loads((tmp_path / "tree" / "simple" / "alpha" / "index.json").read_bytes())
    assert page["files"][0]["filename"] == "alpha-1.0.tar.gz"
    assert page["versions"] == ["1.0", "2004a-final", "latest", "x"]
    for file in page["files"]:
        assert (
            tmp_path / "tree" / "simple" / "alpha" / file["url"]
        ).resolve().read_bytes() == file["filename"].encode()
    assert not site.pending()
