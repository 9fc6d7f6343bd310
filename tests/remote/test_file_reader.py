"""Files of known digests, whole and in part: read once, from servers that know ranges and from
those that do not, and from folders.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from aiohttp import web

from reconciler.errors import Gone, Malformed, NotCached, ReconcilerError, Refused, Unreachable
from reconciler.remote import FileCache, FilePart, FileReader, PageBudget, open_fetcher, ranges
from reconciler.remote.page_budget import PageLease
from tests.support import faulty
from tests.support.faulty import Answer, FaultyServer
from tests.support.remotes import VirtualTime, remote

T = TypeVar("T")

DATA = random.Random(7).randbytes(40_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
PLACES = [
    (0, 100),
    (0, 40_000),
    (0, 90_000),
    (39_990, 100),
    (40_000, 5),
    (90_000, 5),
    (12_345, 1),
    (-100, 100),
    (-100, 10),
    (-40_000, 7),
    (-90_000, 50),
]


def part_of(data: bytes, offset: int, length: int) -> FilePart:
    """What the answer must be."""
    start = min(offset, len(data)) if offset >= 0 else max(0, len(data) + offset)
    return FilePart(start, len(data), data[start : start + length])


def ranged(
    data: bytes, *, status: int | None = None, said: str | None = None, body: bytes | None = None
) -> Answer:
    """A server that knows ranges; `said`, `body`, `status`: instead of its honest answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
        if asked is None:
            return web.Response(body=data)
        start = int(asked[1]) if asked[1] else max(0, len(data) - int(asked[2]))
        end = min(len(data), int(asked[2]) + 1) if asked[1] else len(data)
        if start >= end:
            return web.Response(
                status=416, headers={"Content-Range": said or f"bytes */{len(data)}"}
            )
        headers = {"Content-Range": said or f"bytes {start}-{end - 1}/{len(data)}"}
        return web.Response(
            status=status or 206, headers=headers, body=data[start:end] if body is None else body
        )

    return answer


def unsized(data: bytes) -> Answer:
    """The whole body, in chunks, whatever was asked for."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for start in range(0, len(data), 7_000):
            await response.write(data[start : start + 7_000])
        return response

    return answer


@dataclass
class Site:
    """One server, one cache, and readers of remotes whose own host it is."""

    root: Path
    server: FaultyServer = field(default_factory=FaultyServer)
    time: VirtualTime = field(default_factory=VirtualTime)

    def reading(
        self,
        ask: Callable[[FileReader, str], Awaitable[T]],
        *answers: Answer,
        whose: str = "",
        offline: bool = False,
        retries: int = 2,
    ) -> T:
        """What `ask` gets of /f, answered by `answers`."""

        async def main() -> T:
            async with self.server as server:
                server.on("/f", *answers)
                fetcher = open_fetcher(remote(retries=0), server.url("/"))
                cache = FileCache(self.root).for_remote(whose)
                try:
                    return await ask(
                        FileReader(
                            fetcher,
                            cache,
                            offline,
                            retry=self.time.policy(retries),
                            largest=100_000,
                        ),
                        server.url("/f"),
                    )
                finally:
                    await fetcher.close()

        return asyncio.run(main())

    def file(
        self,
        *answers: Answer,
        sha256: str = SHA256,
        offline: bool = False,
        retries: int = 2,
        whose: str = "",
    ) -> bytes:
        return self.reading(
            lambda reader, url: reader.get(url, sha256),
            *answers,
            offline=offline,
            retries=retries,
            whose=whose,
        )

    def part(
        self,
        offset: int,
        length: int,
        *answers: Answer,
        sha256: str = SHA256,
        offline: bool = False,
        whose: str = "",
    ) -> FilePart:
        return self.reading(
            lambda reader, url: reader.get_part(url, sha256, offset, length=length),
            *answers,
            offline=offline,
            whose=whose,
        )

    def parts(self, answer: Answer, data: bytes = DATA) -> None:
        """Every place is read, and is what it should be."""

        async def all_of_them(reader: FileReader, url: str) -> list[FilePart]:
            return [
                await reader.get_part(
                    url, hashlib.sha256(data).hexdigest(), place[0], length=place[1]
                )
                for place in PLACES
            ]

        assert self.reading(all_of_them, answer) == [part_of(data, *place) for place in PLACES]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "cache")


def test_a_file_is_asked_for_once_and_then_known_to_every_remote_and_offline(site: Site) -> None:
    assert site.file(faulty.body(DATA)) == DATA
    assert site.file(faulty.status(500)) == DATA
    assert site.file(faulty.status(500), whose="another") == DATA
    assert site.file(offline=True) == DATA
    assert len(site.server.requests) == 1
    assert site.part(-10, 10, offline=True) == part_of(DATA, -10, 10), (
        "a part of a file that is here is here as well"
    )


def test_what_was_never_read_is_unknown_offline(site: Site) -> None:
    with pytest.raises(NotCached, match="was never read"):
        site.file(faulty.body(DATA), offline=True)
    with pytest.raises(NotCached, match="was never read"):
        site.part(0, 1, faulty.body(DATA), offline=True)
    assert not site.server.requests


@pytest.mark.parametrize(
    "spoilt", [faulty.corrupted(DATA), faulty.truncated(DATA), faulty.broken_chunks(DATA)]
)
def test_a_spoilt_transfer_is_tried_again(site: Site, spoilt: Answer) -> None:
    assert site.file(spoilt, spoilt, faulty.body(DATA)) == DATA
    assert len(site.time.slept) == 2


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (faulty.corrupted(DATA), Malformed, "instead of " + SHA256),
        (faulty.truncated(DATA), Unreachable, "ended before"),
        (faulty.status(404), Gone, "404"),
        (faulty.status(403), Refused, "403"),
        (faulty.status(503), Unreachable, "503"),
        (faulty.status(304), Malformed, "304"),
        (faulty.status(206), Malformed, "206"),
        (faulty.huge(100_001), Malformed, "larger than the limit of 100,000"),
        (faulty.huge(100_001, declared=True), Malformed, "larger than the limit of 100,000"),
    ],
)
def test_what_cannot_be_had_is_said_and_not_kept(
    site: Site, answer: Answer, kind: type[ReconcilerError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        site.file(answer, retries=1)
    assert "/f`" in str(caught.value)
    with pytest.raises(NotCached):
        site.file(offline=True)


def test_a_spoilt_cache_counts_as_none(site: Site) -> None:
    site.file(faulty.body(DATA))
    site.part(5, 10, ranged(DATA), sha256=EMPTY_SHA256)
    for file in (path for path in site.root.rglob("*") if path.is_file()):
        file.write_bytes(file.read_bytes()[:-1])
    assert site.file(faulty.body(DATA)) == DATA
    assert site.part(5, 10, ranged(DATA), sha256=EMPTY_SHA256) == part_of(DATA, 5, 10)
    assert len(site.server.requests) == 4


def test_bytes_that_lie_in_the_cache_under_another_digest_are_not_given_out(site: Site) -> None:
    FileCache(site.root).store(SHA256, b"other")
    assert site.file(faulty.body(DATA)) == DATA


def test_parts_come_as_they_are_asked_for_and_are_kept(site: Site) -> None:
    site.parts(ranged(DATA))
    assert len(site.server.requests) == len(PLACES)
    assert all("range" in request.headers for request in site.server.requests)
    site.parts(faulty.status(500))
    assert site.part(*PLACES[0], offline=True) == part_of(DATA, *PLACES[0])
    assert len(site.server.requests) == len(PLACES)


def test_a_part_of_nothing_is_nothing(site: Site) -> None:
    assert site.part(-10, 10, ranged(b""), sha256=EMPTY_SHA256) == FilePart(0, 0, b"")
    assert site.part(0, 10, ranged(b""), sha256=EMPTY_SHA256) == FilePart(0, 0, b"")


@pytest.mark.parametrize("answer", [faulty.body(DATA), unsized(DATA)], ids=["sized", "unsized"])
def test_a_server_that_knows_no_ranges_is_read_as_far_as_needed(site: Site, answer: Answer) -> None:
    site.parts(answer)
    assert len(site.server.requests) == len(PLACES)


@pytest.mark.parametrize(
    "answer",
    [
        ranged(DATA, said="bytes 1-2/*"),
        ranged(DATA, said="nonsense"),
        ranged(DATA, said="bytes 7-3/40000"),
        ranged(DATA, said="bytes 7-8/40000"),
        ranged(DATA, said="bytes */40000", status=416),
    ],
)
def test_a_part_in_an_unknown_place_is_cut_out_of_the_whole(site: Site, answer: Answer) -> None:
    assert site.part(100, 50, answer) == part_of(DATA, 100, 50)
    assert site.part(-50, 50, answer) == part_of(DATA, -50, 50)
    assert ["range" in request.headers for request in site.server.requests] == [
        True,
        False,
        True,
        False,
    ]


def test_a_part_that_is_longer_or_shorter_than_it_says_is_no_part(site: Site) -> None:
    with pytest.raises(Malformed, match="longer part"):
        site.part(0, 10, ranged(DATA, body=DATA[:11]))
    with pytest.raises(Unreachable, match="whole"):
        site.part(0, 10, ranged(DATA, body=DATA[:9]))
    assert site.part(0, 10, ranged(DATA, body=DATA[:9]), ranged(DATA)) == part_of(DATA, 0, 10)


def test_a_body_without_an_end_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "LONGEST_BODY", 1_000_000)
    for offset in (0, -10):
        with pytest.raises(Malformed, match="larger than the limit of 1,000,000"):
            site.part(offset, 10, faulty.huge(1_500_000))
    with pytest.raises(Malformed, match="larger than the limit of 1,000,000"):
        site.part(1_200_000, 10, faulty.huge(1_500_000, declared=True))


def test_a_tail_takes_no_more_memory_than_it_has(
    monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    monkeypatch.setattr(ranges, "_SLACK", 10)
    assert site.part(-3_000, 20, unsized(DATA)) == part_of(DATA, -3_000, 20)


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (0, -1), (0, 100_001), (-100_001, 10)])
def test_parts_without_sense_are_not_asked_for(site: Site, offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="make a part"):
        site.part(offset, length, ranged(DATA))
    assert not site.server.requests


def test_parts_cannot_be_verified_so_each_remote_has_its_own(site: Site) -> None:
    site.part(0, 10, ranged(bytes(100)), whose="a stranger")
    assert site.part(0, 10, ranged(DATA), whose="ours") == part_of(DATA, 0, 10)
    assert site.part(0, 10, offline=True, whose="a stranger").body == bytes(10)


def test_a_part_that_made_no_sense_is_forgotten(site: Site) -> None:
    site.part(0, 10, ranged(bytes(100)))

    async def again(reader: FileReader, url: str) -> FilePart:
        reader.forget_part(SHA256, 0, 10)
        return await reader.get_part(url, SHA256, 0, length=10)

    assert site.reading(again, ranged(DATA)) == part_of(DATA, 0, 10)


def test_a_part_behind_a_redirect_to_another_host_is_cut_from_the_verified_file(
    tmp_path: Path,
) -> None:
    """Kind: bytes that no digest verifies, from a host that the remote did not name."""

    async def main() -> tuple[FilePart, FaultyServer, FaultyServer]:
        async with FaultyServer() as own, FaultyServer() as other:
            own.on("/f", faulty.redirect(other.url("/f")))
            other.on("/f", ranged(DATA))
            fetcher = open_fetcher(remote(retries=0, headers={"X-Key": "mine"}), own.url("/"))
            try:
                return (
                    await FileReader(fetcher, FileCache(tmp_path)).get_part(
                        own.url("/f"), SHA256, 5, length=5
                    ),
                    own,
                    other,
                )
            finally:
                await fetcher.close()

    part, own, other = asyncio.run(main())
    assert part == part_of(DATA, 5, 5)
    assert own.requests[0].headers["x-key"] == "mine"
    assert "x-key" not in other.requests[0].headers
    assert ["range" in request.headers for request in other.requests] == [False]


def test_files_of_a_folder_are_read_in_part_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "f").write_bytes(DATA)
    (folder / "empty").write_bytes(b"")

    async def main() -> None:
        fetcher = open_fetcher(remote(retries=0), folder.as_uri() + "/")
        reader = FileReader(fetcher, FileCache(tmp_path / "cache"))
        url = (folder / "f").as_uri()
        assert [
            await reader.get_part(url, SHA256, offset, length=length) for offset, length in PLACES
        ] == [part_of(DATA, *place) for place in PLACES]
        assert await reader.get_part(
            (folder / "empty").as_uri(), EMPTY_SHA256, -5, length=5
        ) == FilePart(0, 0, b"")
        assert await reader.get(url, SHA256) == DATA
        async with fetcher.stream(url, {"Range": "bytes=10-19"}) as stream:
            assert (stream.status, stream.length, stream.headers["content-range"]) == (
                206,
                10,
                "bytes 10-19/40000",
            )
        async with fetcher.stream(url, {"Range": "lines=10-19"}) as stream:
            assert (stream.status, stream.length) == (200, 40_000), (
                "an unknown unit is ignored (RFC 9110 14.2)"
            )
        with pytest.raises(Gone):
            await reader.get((folder / "g").as_uri(), EMPTY_SHA256)

    asyncio.run(main())


class CountedBudget(PageBudget):
    """A budget that keeps the largest count of bytes in flight."""

    peak = 0

    async def take(self, lease: PageLease, count: int) -> None:
        await super().take(lease, count)
        self.peak = max(self.peak, self.in_flight)


@pytest.mark.parametrize("answer", [ranged(DATA), faulty.body(DATA), unsized(DATA)])
@pytest.mark.parametrize("part", [None, (0, 40_000), (-40_000, 40_000)])
def test_files_count_against_the_page_budget_while_they_arrive(
    tmp_path: Path, answer: Answer, part: tuple[int, int] | None
) -> None:
    """Kind: a limit for each body, multiplied by the number of connections."""

    async def main() -> CountedBudget:
        budget = CountedBudget()
        async with FaultyServer() as upstream:
            upstream.on("/f", answer)
            fetcher = open_fetcher(remote(retries=0), upstream.url("/"))
            reader = FileReader(fetcher, FileCache(tmp_path), budget=budget)
            if part is None:
                await reader.get(upstream.url("/f"), SHA256)
            else:
                await reader.get_part(upstream.url("/f"), SHA256, part[0], length=part[1])
            await fetcher.close()
        return budget

    budget = asyncio.run(main())
    assert budget.peak == len(DATA)
    assert budget.in_flight == 0
