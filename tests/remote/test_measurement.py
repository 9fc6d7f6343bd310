"""Digests of what upstream declares none of: downloaded once, confirmed afterwards, and a cache
that need not be trusted.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import (
    DigestMismatch,
    Gone,
    Malformed,
    NotCached,
    ReconcilerError,
    StateFault,
    Unreachable,
)
from reconciler.remote import Measurement, MeasurementCache, measure, open_fetcher
from reconciler.remote.measurement import CachedMeasurement
from tests.support import faulty
from tests.support.faulty import Answer, FaultyServer
from tests.support.remotes import VirtualTime, remote

SMALL = random.Random(1).randbytes(20_000)
LARGE = random.Random(2).randbytes(3_000_000)
BODIES = pytest.mark.parametrize("data", [SMALL, LARGE, b""], ids=["small", "large", "empty"])


class Site:
    """A server whose /f is measured, again and again, with one cache; the server's port, hence the
    URL, stays.
    """

    def __init__(self, folder: Path, *, retries: int = 2) -> None:
        self.into = folder / "into"
        self.into.mkdir()
        self.cache = folder / "measures"
        self.server = FaultyServer()
        self.time = VirtualTime()
        self.progress: list[int] = []
        self.url = ""
        self._retries = retries

    def measure(
        self,
        *answers: Answer,
        limit: int = 1 << 40,
        times: int = 1,
        between: Answer | None = None,
        digests: Mapping[str, str] | None = None,
        then: Mapping[str, str] | None = None,
    ) -> list[Measurement]:
        """What `times` measurings in a row say; from the second on /f is answered by `between` and
        has the digests `then`, if they are given.
        """

        async def main() -> list[Measurement]:
            async with self.server as server:
                server.on("/f", *answers)
                self.url = server.url("/f")
                fetcher = open_fetcher(remote(retries=0), server.url("/"))
                done = []
                try:
                    for number in range(times):
                        if number and between is not None:
                            server.on("/f", between)
                        done.append(
                            await measure(
                                fetcher,
                                MeasurementCache(self.cache),
                                self.url,
                                into=self.into,
                                retry=self.time.policy(self._retries),
                                limit=limit,
                                digests=(then if number and then else digests) or {},
                                progress=self.progress.append,
                            )
                        )
                finally:
                    await fetcher.close()
                return done

        return asyncio.run(main())

    def fails(
        self,
        kind: type[ReconcilerError],
        *answers: Answer,
        limit: int = 1 << 40,
        digests: Mapping[str, str] | None = None,
    ) -> ReconcilerError:
        with pytest.raises(kind) as caught:
            self.measure(*answers, limit=limit, digests=digests)
        assert list(self.into.iterdir()) == []
        assert sum(self.progress) == 0
        assert MeasurementCache(self.cache).load(self.url) is None
        return caught.value

    def offline(self, *, digests: Mapping[str, str] | None = None) -> Measurement:
        return asyncio.run(
            measure(
                None,
                MeasurementCache(self.cache),
                self.url,
                into=self.into,
                retry=self.time.policy(0),
                limit=1 << 40,
                digests=digests or {},
            )
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@BODIES
def test_what_is_unknown_is_downloaded_and_named(site: Site, data: bytes) -> None:
    [measured] = site.measure(faulty.body(data))
    assert (measured.sha256, measured.size) == (sha256(data), len(data))
    assert measured.path is not None
    assert measured.path.parent == site.into
    assert measured.path.read_bytes() == data
    assert sum(site.progress) == len(data)


def test_a_body_of_unknown_length_is_measured(site: Site) -> None:
    [measured] = site.measure(faulty.huge(3_000_000))
    assert (measured.sha256, measured.size) == (sha256(bytes(3_000_000)), 3_000_000)


@BODIES
def test_what_did_not_change_is_confirmed_without_a_download(site: Site, data: bytes) -> None:
    first, second = site.measure(faulty.body(data, conditional=True), times=2)
    assert second == Measurement(first.sha256, first.size, None)
    assert [path.name for path in site.into.iterdir()] == [first.path.name if first.path else ""]
    assert "if-none-match" not in site.server.requests[0].headers
    assert "if-none-match" in site.server.requests[1].headers


def test_a_date_is_a_validator_too(site: Site) -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    _, second = site.measure(
        faulty.body(SMALL, headers={"Last-Modified": date}), times=2, between=faulty.status(304)
    )
    assert second == Measurement(sha256(SMALL), len(SMALL), None)
    assert site.server.requests[1].headers["if-modified-since"] == date


def test_what_changed_is_downloaded_and_remembered_anew(site: Site) -> None:
    new = SMALL[::-1]
    _, second, third = site.measure(
        faulty.body(SMALL, conditional=True), times=3, between=faulty.body(new, conditional=True)
    )
    assert second.sha256 == third.sha256 == sha256(new)
    assert second.path is not None
    assert third.path is None


def test_without_a_validator_nothing_is_remembered_and_the_old_is_forgotten(site: Site) -> None:
    site.measure(faulty.body(SMALL, conditional=True), times=3, between=faulty.body(LARGE))
    assert ["if-none-match" in request.headers for request in site.server.requests] == [
        False,
        True,
        False,
    ]
    with pytest.raises(NotCached):
        site.offline()


def test_offline_says_what_is_known_and_nothing_else(site: Site) -> None:
    site.measure(faulty.body(SMALL, conditional=True))
    assert site.offline() == Measurement(sha256(SMALL), len(SMALL), None)
    MeasurementCache(site.cache).drop(site.url)
    with pytest.raises(NotCached, match="never read"):
        site.offline()


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_body_that_breaks_off_is_fetched_again(site: Site, data: bytes) -> None:
    [measured] = site.measure(faulty.truncated(data), faulty.body(data))
    assert measured.sha256 == sha256(data)
    assert (len(site.server.requests), len(site.time.slept), len(list(site.into.iterdir()))) == (
        2,
        1,
        1,
    )
    assert sum(site.progress) == len(data)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_body_that_always_breaks_off_leaves_nothing(site: Site, data: bytes) -> None:
    site.fails(Unreachable, faulty.truncated(data))
    assert len(site.server.requests) == 3


@pytest.mark.parametrize(("code", "kind"), [(404, Gone), (503, Unreachable)])
def test_opening_is_the_fetchers_to_repeat(
    site: Site, code: int, kind: type[ReconcilerError]
) -> None:
    site.fails(kind, faulty.status(code))
    assert len(site.server.requests) == 1


@pytest.mark.parametrize("answer", [faulty.body(SMALL + b"x"), faulty.huge(20_001)])
def test_a_body_beyond_the_limit_is_malformed(site: Site, answer: Answer) -> None:
    assert "20,000" in str(site.fails(Malformed, answer, limit=len(SMALL)))


def test_a_folder_that_is_not_there_is_named(site: Site) -> None:
    site.into.rmdir()
    with pytest.raises(StateFault, match="into` cannot be written"):
        site.measure(faulty.body(SMALL))


def test_a_cancelled_measuring_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with FaultyServer() as server:
            server.on("/f", faulty.huge(1 << 30, declared=True))
            fetcher = open_fetcher(remote(retries=0), server.url("/"))
            arrived = asyncio.Event()
            received: list[int] = []

            def count(more: int) -> None:
                received.append(more)
                if sum(received) > 3 << 20:
                    arrived.set()

            task = asyncio.create_task(
                measure(
                    fetcher,
                    MeasurementCache(tmp_path / "m"),
                    server.url("/f"),
                    into=tmp_path,
                    retry=VirtualTime().policy(2),
                    limit=1 << 40,
                    progress=count,
                )
            )
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await fetcher.close()

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_a_local_file_is_measured_once(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(LARGE)
    into = tmp_path / "into"
    into.mkdir()

    async def main() -> list[Measurement]:
        fetcher = open_fetcher(remote(retries=0), f"{tmp_path.as_uri()}/")
        return [
            await measure(
                fetcher,
                MeasurementCache(tmp_path / "m"),
                (tmp_path / "f").as_uri(),
                into=into,
                retry=VirtualTime().policy(0),
                limit=1 << 40,
            )
            for _ in range(2)
        ]

    first, second = asyncio.run(main())
    assert (first.sha256, second) == (sha256(LARGE), Measurement(sha256(LARGE), len(LARGE), None))


KNOWN = CachedMeasurement("http://example.org/f", "0" * 64, 7, etag='"1"')


def kept(root: Path) -> Path:
    [file] = [path for path in root.rglob("*") if path.is_file()]
    return file


def test_a_cache_remembers_by_url(tmp_path: Path) -> None:
    MeasurementCache(tmp_path).store(KNOWN)
    assert MeasurementCache(tmp_path).load(KNOWN.url) == KNOWN
    assert MeasurementCache(tmp_path).load(KNOWN.url + "x") is None


def test_a_cache_keeps_remotes_apart(tmp_path: Path) -> None:
    whole = MeasurementCache(tmp_path)
    first, other = whole.for_remote("first"), whole.for_remote("other")
    first.store(KNOWN)
    assert first.load(KNOWN.url) is not None
    assert (other.load(KNOWN.url), whole.load(KNOWN.url)) == (None, None)
    other.drop(KNOWN.url)
    assert first.load(KNOWN.url) is not None
    first.drop(KNOWN.url)
    assert first.load(KNOWN.url) is None


@given(st.data())
def test_a_spoiled_entry_is_an_absent_one(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("measures")
    MeasurementCache(root).store(KNOWN)
    whole = kept(root).read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    spoiled = data.draw(
        st.sampled_from(
            [whole[:place], whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]]
        )
    )
    kept(root).write_bytes(spoiled)
    assert MeasurementCache(root).load(KNOWN.url) is None


def test_an_entry_of_another_url_or_another_shape_is_not_believed(tmp_path: Path) -> None:
    cache = MeasurementCache(tmp_path)
    cache.store(KNOWN)
    cache._entries.store("http://example.org/other", cache._entries.load(KNOWN.url) or b"")
    assert cache.load("http://example.org/other") is None
    cache._entries.store(KNOWN.url, b'{"url": 7}')
    assert cache.load(KNOWN.url) is None


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = MeasurementCache(tmp_path / "file" / "measures")
    cache.store(KNOWN)
    cache.drop(KNOWN.url)
    assert cache.load(KNOWN.url) is None


MD5 = {"md5": hashlib.md5(SMALL, usedforsecurity=False).hexdigest()}
MANY = {
    **MD5,
    "sha512": hashlib.sha512(SMALL).hexdigest(),
    "blake2b": hashlib.blake2b(SMALL).hexdigest(),
}


def test_other_digests_that_were_declared_are_verified(site: Site) -> None:
    unknown = {"crc32": "00", "shake_128": "00", "nonsense": "ff"}
    [measured] = site.measure(faulty.body(SMALL), digests={**MANY, **unknown})
    assert measured.sha256 == sha256(SMALL)
    [measured] = site.measure(
        faulty.huge(3_000_000),
        digests={"sha1": hashlib.sha1(bytes(3_000_000), usedforsecurity=False).hexdigest()},
    )
    assert measured.size == 3_000_000


@pytest.mark.parametrize(
    "digests", [{"md5": "0" * 32}, {**MANY, "sha512": "0" * 128}, {"md5": "00"}]
)
def test_bytes_of_another_digest_are_fetched_again_and_refused(
    site: Site, digests: dict[str, str]
) -> None:
    error = site.fails(DigestMismatch, faulty.body(SMALL, conditional=True), digests=digests)
    [(algorithm, wrong)] = [(name, value) for name, value in digests.items() if MANY[name] != value]
    assert (
        f"/f` has the {algorithm} {MANY[algorithm]} instead of {wrong}, which was declared for it"
        in str(error)
    )
    assert len(site.server.requests) == 3


def test_a_transfer_that_was_spoilt_is_tried_again(site: Site) -> None:
    [measured] = site.measure(faulty.corrupted(SMALL), faulty.body(SMALL), digests=MD5)
    assert measured.sha256 == sha256(SMALL)


def test_digests_are_remembered_with_the_measure(site: Site) -> None:
    assert (
        site.measure(faulty.body(SMALL, conditional=True), digests=MANY, then=MD5, times=2)[1].path
        is None
    )
    assert site.offline(digests=MANY).sha256 == sha256(SMALL)
    with pytest.raises(DigestMismatch, match="has the md5"):
        site.offline(digests={"md5": "0" * 32})


def test_what_upstream_confirms_must_have_the_digests_as_well(site: Site) -> None:
    with pytest.raises(DigestMismatch, match="has the md5"):
        site.measure(
            faulty.body(SMALL, conditional=True), digests=MANY, then={"md5": "0" * 32}, times=2
        )


def test_a_digest_that_was_not_computed_needs_the_bytes(site: Site) -> None:
    honest = faulty.body(SMALL, conditional=True)
    site.measure(honest)
    with pytest.raises(NotCached):
        site.offline(digests=MD5)
    assert site.measure(honest, then=MD5, times=2)[1].path is not None
    assert site.offline(digests=MD5).sha256 == sha256(SMALL)
