"""The application over time: caches, moved pointers, failures, start and stop."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from reconciler.errors import StateFault
from reconciler.serve import Application, Catalogue
from tests.serve.team import BIG, FILE, HTML_PAGE, PAGE, application, ask, team
from tests.support.asgi import AsgiResponse, Client, live
from tests.support.published import Published


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return team(tmp_path)


def test_a_second_request_asks_neither_database_nor_store(published: Published) -> None:
    async def twice() -> None:
        client = Client(application(published, check_every=1000))
        for _ in range(2):
            for path in (PAGE, FILE, "/team/none/", "/"):
                await client.get(path, headers=[("Accept-Encoding", "gzip")])
            await client.get(PAGE)

    asyncio.run(twice())
    assert published.lookups == {
        "generation": 1,
        "served": 1,
        "entries": 3,
        "names_below": 1,
        "pages": 2,
        "open": 1,
    }


def test_many_requests_for_one_cold_path_share_one_look_up(published: Published) -> None:
    held = published.held = threading.Event()

    async def together() -> list[AsgiResponse]:
        client = Client(application(published, check_every=1000))
        asked = [asyncio.ensure_future(client.get(PAGE)) for _ in range(20)]
        await asyncio.to_thread(published.looking.wait, 10)
        held.set()
        return await asyncio.gather(*asked)

    assert {answer.body for answer in asyncio.run(together())} == {HTML_PAGE}
    assert (published.lookups["entries"], published.lookups["pages"]) == (1, 1)


def test_a_request_that_is_given_up_does_not_spoil_the_others(published: Published) -> None:
    held = published.held = threading.Event()

    async def one_gives_up() -> AsgiResponse:
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
def test_missing_bytes_are_a_503_that_says_so(published: Published, path: str) -> None:
    published.packed.clear()
    published.stored.clear()
    answer = ask(published, path)
    assert answer.status == 503
    assert "missing" in answer.text


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
    assert caught.value.hint == "`reconciler repair` renders it anew"
