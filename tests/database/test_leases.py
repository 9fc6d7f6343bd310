"""One worker per name; a dead one does not block, a living one is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from reconciler.database import Writer, schema
from reconciler.errors import LeaseHeld
from reconciler.process_identity import Process, this_process
from tests.support.databases import NOW, created_repository, database

_HOLDER = """
import sys, time
from datetime import datetime
from reconciler.database import Database
writer = Database(sys.argv[1]).open(read_only=False).writer()
now = datetime.fromisoformat(sys.argv[2])
print(writer.acquire("repository/team", ttl_seconds=3600, now=now).epoch, flush=True)
time.sleep(600)
"""


def test_a_lease_is_held_until_released_and_says_by_whom(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        first = writer.acquire("repository/team", ttl_seconds=30, now=NOW)
        with pytest.raises(LeaseHeld) as refusal:
            writer.acquire("repository/team", ttl_seconds=30, now=NOW + timedelta(seconds=29))
        me = this_process()
        for part in ("repository/team", str(me.pid), me.host, "2026-11-21 12:00:00"):
            assert part in refusal.value.message
        assert writer.acquire("repository/other", ttl_seconds=30, now=NOW).epoch == 1
        writer.release(first)
        writer.release(first)
        assert writer.acquire("repository/team", ttl_seconds=30, now=NOW).epoch == first.epoch + 1


def test_a_silent_holder_loses_its_lease_and_learns_it(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        first = writer.acquire("team", ttl_seconds=30, now=NOW)
        writer.heartbeat(first, NOW + timedelta(seconds=20))
        with pytest.raises(LeaseHeld):
            writer.acquire("team", ttl_seconds=30, now=NOW + timedelta(seconds=49))
        second = writer.acquire("team", ttl_seconds=30, now=NOW + timedelta(seconds=50))
        assert second.epoch > first.epoch
        with pytest.raises(LeaseHeld, match="lost"):
            writer.heartbeat(first, NOW + timedelta(seconds=51))
        writer.release(first)
        writer.heartbeat(second, NOW + timedelta(seconds=52))


def test_the_lease_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        command = [sys.executable, "-c", _HOLDER, f"sqlite:///{tmp_path}/state.db", NOW.isoformat()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "1\n"
            with pytest.raises(LeaseHeld, match=str(holder.pid)):
                opened.writer().acquire("repository/team", ttl_seconds=30, now=NOW)
            os.kill(holder.pid, signal.SIGKILL)
            os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet reaped
            assert opened.writer().acquire("repository/team", ttl_seconds=30, now=NOW).epoch == 2


def _pretend(writer: Writer, **columns: object) -> None:
    with writer._writing.begin() as session:
        session.execute(update(schema.lease).values(**columns))


def test_a_process_number_that_was_given_out_again_does_not_keep_a_lease(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        writer.acquire("team", ttl_seconds=30, now=NOW)
        _pretend(writer, process_start=this_process().start + "0")
        assert writer.acquire("team", ttl_seconds=30, now=NOW).epoch == 2


def test_a_host_that_was_renamed_is_known_by_its_boot(tmp_path: Path) -> None:
    """A container gets another host name with each start, and its lease must not stay."""
    with database(tmp_path) as opened:
        writer = opened.writer()
        writer.acquire("team", ttl_seconds=30, now=NOW)
        _pretend(writer, host="before", pid=2**22 + 1)
        assert writer.acquire("team", ttl_seconds=30, now=NOW).epoch == 2


def test_a_process_of_another_host_is_never_believed_dead(tmp_path: Path) -> None:
    with database(tmp_path) as opened:
        writer = opened.writer()
        writer.acquire("team", ttl_seconds=30, now=NOW)
        _pretend(writer, host="elsewhere", pid=2**22 + 1, process_start="another boot/1/1")
        with pytest.raises(LeaseHeld, match="elsewhere"):
            writer.acquire("team", ttl_seconds=30, now=NOW)
        boot, namespace, start = this_process().start.split("/")
        for stranger in (f"{boot}/1/{start}", f"1/{namespace}/{start}", f"{namespace}/{start}", ""):
            unknown = Process(this_process().host, 2**22 + 1, stranger)
            assert not unknown.gone, "of another container, boot or release"
            assert not unknown.alive
        assert Process(this_process().host, 2**22 + 1, this_process().start).gone


@pytest.mark.parametrize(
    ("begun", "leased", "left"),
    [
        (timedelta(hours=23), False, 1),
        (timedelta(hours=25), False, 0),
        (timedelta(days=9), True, 1),
    ],
    ids=["young", "old", "leased"],
)
def test_what_an_unknown_process_had_staged_goes_after_a_day_unless_it_holds_a_lease(
    tmp_path: Path, begun: timedelta, leased: bool, left: int
) -> None:
    """Rows of other host names must not stay for ever, and not vanish under a long import."""
    with database(tmp_path) as opened:
        writer = opened.writer()
        repository_id = created_repository(writer)
        writer.stage(repository_id, NOW - begun)
        if leased:
            writer.acquire("repository/team", ttl_seconds=60, now=NOW)
        stranger = {"host": "gone", "pid": 7, "process_start": "another boot/1/1"}
        with writer._writing.begin() as session:
            session.execute(update(schema.stage).values(**stranger))
            session.execute(update(schema.lease).values(**stranger))
        writer.stage(repository_id, NOW).discard()
        with writer._writing.connect() as session:
            assert len(session.execute(select(schema.stage.c.id)).all()) == left
