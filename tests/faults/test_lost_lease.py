"""A lease that is lost in the middle of a run, a database that is busy at a heartbeat, and a
release that fails.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.database import CommitResult, Lease, Writer
from reconciler.engine import Checkpoint, listen
from reconciler.engine.applying.content_sync import ContentSync
from reconciler.engine.run import checkpoints, lease
from reconciler.engine.run.lease import leased
from reconciler.errors import Conflict, LeaseHeld, StateFault
from tests.support.mirror import Mirror, publication, remote, repository
from tests.support.upstream import upstream

LONG = 30  # seconds that no test waits unless it fails


class Leases:
    """Stands in for a Writer: `beats` are what heartbeats raise, one after the other, then they
    succeed.
    """

    def __init__(self, *beats: Exception, release: Exception | None = None) -> None:
        self.beats = list(beats)
        self.beaten = threading.Event()
        self.released = 0
        self._release = release

    def acquire(self, name: str, *, ttl_seconds: float, now: datetime) -> Lease:
        return Lease(name, 1, ttl_seconds)

    def heartbeat(self, held: Lease, now: datetime) -> None:
        if self.beats:
            raise self.beats.pop(0)
        self.beaten.set()

    def release(self, held: Lease) -> None:
        self.released += 1
        if self._release:
            raise self._release


@pytest.fixture(autouse=True)
def _quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "TTL", 0.004)
    monkeypatch.setattr(lease, "PATIENCE", 0.0)  # a lease that was lost is not tried for again
    monkeypatch.setattr(checkpoints, "_listeners", [])


def hold(leases: Any, body: Any) -> Any:
    async def run() -> Any:
        async with leased(leases, "repository/team", lambda: datetime.now(UTC)) as held:
            return await body(held)

    return asyncio.run(run())


def test_losing_the_lease_cancels_the_block() -> None:
    leases = Leases(LeaseHeld("lost"))
    went_on: list[bool] = []

    async def body(held: Any) -> None:
        try:
            await asyncio.sleep(LONG)
            went_on.append(True)
        finally:
            with pytest.raises(LeaseHeld):
                held.check()

    with pytest.raises(LeaseHeld, match="lost"):
        hold(leases, body)
    assert (went_on, leases.released) == ([], 1)


def test_a_busy_database_is_asked_again() -> None:
    leases = Leases(StateFault("busy"), StateFault("busy"))

    async def body(held: Any) -> bool:
        came = await asyncio.to_thread(leases.beaten.wait, LONG)
        held.check()
        return came

    assert hold(leases, body)
    assert leases.released == 1


def test_a_failing_release_does_not_hide_what_failed_before() -> None:
    leases = Leases(release=StateFault("busy"))

    async def body(held: Any) -> None:
        raise Conflict("moved")

    with pytest.raises(Conflict, match="moved"):
        hold(leases, body)
    assert leases.released == 1


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Mirror]:
    with upstream() as index:
        index.release("alpha", "1.0")
        yield Mirror(tmp_path, remote(index.url), repository(), publication())


def lose(monkeypatch: pytest.MonkeyPatch, name: str, arrived: threading.Event) -> threading.Event:
    """Heartbeats of the lease `name` find it taken over from when the run has arrived; the event
    says that one has.
    """
    lost = threading.Event()
    beat = Writer.heartbeat

    def heartbeat(self: Writer, held: Lease, now: datetime) -> None:
        if held.name == name and arrived.is_set():
            lost.set()
            raise LeaseHeld("the lease was lost")
        beat(self, held, now)

    monkeypatch.setattr(Writer, "heartbeat", heartbeat)
    return lost


def test_a_repository_whose_lease_is_lost_gets_no_version(
    site: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = threading.Event()
    lose(monkeypatch, "repository/team", arrived)
    commit = ContentSync.commit

    async def slow(self: ContentSync, *words: Any) -> CommitResult:
        arrived.set()
        await asyncio.sleep(LONG)
        return await commit(self, *words)

    monkeypatch.setattr(ContentSync, "commit", slow)
    done = site.apply()
    assert done.code == 1
    assert "repository/team: failed: the lease was lost" in done.out
    assert site.version()[0] == 0


def test_a_publication_whose_lease_is_lost_is_not_pointed_to(
    site: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that renders cannot be cancelled; it must not point once the loop knows."""
    arrived = threading.Event()
    lost = lose(monkeypatch, "publication/team", arrived)
    check = lease.HeldLease.check

    def when_known(self: lease.HeldLease) -> None:
        assert lost.wait(LONG)
        while self._lost is None:
            pass
        check(self)

    monkeypatch.setattr(lease.HeldLease, "check", when_known)
    listen(lambda passed: arrived.set() if passed is Checkpoint.PUBLICATION_COMPLETE else None)
    done = site.apply()
    assert done.code == 1
    assert "publication/team: failed: the lease was lost" in done.out
    with site.home.database() as database:
        assert database.reader().served() == []
