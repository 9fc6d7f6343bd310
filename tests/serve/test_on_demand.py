"""Files that are not in the store yet, through raw ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import (
    DigestMismatch,
    Gone,
    ReconcilerError,
    Refused,
    StateFault,
    Unreachable,
)
from reconciler.model import Digest
from reconciler.serve import Application, Catalogue, OnDemand
from reconciler.serve.responses import STATE_FAULT
from tests.support.asgi import AsgiResponse, Client, live
from tests.support.published import BLOCK, FakeArtifactSource, Published

LARGE = bytes(range(251)) * 3000
SMALL = bytes(range(256)) * 4
BIG = "/team/files/large.whl"
LITTLE = "/team/files/small.whl"
NOTHING = "/team/files/empty.whl"


class Site:
    """A publication of three files, none of which is in the store."""

    def __init__(self, tmp_path: Path) -> None:
        store = tmp_path / "store"
        store.mkdir()
        self.published = Published(folder=store)
        self.source = FakeArtifactSource(self.published)
        served = self.published.mount("team")
        for name, data in (("large", LARGE), ("small", SMALL), ("empty", b"")):
            self.source.lose(self.published.file(served, f"files/{name}.whl", data))
        self.on_demand = OnDemand(self.source, self.published, tmp_path / "arriving")
        self.application = Application(
            Catalogue(self.published, self.published), on_demand=self.on_demand
        )
        self.client = Client(self.application, pathsend=True)

    def ask(self, path: str, **more: Any) -> AsgiResponse:
        return asyncio.run(self.client.get(path, **more))


class Reader:
    """A request whose messages can be seen as they are sent; `reading` lets go on after each."""

    def __init__(self, site: Site, path: str, *headers: tuple[str, str]) -> None:
        self.sent: list[dict[str, Any]] = []
        self.begun = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        scope = site.client.scope(path, headers=headers)
        self.request = asyncio.ensure_future(site.application(scope, self._never, self._send))

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    async def _never(self) -> dict[str, Any]:
        raise AssertionError("a GET has no body")

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if "body" in message:
            self.begun.set()
        await self.reading.wait()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize(("path", "data"), [(BIG, LARGE), (LITTLE, SMALL), (NOTHING, b"")])
def test_a_missing_file_is_brought_once_and_then_served_from_the_store(
    site: Site, path: str, data: bytes
) -> None:
    async def twice() -> tuple[AsgiResponse, AsgiResponse]:
        return await site.client.get(path), await site.client.get(path)

    first, second = asyncio.run(twice())
    assert (first.status, first.body, first.sent_files) == (200, data, ())
    assert (second.status, second.body, second.headers) == (200, data, first.headers)
    assert first.headers["content-length"] == str(len(data))
    assert first.headers["etag"] == f'"{Digest.of(data).hex}"'
    assert bool(second.sent_files) == (path == BIG), "a large file is sent by the server again"
    assert site.source.fetched == [Digest.of(data)]


def hold(site: Site, before: int = 0) -> asyncio.Event:
    """From `before` bytes on, nothing more comes until the event is set."""
    site.source.before = before
    site.source.held = asyncio.Event()
    return site.source.held


def test_a_large_file_is_sent_while_it_comes(site: Site) -> None:
    async def watch() -> None:
        held = hold(site, 2 * BLOCK)
        reader = Reader(site, BIG)
        await reader.begun.wait()
        assert reader.sent[0]["status"] == 200
        assert LARGE.startswith(reader.body)
        assert not reader.request.done()
        held.set()
        await reader.request
        assert reader.body == LARGE

    asyncio.run(watch())


def test_who_comes_late_shares_the_run_and_misses_nothing(site: Site) -> None:
    async def together() -> None:
        held = hold(site, 5 * BLOCK)
        readers = [Reader(site, BIG)]
        await readers[0].begun.wait()
        readers += [Reader(site, BIG) for _ in range(20)]
        await asyncio.gather(*(reader.begun.wait() for reader in readers))
        held.set()
        await asyncio.gather(*(reader.request for reader in readers))
        assert {reader.body for reader in readers} == {LARGE}

    asyncio.run(together())
    assert site.source.fetched == [Digest.of(LARGE)]


def test_a_slow_client_holds_up_no_other(site: Site) -> None:
    async def slow() -> None:
        slow = Reader(site, BIG)
        slow.reading.clear()
        await site.source.begun.wait()
        assert (await site.client.get(BIG)).body == LARGE
        assert not slow.request.done()
        slow.reading.set()
        await slow.request
        assert slow.body == LARGE

    asyncio.run(slow())
    assert site.source.fetched == [Digest.of(LARGE)]


def test_a_client_that_leaves_takes_nothing_from_the_others(site: Site) -> None:
    async def leaves() -> None:
        held = hold(site, 5 * BLOCK)
        first, second = Reader(site, BIG), Reader(site, BIG)
        await first.begun.wait()
        await second.begun.wait()
        first.request.cancel()
        await asyncio.wait([first.request])
        held.set()
        await second.request
        assert second.body == LARGE

    asyncio.run(leaves())
    assert site.source.fetched == [Digest.of(LARGE)]


def test_what_everybody_gave_up_is_brought_all_the_same(site: Site) -> None:
    async def gives_up() -> AsgiResponse:
        held = hold(site)
        reader = Reader(site, BIG)
        await site.source.begun.wait()
        reader.request.cancel()
        await asyncio.wait([reader.request])
        held.set()
        return await site.client.get(BIG)

    assert asyncio.run(gives_up()).body == LARGE
    assert site.source.fetched == [Digest.of(LARGE)]


def test_a_part_waits_for_the_whole(site: Site) -> None:
    """Its last byte may be long there before the digest of the file is known."""

    async def part() -> None:
        held = hold(site, 5 * BLOCK)
        whole = Reader(site, BIG)
        await whole.begun.wait()
        part = Reader(site, BIG, ("Range", "bytes=10-19"))
        late = Reader(site, BIG)
        await late.begun.wait()  # it came after the part was asked for, and has its first bytes
        assert part.sent == []
        held.set()
        await part.request
        assert (part.sent[0]["status"], part.body) == (206, LARGE[10:20])
        assert (b"content-range", f"bytes 10-19/{len(LARGE)}".encode()) in part.sent[0]["headers"]
        await asyncio.gather(whole.request, late.request)

    asyncio.run(part())


@pytest.mark.parametrize(("path", "data"), [(BIG, LARGE), (LITTLE, SMALL)])
def test_what_needs_no_bytes_brings_none(site: Site, path: str, data: bytes) -> None:
    head = site.ask(path, method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(data)), b"")
    assert site.ask(path, headers=[("If-None-Match", head.headers["etag"])]).status == 304
    assert site.ask(path, headers=[("If-Match", '"old"')]).status == 412
    assert site.source.fetched == []


@pytest.mark.parametrize("path", [BIG, LITTLE, NOTHING])
@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (Unreachable("no answer"), 503, "5"),
        (Unreachable("come back later", retry_after=30), 503, "30"),
        (Gone("it does not exist upstream", hint="remove it"), 502, None),
        (Refused("403"), 502, None),
        (StateFault("the store cannot be written"), 500, None),
    ],
)
def test_what_cannot_be_brought_is_said(
    site: Site, path: str, error: ReconcilerError, status: int, retry: str | None
) -> None:
    class Failing(FakeArtifactSource):
        async def fetch(
            self,
            publication: str,
            digest: Digest,
            size: int | None,
            *,
            announce: Callable[[int | None], None],
        ) -> AsyncIterator[bytes]:
            raise error
            yield b""

    site.on_demand._source = Failing(site.published, site.source.known)
    for headers in ([], [("Range", "bytes=0-5")]):
        answer = site.ask(path, headers=headers)
        if answer.status == 416:
            continue
        assert (answer.status, answer.headers.get("retry-after")) == (status, retry)
        expected = (STATE_FAULT,) if status == 500 else (str(error), error.hint or "")
        assert all(text in answer.text for text in expected)
        assert (
            "cache-control" not in answer.headers
            or "immutable" not in answer.headers["cache-control"]
        )


@pytest.mark.parametrize(
    "error",
    [
        DigestMismatch("other bytes"),
        Unreachable("broke off"),
        StateFault("disk full"),
        RuntimeError("a bug"),
    ],
)
def test_what_breaks_off_breaks_the_connection(site: Site, error: Exception) -> None:
    site.source.fault, site.source.before = error, 5 * BLOCK

    async def breaks() -> None:
        reader = Reader(site, BIG)
        with pytest.raises(EOFError, match="are missing"):
            await reader.request
        assert [message["status"] for message in reader.sent if "status" in message] == [200]
        assert all(message["more_body"] for message in reader.sent[1:])
        part = await site.client.get(BIG, headers=[("Range", "bytes=0-9")])
        assert part.status in (500, 502, 503), "these bytes came, and were not verified"
        site.source.fault = None
        assert (await site.client.get(BIG)).body == LARGE

    asyncio.run(breaks())
    assert len(site.source.fetched) == 3


def test_a_small_file_that_is_wrong_is_never_begun(site: Site) -> None:
    class Wrong(FakeArtifactSource):
        async def fetch(
            self,
            publication: str,
            digest: Digest,
            size: int | None,
            *,
            announce: Callable[[int | None], None],
        ) -> AsyncIterator[bytes]:
            yield SMALL[:500]
            raise DigestMismatch("other bytes")

    site.on_demand._source = Wrong(site.published, site.source.known)
    answer = site.ask(LITTLE)
    assert (answer.status, "other bytes" in answer.text) == (502, True)


@pytest.mark.parametrize("announces", [True, False])
@pytest.mark.parametrize("declared", [-1, 7, 10_000_000], ids=["nobody", "too few", "too many"])
@pytest.mark.parametrize(("name", "data"), [("large", LARGE), ("small", SMALL), ("empty", b"")])
def test_a_declared_size_is_advice_and_never_what_a_client_waits_for(
    tmp_path: Path, name: str, data: bytes, *, declared: int, announces: bool
) -> None:
    """Kind: a declared number taken for the truth about bytes."""
    site = Site(tmp_path)
    served = site.published.mount("team")
    path = f"files/{name}-sized.whl"
    site.source.lose(site.published.file(served, path, data, size=declared))
    site.source.announces = announces

    async def asked() -> list[AsgiResponse]:
        url, tail = f"/team/{path}", [("Range", "bytes=-5")]
        fetched = await site.client.get(url)
        stored = [await site.client.get(url), await site.client.get(url, headers=tail)]
        site.source.lose(Digest.of(data))
        return [fetched, *stored, await site.client.get(url, headers=tail)]

    fetched, stored, part, fetched_part = asyncio.run(asked())
    assert (fetched.status, fetched.body) == (200, data)
    assert fetched.headers.get("content-length") in (str(len(data)), None)
    assert (stored.status, stored.headers["content-length"]) == (200, str(len(data)))
    for answer in (part, fetched_part):
        assert (answer.status, answer.body) == (206 if data else 416, data[-5:])


def test_a_bug_of_the_supply_is_told_to_the_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.source.fault = RuntimeError("the token is swordfish")
    answer = site.ask(LITTLE)
    assert answer.status == 500
    assert "swordfish" not in answer.text
    assert "swordfish" in caplog.text


def test_a_folder_that_cannot_be_written_is_500(site: Site, tmp_path: Path) -> None:
    (tmp_path / "arriving").write_text("a file where a folder should be")
    answer = site.ask(BIG)
    assert (answer.status, str(tmp_path) in answer.text) == (500, False)


def test_what_is_not_on_demand_is_missing(site: Site) -> None:
    site.source.known.clear()
    answer = site.ask(BIG)
    assert (answer.status, "missing or damaged" in answer.text) == (503, True)
    assert site.source.fetched == []


def test_what_came_meanwhile_is_served_from_the_store(site: Site) -> None:
    """Another process fetched it after this one had not found it."""

    async def meanwhile() -> AsgiResponse | None:
        site.published.store(LARGE)
        assert await site.on_demand.open("team", Digest.of(LARGE), len(LARGE)) is None
        return await site.client.get(BIG)

    answer = asyncio.run(meanwhile())
    assert answer is not None
    assert answer.sent_files
    assert site.source.fetched == []


def test_what_comes_is_given_up_when_the_server_stops(site: Site, tmp_path: Path) -> None:
    async def stops() -> AsgiResponse:
        hold(site)
        request = asyncio.ensure_future(site.client.get(BIG))
        await site.source.begun.wait()
        order: list[str] = []

        async def close() -> None:
            order.append(f"{len(site.on_demand._tasks)} on their way")

        application = Application(
            Catalogue(site.published, site.published), on_demand=site.on_demand, on_close=close
        )
        await live(application, "lifespan.startup", "lifespan.shutdown")
        assert order == ["0 on their way"]
        return await request

    answer = asyncio.run(stops())
    assert (answer.status, STATE_FAULT in answer.text) == (500, True)
    assert list((tmp_path / "arriving").iterdir()) == []


def test_nothing_is_left_beside_the_store(site: Site, tmp_path: Path) -> None:
    assert site.ask(BIG).body == LARGE
    assert list((tmp_path / "arriving").iterdir()) == []
