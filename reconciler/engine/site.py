"""What every step of an execution shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.database import Writer
from reconciler.engine.bringing import InFlight
from reconciler.engine.conduits import Watch, unwatched
from reconciler.engine.measuring import Measuring
from reconciler.engine.places import Places
from reconciler.engine.progress import Progress
from reconciler.engine.remotes import Remotes
from reconciler.plugin import Registry
from reconciler.store import Store


@dataclass(frozen=True, slots=True)
class Site:
    """The rooms of one home, open for writing. `watch`: looks after foreign code in worker threads."""

    writer: Writer
    store: Store
    registry: Registry
    remotes: Remotes
    progress: Progress
    clock: Callable[[], datetime]
    places: Places
    measuring: Measuring
    watch: Watch = unwatched
    in_flight: InFlight = field(default_factory=InFlight)
