"""`policy: streamed`: bytes pass through, verified, and are never stored.

Kind: a disk that fills with what another host keeps, and wrong bytes handed on because none of them
is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.engine.upstream.fetching_ahead import FetchReport
from reconciler.errors import ManifestFaults
from reconciler.manifest import read_recorded
from reconciler.model import Digest, Kind, Ref
from tests.support.asgi import AsgiResponse, Client
from tests.support.databases import NOW
from tests.support.faulty import corrupted, status
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository, source

PASSING = "policy: streamed"
ONE = b"one" * 10
LARGE = bytes(range(256)) * 24_000  # six blocks


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one"), site.file("large", LARGE))
        site.declare(site.remote(more=PASSING), repository(), publication())
        site.applied()
        yield site


def stored(site: Rehearsal) -> list[Path]:
    """Return the files in the home but the database and the caches of pages."""
    folders = (site.home.root / "store", site.home.arriving_folder)
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_every_client_gets_the_file_from_upstream_and_nothing_is_stored(site: Rehearsal) -> None:
    assert site.downloads() == []
    answers = site.get("/team/a/one", "/team/a/one", "/team/a/large")
    assert [answer.body for answer in answers] == [ONE, ONE, LARGE]
    assert site.downloads() == ["/large", "/one", "/one"]
    assert stored(site) == []
    assert site.settled()


def test_clients_at_the_same_time_share_one_request(site: Rehearsal) -> None:
    async def talk(client: Client) -> list[AsgiResponse]:
        return list(await asyncio.gather(*(client.get("/team/a/large") for _ in range(64))))

    assert {answer.body for answer in site.served(talk)} == {LARGE}
    assert site.downloads() == ["/large"]


def test_head_asks_no_host_and_a_part_is_given_once_the_whole_is_right(site: Rehearsal) -> None:
    async def talk(client: Client) -> list[AsgiResponse]:
        head = await client.head("/team/a/large")
        assert site.downloads() == []
        return [head, await client.get("/team/a/large", headers=[("range", "bytes=5-9")])]

    head, part = site.served(talk)
    assert (head.status, head.headers["content-length"]) == (200, str(len(LARGE)))
    assert (part.status, part.body) == (206, LARGE[5:10])
    assert stored(site) == []


@pytest.mark.parametrize(("path", "data"), [("one", ONE), ("large", LARGE)])
def test_wrong_bytes_are_never_given_whole(site: Rehearsal, path: str, data: bytes) -> None:
    site.server.on(f"/{path}", corrupted(data))
    if data is ONE:
        [answer] = site.get(f"/team/a/{path}")
        assert (answer.status, ONE in answer.body) == (502, False)
    else:
        with pytest.raises((AssertionError, EOFError)):
            site.get(f"/team/a/{path}")
    [part] = site.served(lambda client: _part(client, path))
    assert part.status == 502, "no byte of a part is given out before the whole is right"


async def _part(client: Client, path: str) -> list[AsgiResponse]:
    return [await client.get(f"/team/a/{path}", headers=[("range", "bytes=0-4")])]


def test_bytes_that_are_stored_already_are_served_and_nothing_is_fetched_ahead(
    site: Rehearsal,
) -> None:
    site.declare(site.remote(), repository(), publication())
    site.applied()
    site.declare(site.remote(more=PASSING), repository(), publication())
    site.applied()
    site.server.on("/one", status(500))
    [answer] = site.get("/team/a/one")
    assert answer.body == ONE
    lost = site.home.store().path(Digest.of(ONE))
    assert lost is not None
    lost.unlink()
    with site.home.database(read_only=False) as opened:
        opened.writer().record_damage({Digest.of(ONE): "missing"}, NOW)
    site.applied()
    assert not site.has(ONE), "what is upstream is no damage"
    assert (fetch(site).streamed, site.has(ONE)) == (1, False)


def test_another_source_of_the_repository_stores_what_it_brings(site: Rehearsal) -> None:
    site.script.upstream("other").groups["b"] = [site.bare("x"), site.file("mirror", ONE)]
    site.declare(
        site.remote(more=PASSING),
        site.remote("other", more="policy: on-demand"),
        repository("team", source("up"), source("other")),
        publication(),
    )
    site.applied()
    assert (fetch(site, "one").fetched, site.has(ONE)) == (1, True)


def test_an_export_of_what_is_never_stored_is_refused(site: Rehearsal) -> None:
    export = publication(more="exports: [{directory: {path: public}}]")
    site.declare(site.remote(more=PASSING), repository(), export)
    with pytest.raises(ManifestFaults, match="an export needs every file"):
        site.plan()


def test_immediate_fetches_everything_that_passed_through(site: Rehearsal) -> None:
    site.get("/team/a/one")
    site.declare(site.remote(), repository(), publication())
    assert site.content().counts.download == len(ONE) + len(LARGE)
    site.applied()
    assert site.has(ONE)


def fetch(site: Rehearsal, *names: str) -> FetchReport:
    async def run() -> FetchReport:
        async with site.engine(writes=True) as engine:
            return await engine.fetch(
                Ref(Kind.REPOSITORY, "team"),
                names,
                lambda actual: read_recorded(actual, site.registry, ()).desired,
            )

    return asyncio.run(run())
