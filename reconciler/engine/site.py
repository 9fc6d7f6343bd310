"""What every step of an execution shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.database import Writer
from reconciler.engine.progress import Progress
from reconciler.engine.remotes import Remotes
from reconciler.engine.sync import InFlight
from reconciler.plugin import Registry
from reconciler.store import Store


@dataclass(frozen=True, slots=True)
class Site:
    """The rooms of one home, open for writing."""

    writer: Writer
    store: Store
    registry: Registry
    remotes: Remotes
    progress: Progress
    clock: Callable[[], datetime]
    in_flight: InFlight = field(default_factory=InFlight)
