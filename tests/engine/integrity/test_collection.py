"""`gc` removes what no version needs, and nothing that anything relies on, or is about to."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.cli import collection
from reconciler.engine.integrity.collection import Collected, Collection
from reconciler.engine.run import checkpoints
from reconciler.engine.run.checkpoints import Checkpoint, listen
from reconciler.errors import GuardRefusal, LeaseHeld
from reconciler.model import Digest
from tests.engine.integrity.test_damage import ONE, TWO, flip, hurt
from tests.support.rehearsal import Rehearsal, copy, publication, rehearsal, repository

DAY = timedelta(days=1)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setattr(checkpoints, "_listeners", [])
    with rehearsal(tmp_path) as site:
        site.now = datetime.now(UTC)
        site.says("a", site.file("one"), site.file("two"))
        site.declare(site.remote(), repository(), publication())
        site.applied()
        yield site


async def collect(site: Rehearsal, *, grace: timedelta, **how: bool) -> Collected:
    async with site.engine(writes=True) as engine:
        return await engine.collect(**{"dry_run": False, **how}, grace=grace)


def collected(site: Rehearsal, grace: timedelta = DAY, *, dry_run: bool = False) -> Collected:
    return asyncio.run(collect(site, grace=grace, dry_run=dry_run))


def stray(site: Rehearsal, data: bytes = b"stray", age: timedelta = 2 * DAY) -> Path:
    """Store bytes that no row refers to."""
    store = site.home.store()
    store.put(data, Digest.of(data))
    path = store.path(Digest.of(data))
    used_at = time.time() - age.total_seconds()
    os.utime(path, (used_at, used_at))
    return path


def age_all(site: Rehearsal) -> None:
    for file in site.home.store().files():
        path = site.home.store().path(file.digest)
        os.utime(path, (1, 1))


def test_every_version_keeps_what_it_holds(site: Rehearsal) -> None:
    site.says("a", site.file("two"))
    site.applied()
    age_all(site)
    assert collected(site, timedelta(0)).files == 0
    assert site.has(ONE), "version 1 holds it"


def test_what_no_version_needs_goes_once_it_is_old(site: Rehearsal) -> None:
    old, young = stray(site), stray(site, b"young", timedelta(0))
    counted = collected(site, dry_run=True)
    assert (counted.files, counted.size, counted.young) == (1, 5, 1)
    assert old.exists()
    assert collected(site) == counted
    assert not old.exists()
    assert young.exists()
    assert site.has(TWO)


def test_what_a_removed_repository_held_goes_and_can_come_back(site: Rehearsal) -> None:
    site.declare(site.remote())
    site.applied(prune=True)
    age_all(site)
    result = collected(site)
    assert (result.files, result.pages) == (2, 1)
    assert list(site.home.store().files()) == []
    site.declare(site.remote(), repository(), publication())
    site.applied()
    assert site.get("/team/a/one")[0].body == ONE


def test_damaged_bytes_and_leftovers_go_as_well(site: Rehearsal) -> None:
    hurt(site, flip)
    site.get("/team/a/one")
    site.applied()
    assert collected(site).damaged == 0, "kept for a day, to be looked at"
    leftover = site.home.root / "cache" / "pages" / "ab" / f"{'0' * 62}.77.1"
    leftover.parent.mkdir(parents=True, exist_ok=True)
    leftover.write_bytes(b"half a page")
    os.utime(leftover, (1, 1))
    site.now += 2 * DAY
    result = collected(site)
    assert (result.damaged, result.leftovers) == (1, 1)
    assert not leftover.exists()


@pytest.mark.parametrize("step", [Checkpoint.BYTES_WRITTEN, Checkpoint.ROWS_STAGED])
def test_a_running_apply_keeps_bytes_that_no_row_refers_to_yet(
    site: Rehearsal, step: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """Found in the store, or just written: with any grace, and at any moment of the run."""
    stray(site, b"three" * 10, 400 * DAY)
    site.says("b", site.file("three"), site.file("four"))
    collections: list[Collected] = []

    def collect_meanwhile(reached: Checkpoint) -> None:
        if reached is not step:
            return
        with site.home.database(read_only=False) as database:
            collection = Collection(
                database.writer(),
                site.home.store(),
                site.folder,
                grace=timedelta(0),
                now=datetime.now(UTC),
                dry_run=False,
            )
            collections.append(collection.run())

    listen(collect_meanwhile)
    site.applied()
    assert collections
    assert "damaged" not in caplog.text
    assert [answer.status for answer in site.get("/team/b/three", "/team/b/four")] == [200, 200]


def test_what_a_copy_relies_on_counts_as_used(site: Rehearsal) -> None:
    age_all(site)
    before = {file.digest: file.used_at for file in site.home.store().files()}
    site.declare(site.remote(), repository(), publication(), repository("stage", copy()))
    site.applied()
    after = {file.digest: file.used_at for file in site.home.store().files()}
    assert all(after[digest] > before[digest] for digest in before)


def test_a_database_that_knows_few_of_the_files_is_probably_the_wrong_one(
    site: Rehearsal,
) -> None:
    """A state that was begun afresh beside a full store must not empty it."""
    for number in range(10):
        stray(site, b"stray %d" % number)
    with pytest.raises(GuardRefusal, match="knows nothing of 10 of the 12 files"):
        collected(site)
    assert len(list(site.home.store().files())) == 12
    assert asyncio.run(collect(site, grace=DAY, allow_destroy=True)).files == 10


def test_one_collection_at_a_time(site: Rehearsal) -> None:
    with site.home.database(read_only=False) as database:
        database.writer().acquire("collection", ttl_seconds=60, now=site.now)
        with pytest.raises(LeaseHeld):
            collected(site)


@pytest.mark.parametrize(
    ("result", "dry_run", "lines"),
    [
        (Collected(), False, ["nothing to remove"]),
        (Collected(), True, ["nothing would be removed"]),
        (
            Collected(young=2),
            False,
            ["2 files that no version needs: kept, too young", "nothing to remove"],
        ),
        (Collected(pages=1), False, ["1 page that no publication shows: removed"]),
        (
            Collected(files=2, size=9, leftovers=1),
            True,
            [
                "2 files that no version needs: 9 bytes would be removed",
                "1 leftover of runs that ended: would be removed",
            ],
        ),
    ],
)
def test_what_is_not_there_has_no_line(result: Collected, dry_run: bool, lines: list[str]) -> None:
    """Kind: words about zero things."""
    assert collection.lines(result, dry_run=dry_run) == lines
