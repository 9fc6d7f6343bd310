"""The one object that everything in a run shares."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from reconciler.database import Reader, Writer
from reconciler.engine.plugin_calls.call_timeouts import CallLimits, CallTimeouts
from reconciler.engine.plugin_calls.conduits import CallWatch, unwatched
from reconciler.engine.plugin_calls.workdirs import Workdirs
from reconciler.engine.run.fingerprints import SecretFingerprints
from reconciler.engine.run.first_sights import FirstSights
from reconciler.engine.run.lease import NO_PATIENCE, LeasePatience
from reconciler.engine.run.progress import Progress, SilentProgress
from reconciler.engine.session.home import Home
from reconciler.engine.transfer.artifact_fetcher import InFlight
from reconciler.engine.transfer.measurements import Measurements
from reconciler.engine.transfer.remotes import Remotes
from reconciler.plugin.registry import Registry
from reconciler.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Open resources of one run, for reading.

    Planning and explaining take a `Session`: they cannot write.

    Attributes:
        reader: The database, read-only.
        clock: The present moment, timezone-aware; asked anew for every record.
        now: The moment that the run decides by, fixed when the session was made.
        watch: Context manager around plugin code in worker threads.
        in_thread: Runs a function that calls plugin code in a worker thread.
        in_flight: Artifacts that are being fetched right now, by any repository of the run.
        first_sights: When artifacts were first seen that have no date of their own.
        patience: How long the run waits for leases of others.
        secrets: Fingerprints of secrets, under the key of the home.
    """

    reader: Reader
    store: Store
    registry: Registry
    remotes: Remotes
    workdirs: Workdirs
    measurements: Measurements
    clock: Callable[[], datetime]
    now: datetime
    progress: Progress = field(default_factory=SilentProgress)
    call_timeouts: CallTimeouts = field(default_factory=lambda: CallTimeouts(CallLimits()))
    watch: CallWatch = unwatched
    in_thread: Callable[..., Awaitable[Any]] = asyncio.to_thread
    in_flight: InFlight = field(default_factory=InFlight)
    first_sights: FirstSights = field(default_factory=FirstSights)
    patience: LeasePatience = NO_PATIENCE
    secrets: SecretFingerprints = field(default_factory=SecretFingerprints)

    def for_writing(self, writer: Writer) -> WritingSession:
        """Return the same session, with `writer` as its database."""
        shared = {name.name: getattr(self, name.name) for name in fields(self)}
        return WritingSession(**{**shared, "reader": writer}, writer=writer)


def reading_session(
    home: Home,
    registry: Registry,
    reader: Reader,
    *,
    remotes: Remotes,
    clock: Callable[[], datetime],
) -> Session:
    """Return a session of a server, which reads and belongs to no run."""
    return Session(
        reader=reader,
        store=home.store(),
        registry=registry,
        remotes=remotes,
        workdirs=home.workdirs(),
        measurements=Measurements(),
        clock=clock,
        now=clock(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingSession(Session):
    """A session that may write: applying, publishing and uploads take this type.

    Attributes:
        writer: The same database as `reader`, for writing.
    """

    writer: Writer
