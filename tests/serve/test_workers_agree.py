"""Workers agree: a request sees what was committed before it came, whichever worker answers it.

Kind: every memory of one process of a state that all share. Each application here has a database
connection, caches and a mark of its own, as worker processes have.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from reconciler.database import Database, Entry
from reconciler.model import Digest
from reconciler.serve import Application, Catalogue
from reconciler.store import LocalStore
from tests.support.asgi import Client
from tests.support.databases import NOW, created_publication, database
from tests.support.published import Published
from tests.support.publishing import an_entry, pages_of

NEVER = 1000.0  # seconds between two looks without a mark


class Site:
    """A publication whose page names one more file with each publication, and its workers."""

    def __init__(self, folder: Path, opened: Database) -> None:
        self.writer = opened.writer()
        self.store = LocalStore(folder / "store")
        self.id = created_publication(self.writer)
        self.count = 0

    def publish(self) -> int:
        """Publish the next file; return how many there are."""
        self.count += 1
        number = self.count
        body = f"file {number}".encode()
        self.store.put(body, Digest.of(body))
        page = "\n".join(f"file-{index}" for index in range(1, number + 1))
        with self.writer.publish(
            self.id,
            version=number,
            version_digest=Digest.of(body),
            digest=Digest.of(page.encode()),
            now=NOW,
            full=False,
        ) as stage:
            file = Entry(f"file-{number}", "text/plain", f"g{number}", False, Digest.of(body), 6)
            stage.replace_group(f"g{number}", [file], {})
            stage.replace_group("page", [an_entry("page", "list/", page)], pages_of([page]))
            record = stage.complete()
        self.writer.point(self.id, record.number)
        return number


@contextmanager
def workers(folder: Path, site: Site, number: int) -> Iterator[list[Client]]:
    with ExitStack() as stack:
        clients = []
        for _ in range(number):
            url = f"sqlite:///{folder}/state.db"
            opened = stack.enter_context(Database(url).open(read_only=True))
            catalogue = Catalogue(opened.reader(), site.store, opened.mark(), check_every=NEVER)
            clients.append(Client(Application(catalogue)))
        yield clients


@pytest.mark.parametrize("number", [1, 2, 4])
def test_what_was_committed_is_seen_by_every_worker_at_once(number: int, tmp_path: Path) -> None:
    async def talk(clients: list[Client]) -> None:
        for _ in range(5):
            newest = await asyncio.to_thread(site.publish)
            for client in clients:
                assert len((await client.get("/team/list/")).text.split()) == newest
                assert (await client.get(f"/team/file-{newest}")).status == 200

    with database(tmp_path) as opened:
        site = Site(tmp_path, opened)
        with workers(tmp_path, site, number) as clients:
            asyncio.run(talk(clients))


@pytest.mark.parametrize("number", [1, 2, 4])
def test_no_page_goes_back_and_none_names_a_404_while_publications_move(
    number: int, tmp_path: Path
) -> None:
    async def reader(clients: list[Client], seed: int, over: threading.Event) -> int:
        chosen, newest, asked = random.Random(seed), 1, 0
        while not over.is_set():
            page = (await chosen.choice(clients).get("/team/list/")).text.split()
            assert len(page) >= newest, "a page is older than one that was seen"
            newest = len(page)
            assert (await chosen.choice(clients).get(f"/team/{page[-1]}")).status == 200
            asked += 1
            await asyncio.sleep(0)
        return asked

    async def talk(clients: list[Client]) -> None:
        over = threading.Event()

        def publish() -> None:
            try:
                for _ in range(20):
                    site.publish()
            finally:
                over.set()

        moving = asyncio.create_task(asyncio.to_thread(publish))
        asked = await asyncio.gather(*(reader(clients, seed, over) for seed in range(4)))
        await moving
        assert min(asked) > 0

    with database(tmp_path) as opened:
        site = Site(tmp_path, opened)
        site.publish()
        with workers(tmp_path, site, number) as clients:
            asyncio.run(talk(clients))


class MovingMark:
    """A mark that a test sets."""

    def __init__(self) -> None:
        self.number = 0
        self.tended = 0

    def value(self) -> int:
        return self.number

    def tend(self) -> None:
        self.tended += 1

    @contextmanager
    def raised(self) -> Iterator[None]:
        yield


def test_a_commit_under_way_is_asked_for_at_each_request(tmp_path: Path) -> None:
    """Only the database knows on which side of the commit a request is."""
    published, mark = Published(folder=tmp_path), MovingMark()
    published.page(published.mount("team"), "list/", b"one")

    async def talk() -> None:
        client = Client(Application(Catalogue(published, published, mark, check_every=NEVER)))
        for _ in range(3):
            await client.get("/team/list/")
        assert published.lookups["generation"] == 1
        mark.number = 1
        for _ in range(3):
            await client.get("/team/list/")
        assert published.lookups["generation"] == 4
        published.page(published.mount("team", number=2), "list/", b"two")
        assert (await client.get("/team/list/")).body == b"two"
        mark.number = 2
        for _ in range(3):
            await client.get("/team/list/")
        assert published.lookups["generation"] == 6

    asyncio.run(talk())


def test_a_request_does_not_settle_for_a_look_that_began_before_it(tmp_path: Path) -> None:
    """The look may have read the database before the commit that this client knows of."""
    published, mark = Published(folder=tmp_path), MovingMark()
    published.page(published.mount("team"), "list/", b"one")

    look, begun, held = published.generation, threading.Event(), threading.Event()

    def slow() -> object:
        generation = look()
        begun.set()
        assert held.wait(10)
        return generation

    async def talk() -> None:
        client = Client(Application(Catalogue(published, published, mark, check_every=NEVER)))
        await client.get("/team/list/")
        published.generation = slow  # type: ignore[method-assign]
        mark.number = 2
        early = asyncio.create_task(client.get("/team/list/"))
        await asyncio.to_thread(begun.wait, 10)
        published.page(published.mount("team", number=2), "list/", b"two")
        mark.number = 4
        late = asyncio.create_task(client.get("/team/list/"))
        await asyncio.sleep(0)
        held.set()
        assert (await late).body == b"two"
        await early

    asyncio.run(talk())


def test_a_database_that_fails_is_asked_again_only_when_a_look_is_due(tmp_path: Path) -> None:
    published, mark = Published(folder=tmp_path), MovingMark()
    published.page(published.mount("team"), "list/", b"one")

    async def talk() -> None:
        client = Client(Application(Catalogue(published, published, mark, check_every=NEVER)))
        await client.get("/team/list/")
        published.broken, mark.number = True, 2
        for _ in range(5):
            assert (await client.get("/team/list/")).body == b"one"
        assert published.lookups["generation"] == 2

    asyncio.run(talk())
