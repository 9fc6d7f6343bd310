"""What the application answers, through raw ASGI."""

from __future__ import annotations

import asyncio
import gzip
import re
import threading
from pathlib import Path

import pytest

from reconciler.model import Digest
from reconciler.serve import Application, Catalogue
from reconciler.serve.content_request import ContentRequest
from reconciler.serve.redirects import PathSuggestions
from tests.serve.team import (
    BIG,
    FILE,
    HTML_PAGE,
    JSON,
    JSON_PAGE,
    LARGE,
    PAGE,
    SMALL,
    V1_HTML,
    application,
    ask,
    team,
)
from tests.support.asgi import AsgiResponse, Client
from tests.support.published import LAST_MODIFIED, Published


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return team(tmp_path)


def test_a_page_is_sent_as_the_default_type(published: Published) -> None:
    answer = ask(published, PAGE)
    assert (answer.status, answer.body) == (200, HTML_PAGE)
    assert answer.headers == {
        "etag": f'"{Digest.of(HTML_PAGE).hex}"',
        "content-type": "text/html; charset=utf-8",
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
        "last-modified": LAST_MODIFIED,
        "vary": "Accept, Accept-Encoding",
        "content-length": str(len(HTML_PAGE)),
    }


def test_the_type_that_is_asked_for_is_sent(published: Published) -> None:
    answer = ask(published, PAGE, ("Accept", f"{JSON}, {V1_HTML};q=0.1, text/html;q=0.01"))
    assert (answer.headers["content-type"], answer.body) == (JSON, JSON_PAGE)


def test_accept_in_two_headers_is_one_list(published: Published) -> None:
    assert ask(published, PAGE, ("Accept", "text/html;q=0.5"), ("Accept", JSON)).body == JSON_PAGE


def test_an_alias_is_answered_with_the_real_type(published: Published) -> None:
    assert (
        ask(published, PAGE, ("Accept", V1_HTML)).headers["content-type"]
        == "text/html; charset=utf-8"
    )


def test_nothing_acceptable_gets_the_default(published: Published) -> None:
    answer = ask(published, PAGE, ("Accept", "image/png"))
    assert (answer.status, answer.body, answer.headers["vary"]) == (
        200,
        HTML_PAGE,
        "Accept, Accept-Encoding",
    )


@pytest.mark.parametrize(
    "query",
    [f"format={JSON}", "x=1&format=application/vnd.pypi.simple.v1%2Bjson", f"format={JSON}&y"],
)
def test_a_format_in_the_query_overrules_accept(published: Published, query: str) -> None:
    assert ask(published, PAGE, ("Accept", "text/html"), query=query).body == JSON_PAGE


def test_gzip_is_sent_as_it_is_kept(published: Published) -> None:
    answer = ask(published, PAGE, ("Accept-Encoding", "gzip, deflate"))
    digest = Digest.of(HTML_PAGE)
    assert (answer.body, answer.headers["content-encoding"]) == (published.packed[digest], "gzip")
    assert answer.headers["etag"] == f'"{digest.hex}-gzip"'
    assert answer.headers["content-length"] == str(len(published.packed[digest]))
    assert gzip.decompress(answer.body) == HTML_PAGE


def test_a_file_is_revalidated_and_never_coded(published: Published) -> None:
    answer = ask(published, FILE, ("Accept-Encoding", "gzip"))
    assert answer.body == SMALL
    assert answer.headers == {
        "etag": f'"{Digest.of(SMALL).hex}"',
        "content-type": "application/octet-stream",
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
        "last-modified": LAST_MODIFIED,
        "accept-ranges": "bytes",
        "content-length": str(len(SMALL)),
    }


def test_a_large_file_is_sent_by_the_server_where_it_can(published: Published) -> None:
    answer = ask(published, BIG, pathsend=True)
    assert (answer.body, answer.headers["content-length"]) == (LARGE, str(len(LARGE)))
    assert [path.name for path in answer.sent_files] == [Digest.of(LARGE).hex]


def test_a_large_file_is_streamed_in_pieces_otherwise(published: Published) -> None:
    answer = ask(published, BIG)
    assert answer.body == LARGE
    assert answer.pieces == 3
    published.folder = None  # a store without files, and a server that could send them
    answer = ask(published, BIG, pathsend=True)
    assert (answer.body, answer.sent_files) == (LARGE, ())


@pytest.mark.parametrize("path", [PAGE, FILE, BIG, "/", "/team/simple/nobody/", "/team"])
@pytest.mark.parametrize(
    "header", [("Accept-Encoding", "gzip"), ("Accept", JSON), ("If-None-Match", "*")]
)
def test_head_has_the_headers_of_get_and_no_body(
    published: Published, path: str, header: tuple[str, str]
) -> None:
    get, head = ask(published, path, header), ask(published, path, header, method="HEAD")
    assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")


@pytest.mark.parametrize("path", [PAGE, FILE, BIG, "/"])
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_who_has_it_gets_304(published: Published, path: str, coding: str) -> None:
    first = ask(published, path, ("Accept-Encoding", coding))
    second = ask(
        published,
        path,
        ("Accept-Encoding", coding),
        ("If-None-Match", f'"other", W/{first.headers["etag"]}'),
    )
    assert (second.status, second.body) == (304, b"")
    assert second.headers == {
        name: first.headers[name]
        for name in ("etag", "cache-control", "last-modified", "vary")
        if name in first.headers
    }
    assert ask(published, path, ("If-None-Match", '"other"')).status == 200


def test_304_reads_no_body(published: Published) -> None:
    assert ask(published, PAGE, ("If-None-Match", "*")).status == 304
    assert "pages" not in published.lookups


@pytest.mark.parametrize(("path", "whole"), [(FILE, SMALL), (BIG, LARGE)])
@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=5-9", slice(5, 10)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=1000-", slice(1000, None)),
    ],
)
@pytest.mark.parametrize("pathsend", [True, False])
def test_a_part_of_a_file(
    published: Published, path: str, whole: bytes, header: str, part: slice, pathsend: bool
) -> None:
    answer = ask(published, path, ("Range", header), pathsend=pathsend)
    expected = whole[part]
    start, _, _ = part.indices(len(whole))
    assert (answer.status, answer.body) == (206, expected)
    assert (
        answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{len(whole)}"
    )
    assert answer.headers["content-length"] == str(len(expected))
    assert answer.headers["etag"] == f'"{Digest.of(whole).hex}"'


@pytest.mark.parametrize(("path", "size"), [(FILE, len(SMALL)), (BIG, len(LARGE))])
def test_a_part_outside_of_the_file_is_416(published: Published, path: str, size: int) -> None:
    answer = ask(published, path, ("Range", f"bytes={size}-"))
    assert (answer.status, answer.headers["content-range"], answer.body) == (
        416,
        f"bytes */{size}",
        b"",
    )


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "bytes=5-1", "pages=1-2", "bytes"])
def test_other_ranges_get_the_whole_file(published: Published, header: str) -> None:
    answer = ask(published, FILE, ("Range", header))
    assert (answer.status, answer.body) == (200, SMALL)


def test_a_part_is_only_sent_of_what_the_client_has(published: Published) -> None:
    etag = f'"{Digest.of(SMALL).hex}"'
    assert ask(published, FILE, ("Range", "bytes=0-1"), ("If-Range", etag)).status == 206
    assert ask(published, FILE, ("Range", "bytes=0-1"), ("If-Range", '"old"')).body == SMALL
    assert ask(published, FILE, ("Range", "bytes=0-1"), ("If-None-Match", etag)).status == 304
    assert ask(published, FILE, ("Range", "bytes=0-1"), ("If-Match", '"old"')).status == 412


def test_head_and_pages_know_no_ranges(published: Published) -> None:
    head = ask(published, FILE, ("Range", "bytes=0-1"), method="HEAD")
    assert (head.status, head.headers["content-length"]) == (200, str(len(SMALL)))
    assert ask(published, PAGE, ("Range", "bytes=0-1")).body == HTML_PAGE


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
def test_other_methods_are_405(published: Published, method: str) -> None:
    answer = ask(published, FILE, method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_the_root_lists_what_is_published(published: Published) -> None:
    published.mount("a/<b> c", id=2)
    answer = ask(published, "/")
    assert '<a href="team/">team</a> (publication-1)' in answer.text
    assert '<a href="a/%3Cb%3E%20c/">a/&lt;b&gt; c</a>' in answer.text
    published.mounted.clear()
    assert "Nothing is published yet" in ask(published, "/").text


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/team/simple/alpha", "../simple/alpha/"),
        ("/team", "team/"),
        ("/team/files/alpha-1.whl/", None),
        ("/team/simple", "simple/"),
        ("/team/simpl", None),
    ],
)
def test_a_folder_without_its_slash_is_redirected(
    published: Published, path: str, location: str | None
) -> None:
    answer = ask(published, path, query="a=1")
    assert answer.status == (301 if location else 404)
    assert answer.headers.get("location") == (f"{location}?a=1" if location else None)
    assert location is None or answer.text == f"moved to `{location}`\n"


@pytest.mark.parametrize(
    ("raw", "slashes", "above"),
    [
        (b"/npm/@a/b", 1, 1),
        (b"/npm/@a%2fb", 1, 0),
        (b"/x%2Fy/npm/@a%2Fb/c?d=/", 2, 1),
        (b"/npm/100%252fb", 0, 0),
        (None, 2, 2),
    ],
)
def test_redirects_count_slashes_as_clients_resolve_references(
    raw: bytes | None, slashes: int, above: int
) -> None:
    """Kind: a slash that was sent as `%2f` is none to who resolves a relative reference."""
    scope: dict[str, object] = {"method": "GET", "query_string": b"", "path": "/", "headers": []}
    assert ContentRequest(scope | {"raw_path": raw}).folders_above(slashes) == above


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/team/", ["files/", "simple/"]),
        ("/team/files/", ["alpha-1.whl", "alpha-2.whl"]),
        ("/team/simple/", ["alpha/"]),
    ],
)
def test_a_folder_without_a_page_is_a_plain_list(
    published: Published, path: str, names: list[str]
) -> None:
    """Kind: links of our own pages that lead nowhere."""
    front = ask(published, "/")
    assert '<a href="team/">' in front.text
    answer = ask(published, path)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert re.findall(r'<a href="\./([^"]*)">', answer.text) == names
    for name in names:
        assert ask(published, path + name).status == 200
    again = ask(published, path, ("If-None-Match", answer.headers["etag"]))
    assert (again.status, again.body) == (304, b"")
    assert ask(published, path, ("If-Match", '"other"')).status == 412


def test_names_in_a_list_are_escaped_and_quoted(published: Published) -> None:
    served = published.mount("odd", id=2)
    for name in ('a"<b>&c.txt', "x:y", "with space", "100%"):
        published.file(served, name, b"x")
    text = ask(published, "/odd/").text
    assert "<b>" not in text
    for link in ("./100%25", "./a%22%3Cb%3E%26c.txt", "./with%20space", "./x%3Ay"):
        assert f'<a href="{link}">' in text


def test_a_list_is_as_new_as_the_publication(published: Published) -> None:
    async def moved() -> None:
        client = Client(application(published))
        assert "beta" not in (await client.get("/team/files/")).text
        new = published.mount("team", number=2)
        published.file(new, "files/beta-1.whl", SMALL)
        text = (await client.get("/team/files/")).text
        assert "beta-1.whl" in text
        assert "alpha" not in text

    asyncio.run(moved())


def test_a_publication_with_an_index_is_redirected_to_it(published: Published) -> None:
    published.page(published.mount("deep/er", id=2), "", b"welcome")
    assert ask(published, "/deep/er").headers["location"] == "er/"
    assert ask(published, "/deep/er/").body == b"welcome"


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/py/simple/Alpha_X/", "../../simple/alpha-x/"),
        ("/py/simple/Alpha_X", "../simple/alpha-x/"),
        ("/py/simple/Other/", None),
        ("/py/simple/alpha-x", "../simple/alpha-x/"),
        ("/py/", "simple/alpha-x/"),
        ("/py", "py/simple/alpha-x/"),
        ("/py/raise", None),
        ("/py/escape", None),
        ("/py/nonsense", None),
    ],
)
def test_the_publisher_may_know_what_was_meant(
    published: Published, path: str, location: str | None
) -> None:
    def missing(publication: str, path: str) -> str | None:
        assert publication == "publication-2"
        if path == "raise":
            raise RuntimeError("a bug of a plugin")
        if path == "nonsense":
            return 5  # type: ignore[return-value]
        return {"": "simple/alpha-x/", "escape": "../../team/simple/alpha/"}.get(
            path, path.lower().replace("_", "-")
        )

    served = published.mount("py", id=2, publisher="python")
    published.page(served, "simple/alpha-x/", b"it")
    published.page(served, "5", b"what nonsense would lead to")

    async def once() -> AsgiResponse:
        return await Client(Application(Catalogue(published, published), {"python": missing})).get(
            path
        )

    answer = asyncio.run(once())
    assert (answer.status, answer.headers.get("location")) == (301 if location else 404, location)


def test_a_redirect_never_leads_to_the_path_that_was_asked_for(published: Published) -> None:
    """Not even where that appears meanwhile: clients remember a 301 for good."""

    async def once() -> AsgiResponse:
        loop = asyncio.get_running_loop()

        def suggest(publication: str, path: str) -> str | None:
            published.page(published.mount("team", number=2), path, b"new")
            asyncio.run_coroutine_threadsafe(app.refresh(), loop).result(10)
            return path

        app = Application(
            Catalogue(published, published, check_every=1000), PathSuggestions({"": suggest}, 30)
        )
        return await Client(app).get("/team/appearing/")

    assert asyncio.run(once()).status == 404


def test_a_publisher_that_does_not_say_what_was_meant_holds_up_no_request(
    published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    released, asked = threading.Event(), threading.Event()

    def missing(publication: str, path: str) -> str | None:
        if path == "quick":
            return "simple/alpha/"
        asked.set()
        released.wait(60)
        return "simple/alpha/"

    async def talk() -> None:
        client = Client(
            Application(Catalogue(published, published), PathSuggestions({"": missing}, 1.0))
        )
        assert (await client.get("/team/quick")).status == 301
        slow = [asyncio.create_task(client.get(f"/team/slow-{number}")) for number in range(12)]
        await asyncio.to_thread(asked.wait)
        assert (await client.get(PAGE)).body == HTML_PAGE
        assert [(await task).status for task in slow] == [404] * 12
        assert (await client.get("/team/quick")).status == 404, (
            "four calls never came back: no more are made"
        )
        released.set()
        for thread in [t for t in threading.enumerate() if t.name == "publisher"]:
            await asyncio.to_thread(thread.join)
        assert (await client.get("/team/quick")).status == 301

    try:
        asyncio.run(talk())
    finally:
        released.set()
    assert [record.message for record in caplog.records] == [
        "publisher `` does not suggest a path within 1 s: such paths are not found"
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/team/../team/simple/alpha/",
        "/team/simple/../../etc/passwd",
        "/team//simple/alpha/",
        "//team/simple/alpha/",
        "/team/simple/alpha//",
        "/team/simple\\alpha/",
        "/team/simple/alpha/\0",
        "/team/./simple/alpha/",
        "/team/simple/alpha/\n",
        "/team/" + "a/" * 3000,
        "/team/\udcff",
        "/team/simple/alpha/\u202e",
        "team/simple/alpha/",
        "/teamsimple/alpha/",
        "/tea",
        "*",
    ],
)
def test_hostile_and_unknown_paths_are_404(published: Published, path: str) -> None:
    published.table[1, 1, path.removeprefix("/team/")] = published.table[
        1, 1, "simple/alpha/"
    ]  # even if it is published
    answer = ask(published, path)
    assert answer.status == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.endswith("\n")


def test_a_404_says_what_is_missing(published: Published) -> None:
    assert (
        ask(published, "/team/simple/beta/").text
        == "`/team/simple/beta/` does not exist in the publication `publication-1`\n"
    )
    assert ask(published, "/other/").text == "`/other/` is below no publication; `/` lists them\n"


def test_the_longest_prefix_owns_a_path(published: Published) -> None:
    published.page(published.mount("team/inner", id=2), "simple/alpha/", b"inner")
    assert ask(published, "/team/inner/simple/alpha/").body == b"inner"
    assert ask(published, PAGE).body == HTML_PAGE


def test_a_prefix_of_the_server_is_not_part_of_the_path(published: Published) -> None:
    async def once() -> AsgiResponse:
        return await Client(application(published), root_path="/packages").get("/team/simple/alpha")

    assert asyncio.run(once()).headers["location"] == "../simple/alpha/"


def test_the_prefix_of_the_server_alone_is_the_root(published: Published) -> None:
    async def once(path: str, method: str) -> AsgiResponse:
        client = Client(application(published), root_path="/packages")
        return await client.get(path, method=method)

    assert "publication-1" in asyncio.run(once("", "GET")).text
    assert "publication-1" in asyncio.run(once("/", "GET")).text
    assert asyncio.run(once("/x", "GET")).text == "`/x` is below no publication; `/` lists them\n"
    refused = asyncio.run(once("/team/", "PUT"))
    assert refused.text == "`PUT` is not supported here; supported: GET, HEAD\n"
