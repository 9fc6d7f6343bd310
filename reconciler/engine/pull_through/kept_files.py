"""Files that were fetched for clients: of those that no version holds, so many bytes stay."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from reconciler.database import PulledFile, Writer
from reconciler.engine.pull_through.targets import PullTarget
from reconciler.model import Digest, pluralize
from reconciler.store import LocalStore

REMEMBERED = 5_000  # files that were used since the last record

logger = logging.getLogger(__name__)


class KeptFiles:
    """Remembers which files clients ask for, and removes those asked for longest ago."""

    def __init__(
        self, writer: Callable[[], Writer], store: LocalStore, clock: Callable[[], datetime]
    ) -> None:
        self._writer = writer
        self._store = store
        self._clock = clock
        self._used: dict[str, dict[Digest, PulledFile]] = {}

    def used(self, publication: str, digest: Digest, size: int) -> None:
        """Note that a client asked for a file. Costs nothing, for it happens with each request."""
        files = self._used.setdefault(publication, {})
        if len(files) < REMEMBERED or digest in files:
            files[digest] = PulledFile(digest, size, self._clock())

    def settle(self, target: PullTarget) -> None:
        """Record what was used, and remove what is too much. Call it in a worker thread."""
        used, id_ = self._used.pop(target.name, {}), target.shown.id
        if not used:
            return
        self._writer().pulled_used(id_, used.values())
        if self._writer().pulled_size(id_) > target.pull.max_size:
            self._evict(target)

    def _evict(self, target: PullTarget) -> None:
        """Remove files that no version holds; the file goes first, then what calls it stored."""
        loose = self._writer().loose_files(target.shown.id)
        excess = sum(file.size for file in loose) - target.pull.max_size
        removed: list[Digest] = []
        for file in loose:
            if excess <= 0:
                break
            if self._store.remove(file.digest, self._clock().timestamp()):
                removed.append(file.digest)
                excess -= file.size
        self._writer().forget_pulled_files(target.shown.id, removed)
        if removed:
            logger.info("%s: %s removed", target.name, pluralize(len(removed), "fetched file"))
