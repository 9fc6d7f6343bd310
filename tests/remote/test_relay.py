"""Bytes to a client and into the store: never the last block of a wrong body."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from pathlib import Path

import pytest

from reconciler.errors import DigestMismatch, Gone, Malformed, ReconcilerError, Unreachable
from reconciler.model import Digest
from reconciler.remote import open_fetcher, relay
from reconciler.store import LocalStore
from tests.support import faulty
from tests.support.faulty import Answer, FaultyServer
from tests.support.remotes import remote

SMALL = random.Random(1).randbytes(20_000)
LARGE = random.Random(2).randbytes(3_500_000)
BODIES = pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])


class Relay:
    """/f relayed into a store below `folder`, whatever `answer` says; `given` is what the consumer
    was handed.
    """

    def __init__(
        self,
        folder: Path,
        data: bytes,
        answer: Answer,
        *,
        stop_after: int | None = None,
        limit: int = 20_000_000,
    ) -> None:
        self.store = LocalStore(folder / "store")
        self.digest = Digest.of(data)
        self.given: list[bytes] = []
        self.kept_before_the_last = False
        self._incoming = folder / "store" / "incoming"
        self._limit = limit
        self._size = len(data)
        self._answer = answer
        self._stop_after = stop_after

    def run(self) -> bytes:
        async def main() -> None:
            async with FaultyServer() as server:
                server.on("/f", self._answer)
                fetcher = open_fetcher(remote(retries=0), server.url("/"))
                try:
                    async with aclosing(
                        relay(
                            fetcher,
                            self.store,
                            server.url("/f"),
                            expected=self.digest,
                            limit=self._limit,
                        )
                    ) as blocks:
                        async for block in blocks:
                            self.given.append(block)
                            self.kept_before_the_last = self.store.has(self.digest)
                            if len(self.given) == self._stop_after:
                                break
                finally:
                    await fetcher.close()

        asyncio.run(main())
        return b"".join(self.given)

    def fails(self, kind: type[ReconcilerError]) -> ReconcilerError:
        """Run, expect that error, less than a whole body given out, and nothing left behind."""
        with pytest.raises(kind) as caught:
            self.run()
        assert sum(map(len, self.given)) < self._size
        self.left_nothing()
        return caught.value

    def left_nothing(self) -> None:
        assert not self.store.has(self.digest)
        assert list(self._incoming.glob("*")) == []


@BODIES
@pytest.mark.parametrize("known", [True, False], ids=["length", "no length"])
def test_the_bytes_arrive_on_both_sides(tmp_path: Path, data: bytes, known: bool) -> None:
    body = bytes(len(data)) if not known else data
    relayed = Relay(tmp_path, body, faulty.body(body) if known else faulty.huge(len(body)))
    assert relayed.run() == body
    assert relayed.store.verify(relayed.digest)
    assert relayed.kept_before_the_last
    assert all(len(block) < 2 << 20 for block in relayed.given)


def test_an_empty_body_arrives(tmp_path: Path) -> None:
    relayed = Relay(tmp_path, b"", faulty.body(b""))
    assert relayed.run() == b""
    assert relayed.store.verify(relayed.digest)


def test_all_but_the_last_block_are_given_out_before_the_end(tmp_path: Path) -> None:
    relayed = Relay(tmp_path, LARGE, faulty.body(LARGE), stop_after=1)
    relayed.run()
    assert not relayed.kept_before_the_last


@BODIES
def test_wrong_bytes_are_never_given_out_whole(tmp_path: Path, data: bytes) -> None:
    relayed = Relay(tmp_path, data, faulty.corrupted(data))
    error = relayed.fails(DigestMismatch)
    assert "/f`" in str(error)
    assert relayed.digest.hex in str(error)
    assert bool(relayed.given) == (data is LARGE)


@BODIES
def test_a_body_that_breaks_off_is_unreachable(tmp_path: Path, data: bytes) -> None:
    Relay(tmp_path, data, faulty.truncated(data)).fails(Unreachable)


@pytest.mark.parametrize("size", [0, 19_999, 3_499_999])
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_short_has_another_digest(
    tmp_path: Path, size: int, declared: bool
) -> None:
    Relay(tmp_path, LARGE, faulty.huge(size, declared=declared)).fails(DigestMismatch)


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_long_is_malformed_at_once(tmp_path: Path, declared: bool) -> None:
    relayed = Relay(tmp_path, SMALL, faulty.huge(1 << 30, declared=declared), limit=20_000)
    assert "20,000 bytes" in str(relayed.fails(Malformed))
    assert relayed.given == []


def test_nothing_behind_the_url_is_gone(tmp_path: Path) -> None:
    Relay(tmp_path, SMALL, faulty.status(404)).fails(Gone)


def test_a_consumer_that_stops_early_leaves_nothing(tmp_path: Path) -> None:
    relayed = Relay(tmp_path, LARGE, faulty.body(LARGE), stop_after=2)
    relayed.run()
    relayed.left_nothing()


def test_a_cancelled_consumer_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")

    async def main() -> None:
        async with FaultyServer() as server:
            server.on("/f", faulty.huge(1 << 30, declared=True))
            fetcher = open_fetcher(remote(retries=0), server.url("/"))
            arrived = asyncio.Event()

            async def consume() -> None:
                async with aclosing(
                    relay(fetcher, store, server.url("/f"), expected=Digest.of(b""), limit=1 << 30)
                ) as blocks:
                    async for _ in blocks:
                        arrived.set()

            task = asyncio.create_task(consume())
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await fetcher.close()

    asyncio.run(main())
    assert list((tmp_path / "store" / "incoming").iterdir()) == []


def test_bytes_that_are_there_already_may_be_relayed_again(tmp_path: Path) -> None:
    relayed = Relay(tmp_path, SMALL, faulty.body(SMALL))
    relayed.store.put(SMALL, relayed.digest)
    assert relayed.run() == SMALL
    assert relayed.store.verify(relayed.digest)
