"""What every step of an execution shares."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.database import Writer
from reconciler.engine.plugin_calls.conduits import Watch, unwatched
from reconciler.engine.plugin_calls.workdirs import Workdirs
from reconciler.engine.run.progress import Progress
from reconciler.engine.transfer.artifact_fetcher import InFlight
from reconciler.engine.transfer.measurements import Measurements
from reconciler.engine.transfer.remotes import Remotes
from reconciler.plugin.registry import Registry
from reconciler.store import Store


@dataclass(frozen=True, slots=True)
class Site:
    """The rooms of one home, open for writing. `watch`: looks after foreign code in worker threads.
    `in_thread`: calls what has some in it.
    """

    writer: Writer
    store: Store
    registry: Registry
    remotes: Remotes
    progress: Progress
    clock: Callable[[], datetime]
    places: Workdirs
    measuring: Measurements
    watch: Watch = unwatched
    in_thread: Callable[..., Awaitable[Any]] = asyncio.to_thread
    in_flight: InFlight = field(default_factory=InFlight)
