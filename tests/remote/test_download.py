"""Verified downloads: whole, spoiled, repeated, given up, cancelled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.errors import DigestMismatch, Gone, Malformed, ReconcilerError, Unreachable
from reconciler.model import Digest
from reconciler.remote import download, open_fetcher
from reconciler.store import LocalStore
from tests.support import faulty
from tests.support.faulty import Answer, FaultyServer
from tests.support.remotes import VirtualTime, remote

SMALL = random.Random(1).randbytes(20_000)
LARGE = random.Random(2).randbytes(3_000_000)
BODIES = pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])


class Attempt:
    """One download of /f, answered by `answers` in turn, into a store below `folder`."""

    def __init__(
        self, folder: Path, data: bytes, *answers: Answer, limit: int = 1 << 40, retries: int = 2
    ) -> None:
        self.store = LocalStore(folder / "store")
        self.digest = Digest.of(data)
        self.root = folder / "store"
        self.time = VirtualTime()
        self.progress: list[int] = []
        self.requests = 0
        self._answers: Sequence[Answer] = answers
        self._limit = limit
        self._retries = retries

    def run(self) -> int:
        """The bytes that `download` says it brought."""

        async def main() -> int:
            async with FaultyServer() as server:
                server.on("/f", *self._answers)
                fetcher = open_fetcher(remote(retries=0), server.url("/"))
                try:
                    return await download(
                        fetcher,
                        self.store,
                        server.url("/f"),
                        expected=self.digest,
                        limit=self._limit,
                        retry=self.time.policy(self._retries),
                        progress=self.progress.append,
                    )
                finally:
                    self.requests = len(server.requests)
                    await fetcher.close()

        return asyncio.run(main())

    def fails(self, kind: type[ReconcilerError]) -> ReconcilerError:
        """Run, expect that error, and nothing left behind."""
        with pytest.raises(kind) as caught:
            self.run()
        assert not self.store.has(self.digest)
        assert sum(self.progress) == 0
        assert self.leftovers() == []
        return caught.value

    def leftovers(self) -> list[Path]:
        return list((self.root / "incoming").glob("*"))


@BODIES
def test_the_bytes_arrive_under_their_digest(tmp_path: Path, data: bytes) -> None:
    attempt = Attempt(tmp_path, data, faulty.body(data), limit=len(data))
    assert attempt.run() == len(data)
    assert attempt.store.verify(attempt.digest)
    assert sum(attempt.progress) == len(data)
    assert (attempt.requests, attempt.leftovers(), attempt.time.slept) == (1, [], [])


def test_a_body_of_unknown_length_arrives(tmp_path: Path) -> None:
    zeros = bytes(300_000)
    attempt = Attempt(tmp_path, zeros, faulty.huge(len(zeros)))
    assert attempt.run() == len(zeros)
    assert attempt.store.verify(attempt.digest)


def test_an_empty_body_arrives(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, b"", faulty.body(b""), limit=0)
    assert attempt.run() == 0
    assert attempt.store.verify(attempt.digest)


@BODIES
@pytest.mark.parametrize("fault", [faulty.truncated, faulty.corrupted])
def test_a_spoiled_transfer_is_repeated(tmp_path: Path, data: bytes, fault: type) -> None:
    attempt = Attempt(tmp_path, data, fault(data), faulty.body(data))
    assert attempt.run() == len(data)
    assert attempt.store.verify(attempt.digest)
    assert (attempt.requests, len(attempt.time.slept), attempt.leftovers()) == (2, 1, [])
    assert sum(attempt.progress) == len(data)


@BODIES
def test_wrong_bytes_that_stay_wrong_name_url_and_both_digests(tmp_path: Path, data: bytes) -> None:
    attempt = Attempt(tmp_path, data, faulty.corrupted(data))
    error = attempt.fails(DigestMismatch)
    middle = len(data) // 2
    got = Digest.of(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])
    assert "/f`" in str(error)
    assert attempt.digest.hex in str(error)
    assert got.hex in str(error)
    assert attempt.requests == 3


@BODIES
def test_a_transfer_that_always_breaks_off_is_unreachable(tmp_path: Path, data: bytes) -> None:
    attempt = Attempt(tmp_path, data, faulty.truncated(data))
    attempt.fails(Unreachable)
    assert attempt.requests == 3


@pytest.mark.parametrize(("code", "kind"), [(404, Gone), (503, Unreachable)])
def test_opening_is_the_fetchers_to_repeat(
    tmp_path: Path, code: int, kind: type[ReconcilerError]
) -> None:
    attempt = Attempt(tmp_path, SMALL, faulty.status(code))
    attempt.fails(kind)
    assert attempt.requests == 1


@pytest.mark.parametrize(
    "answer", [faulty.huge(1 << 30, declared=True), faulty.huge(1 << 30), faulty.body(SMALL + b"x")]
)
def test_more_than_was_declared_is_malformed_at_once(tmp_path: Path, answer: Answer) -> None:
    attempt = Attempt(tmp_path, SMALL, answer, limit=len(SMALL))
    error = attempt.fails(Malformed)
    assert "20,000 bytes" in str(error)
    assert attempt.requests == 1


def test_progress_takes_back_what_is_thrown_away(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, LARGE, faulty.truncated(LARGE), faulty.body(LARGE))
    attempt.run()
    thrown_away = attempt.progress.index(min(attempt.progress))
    assert attempt.progress[thrown_away] < 0
    assert sum(attempt.progress[: thrown_away + 1]) == 0
    assert sum(attempt.progress) == len(LARGE)


def test_a_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    progress: list[int] = []

    async def main() -> None:
        async with FaultyServer() as server:
            server.on("/f", faulty.huge(1 << 30, declared=True))
            fetcher = open_fetcher(remote(retries=0), server.url("/"))
            arrived = asyncio.Event()

            def count(received: int) -> None:
                progress.append(received)
                if sum(progress) > 3 << 20:
                    arrived.set()

            task = asyncio.create_task(
                download(
                    fetcher,
                    store,
                    server.url("/f"),
                    expected=Digest.of(b""),
                    limit=1 << 40,
                    retry=VirtualTime().policy(2),
                    progress=count,
                )
            )
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await fetcher.close()

    asyncio.run(main())
    assert sum(progress) == 0
    assert list((tmp_path / "store" / "incoming").iterdir()) == []
