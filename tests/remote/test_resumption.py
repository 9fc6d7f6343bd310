"""A body that breaks off goes on where it ended; what comes then is of the same file, or nothing.

Kind: a large download begun anew for every connection that breaks, and bytes of two files joined.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from aiohttp import web

from reconciler.errors import ReconcilerError, Unreachable
from reconciler.model import Digest
from reconciler.remote import download, open_fetcher, relay
from reconciler.store import LocalStore
from tests.support.faulty import Answer, FaultyServer, body
from tests.support.remotes import VirtualTime, remote

DATA = random.Random(4).randbytes(3_000_000)
OTHER = random.Random(5).randbytes(3_000_000)
CUT = 1_200_000


def breaking(
    data: bytes, *, etag: str = '"one"', accepts: bool = True, length: int = CUT
) -> Answer:
    """Answers ranges by the book, and hangs up after `length` bytes of each answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        start = 0
        asked = request.headers.get("Range")
        if asked and request.headers.get("If-Range", etag) == etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        headers = {"Content-Length": str(len(data) - start), "ETag": etag}
        if accepts:
            headers["Accept-Ranges"] = "bytes"
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        await response.write(data[start : start + length])
        if start + length < len(data):
            assert request.transport is not None
            request.transport.close()
        return response

    return answer


class Attempt:
    """A download or a relay of /f, over a remote that has one connection only."""

    def __init__(self, folder: Path, *answers: Answer) -> None:
        self.store = LocalStore(folder / "store")
        self.ranges: list[str] = []
        self.given = b""
        self._answers = answers

    def run(self, *, relayed: bool) -> ReconcilerError | None:
        async def main() -> ReconcilerError | None:
            async with FaultyServer() as server:
                server.on("/f", *self._answers)
                fetcher = open_fetcher(remote(retries=0, concurrency=1), server.url("/"))
                expected, url = Digest.of(DATA), server.url("/f")
                try:
                    if relayed:
                        async for block in relay(
                            fetcher, self.store, url, expected=expected, limit=len(DATA)
                        ):
                            self.given += block
                    else:
                        await download(
                            fetcher,
                            self.store,
                            url,
                            expected=expected,
                            limit=len(DATA),
                            retry=VirtualTime().policy(0),
                            progress=lambda size: None,
                        )
                except ReconcilerError as error:
                    return error
                finally:
                    await fetcher.close()
                    self.ranges = [each.headers.get("range", "") for each in server.requests]
            return None

        return asyncio.run(main())


@pytest.mark.parametrize("relayed", [False, True])
def test_the_rest_is_asked_for_and_no_byte_twice(tmp_path: Path, relayed: bool) -> None:
    attempt = Attempt(tmp_path, breaking(DATA))
    assert attempt.run(relayed=relayed) is None
    assert len(attempt.ranges) == 3
    starts = [int(text.removeprefix("bytes=").removesuffix("-") or 0) for text in attempt.ranges]
    assert starts == sorted(starts)
    assert attempt.store.has(Digest.of(DATA))
    assert not relayed or attempt.given == DATA


@pytest.mark.parametrize(
    "answers",
    [
        [breaking(DATA, accepts=False)],
        [breaking(DATA), breaking(DATA, etag='"two"')],
        [breaking(DATA), body(DATA)],
        [breaking(DATA), breaking(OTHER[:-1])],
    ],
    ids=["no ranges", "another file", "the whole again", "another length"],
)
def test_what_is_not_the_rest_of_this_file_is_not_joined_to_it(
    tmp_path: Path, answers: list[Answer]
) -> None:
    attempt = Attempt(tmp_path, *answers)
    assert isinstance(attempt.run(relayed=True), Unreachable)
    assert DATA.startswith(attempt.given)
    assert not attempt.store.has(Digest.of(DATA))


def test_other_bytes_under_the_same_label_are_never_given_whole(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, breaking(DATA), breaking(OTHER, length=len(OTHER)))
    assert attempt.run(relayed=True) is not None
    assert len(attempt.given) < len(DATA)
    assert not attempt.store.has(Digest.of(DATA))


def test_a_server_that_never_sends_more_is_asked_a_bounded_number_of_times(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, breaking(DATA, length=10))
    assert isinstance(attempt.run(relayed=False), Unreachable)
    assert len(attempt.ranges) == 5
