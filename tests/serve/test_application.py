"""What the application answers, through raw ASGI."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from reconciler.database.records import ServedPublication
from reconciler.errors import StateFault
from reconciler.model import Digest
from reconciler.serve import Application, Catalogue
from tests.support.asgi import Answer, Client, live
from tests.support.published import Published

JSON = "application/vnd.pypi.simple.v1+json"
V1_HTML = "application/vnd.pypi.simple.v1+html"
HTML_PAGE = b"<!DOCTYPE html><title>alpha</title>" * 20
JSON_PAGE = b'{"name": "alpha"}' * 20
SMALL = bytes(range(256)) * 4
LARGE = bytes(range(251)) * 3000
FILE = "/team/files/alpha-1.whl"
BIG = "/team/files/alpha-2.whl"
PAGE = "/team/simple/alpha/"

Body = Callable[[Client, Published], Awaitable[None]]


@pytest.fixture
def published(tmp_path: Path) -> Published:
    published = Published(folder=tmp_path)
    fill(published, published.mount("team"))
    return published


def fill(published: Published, served: ServedPublication) -> None:
    published.page(served, "simple/alpha/", HTML_PAGE, aliases=(V1_HTML,))
    published.page(served, "simple/alpha/", JSON_PAGE, JSON)
    published.file(served, "files/alpha-1.whl", SMALL)
    published.file(served, "files/alpha-2.whl", LARGE)


def application(published: Published, **more: float) -> Application:
    return Application(Catalogue(published, published, check_every=more.get("check_every", 0)))


def ask(
    published: Published,
    path: str,
    *headers: tuple[str, str],
    method: str = "GET",
    query: str = "",
    pathsend: bool = False,
) -> Answer:
    async def once() -> Answer:
        return await Client(application(published), pathsend).get(
            path, method=method, query=query, headers=headers
        )

    return asyncio.run(once())


def test_a_page_is_sent_as_the_default_type(published: Published) -> None:
    answer = ask(published, PAGE)
    assert (answer.status, answer.body) == (200, HTML_PAGE)
    assert answer.headers == {
        "etag": f'"{Digest.of(HTML_PAGE).hex}"',
        "content-type": "text/html; charset=utf-8",
        "x-content-type-options": "nosniff",
        "cache-control": "max-age=0, must-revalidate",
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


def test_a_file_is_immutable_and_never_coded(published: Published) -> None:
    answer = ask(published, FILE, ("Accept-Encoding", "gzip"))
    assert answer.body == SMALL
    assert answer.headers == {
        "etag": f'"{Digest.of(SMALL).hex}"',
        "content-type": "application/octet-stream",
        "x-content-type-options": "nosniff",
        "cache-control": "public, max-age=31536000, immutable",
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
        for name in ("etag", "cache-control", "vary")
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
        ("/team", None),
        ("/team/files/alpha-1.whl/", None),
        ("/team/simple", None),
        ("/team/simple/", None),
    ],
)
def test_a_folder_without_its_slash_is_redirected(
    published: Published, path: str, location: str | None
) -> None:
    answer = ask(published, path, query="a=1")
    assert answer.status == (301 if location else 404)
    assert answer.headers.get("location") == (f"{location}?a=1" if location else None)


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

    async def once() -> Answer:
        return await Client(Application(Catalogue(published, published), {"python": missing})).get(
            path
        )

    answer = asyncio.run(once())
    assert (answer.status, answer.headers.get("location")) == (301 if location else 404, location)


def test_a_redirect_never_leads_to_the_path_that_was_asked_for(published: Published) -> None:
    """Not even where that appears meanwhile: clients remember a 301 for good."""

    async def once() -> Answer:
        loop = asyncio.get_running_loop()

        def suggest(publication: str, path: str) -> str | None:
            published.page(published.mount("team", number=2), path, b"new")
            asyncio.run_coroutine_threadsafe(app.refresh(), loop).result(10)
            return path

        app = Application(
            Catalogue(published, published, check_every=1000), {"": suggest}, suggest_timeout=30
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
            Application(Catalogue(published, published), {"": missing}, suggest_timeout=1.0)
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
    async def once() -> Answer:
        return await Client(application(published), root_path="/packages").get("/team/simple/alpha")

    assert asyncio.run(once()).headers["location"] == "../simple/alpha/"


def test_the_prefix_of_the_server_alone_is_the_root(published: Published) -> None:
    async def once(path: str, method: str) -> Answer:
        client = Client(application(published), root_path="/packages")
        return await client.get(path, method=method)

    assert "publication-1" in asyncio.run(once("", "GET")).text
    assert "publication-1" in asyncio.run(once("/", "GET")).text
    assert asyncio.run(once("/x", "GET")).text == "`/x` is below no publication; `/` lists them\n"
    refused = asyncio.run(once("/team/", "PUT"))
    assert refused.text == "`PUT` is not supported here; supported: GET, HEAD\n"


def test_a_second_request_asks_neither_database_nor_store(published: Published) -> None:
    async def twice() -> None:
        client = Client(application(published, check_every=1000))
        for _ in range(2):
            for path in (PAGE, FILE, "/team/none/", "/"):
                await client.get(path, headers=[("Accept-Encoding", "gzip")])
            await client.get(PAGE)

    asyncio.run(twice())
    assert published.lookups == {"generation": 1, "served": 1, "entries": 3, "pages": 2, "open": 1}


def test_many_requests_for_one_cold_path_share_one_look_up(published: Published) -> None:
    held = published.held = threading.Event()

    async def together() -> list[Answer]:
        client = Client(application(published, check_every=1000))
        asked = [asyncio.ensure_future(client.get(PAGE)) for _ in range(20)]
        await asyncio.to_thread(published.looking.wait, 10)
        held.set()
        return await asyncio.gather(*asked)

    assert {answer.body for answer in asyncio.run(together())} == {HTML_PAGE}
    assert (published.lookups["entries"], published.lookups["pages"]) == (1, 1)


def test_a_request_that_is_given_up_does_not_spoil_the_others(published: Published) -> None:
    held = published.held = threading.Event()

    async def one_gives_up() -> Answer:
        client = Client(application(published, check_every=1000))
        first, second = (
            asyncio.ensure_future(client.get(PAGE)),
            asyncio.ensure_future(client.get(PAGE)),
        )
        await asyncio.to_thread(published.looking.wait, 10)
        first.cancel()
        held.set()
        await asyncio.wait([first])
        assert first.cancelled()
        return await second

    assert asyncio.run(one_gives_up()).body == HTML_PAGE


def test_a_moved_pointer_is_served_from_the_next_look_on(published: Published) -> None:
    async def moved() -> None:
        client = Client(application(published))
        assert (await client.get(PAGE)).body == HTML_PAGE
        assert (await client.get("/team/simple/beta/")).status == 404
        new = published.mount("team", number=2)
        published.page(new, "simple/alpha/", b"new")
        published.page(new, "simple/beta/", b"beta")
        assert (await client.get(PAGE)).body == b"new"
        assert (await client.get("/team/simple/beta/")).body == b"beta"
        assert (await client.get(FILE)).status == 404
        del published.mounted["team"]
        published.number_now += 1
        assert (await client.get(PAGE)).status == 404

    asyncio.run(moved())


def test_a_publication_that_appears_below_another_takes_its_paths_over(
    published: Published,
) -> None:
    async def appeared() -> None:
        client = Client(application(published))
        assert (await client.get("/team/simple/inner/page/")).status == 404
        published.page(published.mount("team/simple", id=2), "inner/page/", b"inner")
        assert (await client.get("/team/simple/inner/page/")).body == b"inner"
        assert (await client.get(PAGE)).status == 404
        del published.mounted["team/simple"]
        published.number_now += 1
        assert (await client.get(PAGE)).body == HTML_PAGE

    asyncio.run(appeared())


def test_refresh_is_read_after_write(published: Published) -> None:
    async def written() -> None:
        app = application(published, check_every=1000)
        client = Client(app)
        assert (await client.get(PAGE)).body == HTML_PAGE
        published.page(published.mount("team", number=2), "simple/alpha/", b"new")
        assert (await client.get(PAGE)).body == HTML_PAGE
        await app.refresh()
        assert (await client.get(PAGE)).body == b"new"

    asyncio.run(written())


def test_a_look_up_that_was_overtaken_by_a_move_is_not_remembered(published: Published) -> None:
    async def overtaken() -> None:
        app = application(published, check_every=1000)
        client = Client(app)
        await app.refresh()
        held = published.held = threading.Event()
        old = asyncio.ensure_future(client.get(PAGE))
        await asyncio.to_thread(published.looking.wait, 10)
        published.page(published.mount("team", number=2), "simple/alpha/", b"new")
        await app.refresh()
        held.set()
        assert (await old).body == HTML_PAGE  # it began on the old publication, and ends on it
        assert (await client.get(PAGE)).body == b"new"

    asyncio.run(overtaken())


def test_a_page_that_was_pruned_under_a_request_is_answered_from_the_new_publication(
    published: Published,
) -> None:
    async def pruned() -> None:
        client = Client(application(published, check_every=1000))
        assert (await client.get(PAGE, headers=[("If-None-Match", "*")])).status == 304
        published.packed.clear()
        published.page(published.mount("team", number=2), "simple/alpha/", b"new")
        assert (await client.get(PAGE)).body == b"new"

    asyncio.run(pruned())


@pytest.mark.parametrize("path", [PAGE, FILE, BIG])
def test_missing_bytes_are_a_500_that_says_so(published: Published, path: str) -> None:
    published.packed.clear()
    published.stored.clear()
    answer = ask(published, path)
    assert answer.status == 500
    assert "missing" in answer.text


def test_a_stored_file_that_is_too_short_breaks_the_connection(published: Published) -> None:
    published.stored[Digest.of(LARGE)] = LARGE[:-1]
    with pytest.raises(EOFError, match="1 bytes shorter"):
        ask(published, BIG)


def test_a_database_that_fails_stops_nothing_that_is_known(published: Published) -> None:
    async def away() -> None:
        client = Client(application(published))
        await client.get(PAGE)
        published.broken = True
        assert (await client.get(PAGE)).body == HTML_PAGE
        published.broken = False
        published.page(published.mount("team", number=2), "simple/alpha/", b"new")
        assert (await client.get(PAGE)).body == b"new"

    asyncio.run(away())


def test_a_server_without_a_database_does_not_start(published: Published) -> None:
    published.broken = True
    (failed,) = asyncio.run(live(application(published), "lifespan.startup"))
    assert failed["type"] == "lifespan.startup.failed"
    assert "the database is away" in failed["message"]
    with pytest.raises(OSError, match="away"):
        ask(published, PAGE)


def test_the_life_of_a_server(published: Published) -> None:
    sent = asyncio.run(live(application(published), "lifespan.startup", "lifespan.shutdown"))
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert published.lookups["served"] == 1


def test_bodies_in_memory_are_bounded(published: Published) -> None:
    served = published.mount("team")
    for number in range(8):
        published.file(served, f"files/{number}", bytes([number]) * 1000)

    async def all_twice() -> None:
        client = Client(
            Application(Catalogue(published, published, kept_bytes=4000, check_every=1000))
        )
        for _ in range(2):
            for number in range(8):
                assert (await client.get(f"/team/files/{number}")).body == bytes([number]) * 1000

    asyncio.run(all_twice())
    assert published.lookups["open"] == 16


def test_only_http_is_spoken(published: Published) -> None:
    async def websocket() -> None:
        await application(published)({"type": "websocket"}, None, None)  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="`websocket`"):
        asyncio.run(websocket())


def test_missing_pages_name_the_way_out(published: Published) -> None:
    published.packed.clear()

    async def load() -> None:
        catalogue = Catalogue(published, published)
        await catalogue.refresh()
        found = await catalogue.find(PAGE)
        assert found is not None
        assert found.resource is not None
        await catalogue.load(found.resource.choose(b"", b""))

    with pytest.raises(StateFault) as caught:
        asyncio.run(load())
    assert caught.value.hint == "`reconciler apply` publishes it again"
