"""Publications from the real database and the real store, as the server finds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from reconciler.database import Database, Entry
from reconciler.model import Digest
from reconciler.serve import Application, Catalogue, OnDemand
from reconciler.store import LocalStore
from tests.support.asgi import Client
from tests.support.databases import NOW, created_publication, database
from tests.support.publishing import published

WHEEL = bytes(range(256)) * 1000


def publish_file(opened: Database, id_: int, path: str, digest: Digest, size: int) -> None:
    writer = opened.writer()
    with writer.publish(
        id_,
        version=1,
        version_digest=Digest.of(b"1"),
        digest=Digest.of(b"file"),
        now=NOW,
        full=False,
    ) as stage:
        stage.replace_group(
            "files", [Entry(path, "application/octet-stream", "files", False, digest, size)], {}
        )
        record = stage.complete()
    writer.point(id_, record.number)


def test_pages_and_files_are_served_and_a_new_publication_takes_over(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(WHEEL, Digest.of(WHEEL))

    async def served(opened: Database, id_: int) -> None:
        client = Client(
            Application(Catalogue(opened.reader(), store, check_every=0)), pathsend=True
        )
        (place,) = opened.reader().served()
        assert (await client.get(f"/{place.path}/simple/alpha/")).body == b"first"
        assert (await client.get(f"/{place.path}/alpha.whl")).status == 404
        publish_file(opened, id_, "alpha.whl", Digest.of(WHEEL), len(WHEEL))
        answer = await client.get(f"/{place.path}/alpha.whl")
        assert (answer.status, answer.body) == (200, WHEEL)
        assert (
            await client.get(f"/{place.path}/alpha.whl", headers=[("Range", "bytes=-10")])
        ).body == WHEEL[-10:]
        record = published(
            opened.writer(), id_, {"alpha": [("simple/alpha/", "second")]}, full=False
        )
        opened.writer().point(id_, record.number)
        assert (await client.get(f"/{place.path}/simple/alpha/")).body == b"second"
        assert (await client.get("/")).status == 200

    with database(tmp_path) as opened:
        id_ = created_publication(opened.writer())
        record = published(opened.writer(), id_, {"alpha": [("simple/alpha/", "first")]})
        opened.writer().point(id_, record.number)
        asyncio.run(served(opened, id_))


class WheelSource:
    """Implements `ArtifactSource` over a real store, which it fills."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store

    def can_fetch(self, publication: str, digest: Digest) -> bool:
        return digest == Digest.of(WHEEL)

    async def fetch(
        self,
        publication: str,
        digest: Digest,
        size: int | None,
        *,
        announce: Callable[[int | None], None],
    ) -> AsyncIterator[bytes]:
        announce(len(WHEEL))
        incoming = self.store.incoming()
        incoming.write(WHEEL)
        yield WHEEL[: len(WHEEL) // 2]
        incoming.keep(digest)
        yield WHEEL[len(WHEEL) // 2 :]


def test_a_file_that_the_store_has_not_is_brought_into_it(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")

    async def served(opened: Database) -> None:
        on_demand = OnDemand(WheelSource(store), store, tmp_path / "work")
        client = Client(
            Application(Catalogue(opened.reader(), store), on_demand=on_demand), pathsend=True
        )
        (place,) = opened.reader().served()
        answer = await client.get(f"/{place.path}/alpha.whl")
        assert (answer.status, answer.body, answer.sent_files) == (200, WHEEL, ())
        assert (await client.get(f"/{place.path}/alpha.whl")).sent_files == (
            store.path(Digest.of(WHEEL)),
        )

    with database(tmp_path) as opened:
        publish_file(
            opened, created_publication(opened.writer()), "alpha.whl", Digest.of(WHEEL), len(WHEEL)
        )
        asyncio.run(served(opened))
