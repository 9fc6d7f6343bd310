"""Leases: one worker per name, with a heartbeat; taken over when the owner is gone."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, select, update

from reconciler.database.bulk import insert_for, overwriting, parameter
from reconciler.database.records import Lease
from reconciler.database.schema import lease
from reconciler.database.session import Reading, Writing
from reconciler.errors import LeaseHeld
from reconciler.process_identity import Process, this_process

_BY_NAME = select(lease).where(lease.c.name == bindparam("name")).with_for_update()
_MINE = (
    (lease.c.name == bindparam("lease_name"))
    & (lease.c.epoch == bindparam("lease_epoch"))
    & lease.c.host.is_not(None)
)
_BEAT = (
    update(lease)
    .where(_MINE)
    .values(
        heartbeat_at=parameter("now", lease.c.heartbeat_at),
        expires_at=parameter("expiry", lease.c.expires_at),
    )
)
_OLDEST = select(func.min(lease.c.acquired_at)).where(
    lease.c.host.is_not(None), lease.c.expires_at > parameter("now", lease.c.expires_at)
)
_RELEASE = update(lease).where(_MINE).values(host=None)


class LeaseReads(Reading):
    """Look at leases."""

    def oldest_lease(self, now: datetime) -> datetime | None:
        """Return since when the longest of all runs has been going on; None if there is none."""
        with self._reading.connect() as connection:
            return connection.execute(_OLDEST, {"now": now}).scalar()


class LeaseWrites(Writing):
    """Acquire, keep and release leases."""

    def acquire(self, name: str, *, ttl_seconds: float, now: datetime) -> Lease:
        """Acquire the lease `name`, with a greater epoch than ever before.

        Raises LeaseHeld naming the holder, unless the holder released it, has been silent for
        longer than its lease lasts, or is a process of this host that has ended.
        """
        me = this_process()
        with self._writing.begin() as connection:
            epoch = _epoch_of_free(connection, name, now) + 1
            row = {
                "name": name,
                "epoch": epoch,
                "host": me.host,
                "pid": me.pid,
                "process_start": me.start,
            }
            row |= {
                "acquired_at": now,
                "heartbeat_at": now,
                "expires_at": now + timedelta(seconds=ttl_seconds),
            }
            connection.execute(
                overwriting(
                    insert_for(connection.dialect.name, lease).values(row), ["name"], list(row)
                )
            )
        return Lease(name, epoch, ttl_seconds)

    def heartbeat(self, lease: Lease, now: datetime) -> None:
        """Renew a lease. Raises LeaseHeld when it was taken over or released."""
        expiry = now + timedelta(seconds=lease.ttl_seconds)
        values = {
            "lease_name": lease.name,
            "lease_epoch": lease.epoch,
            "now": now,
            "expiry": expiry,
        }
        with self._writing.begin() as connection:
            if connection.execute(_BEAT, values).rowcount != 1:
                raise LeaseHeld(
                    f"the lease `{lease.name}` was lost: another run has taken it over",
                    hint="run again once that one has ended",
                )

    def release(self, lease: Lease) -> None:
        """Release a lease; does nothing when it was lost before."""
        with self._writing.begin() as connection:
            connection.execute(_RELEASE, {"lease_name": lease.name, "lease_epoch": lease.epoch})


def _epoch_of_free(connection: Connection, name: str, now: datetime) -> int:
    row = connection.execute(_BY_NAME, {"name": name}).one_or_none()
    if row is None:
        return 0
    if (
        row.host is None
        or row.expires_at <= now
        or Process(row.host, row.pid, row.process_start).gone
    ):
        return int(row.epoch)
    raise LeaseHeld(
        f"the lease `{name}` is held by process {row.pid} on host `{row.host}` since"
        f" {row.acquired_at:%Y-%m-%d %H:%M:%S} UTC",
        hint=(
            f"last sign of life {row.heartbeat_at:%H:%M:%S} UTC; unless renewed it can be taken"
            f" over from {row.expires_at:%H:%M:%S} UTC on; `--lock-timeout 5m` waits"
        ),
    )
