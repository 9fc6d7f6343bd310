"""First sights: moments that date artifacts of which upstream states no upload time.

What is recorded counts. What was never seen is seen now: a plan decides by that, and the apply that
carries it out records it, even if it changes nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from threading import Lock

from reconciler.database import Reader, Writer
from reconciler.model import Digest


class FirstSights:
    """First sights as one plan finds them, and the apply that follows. Thread-safe."""

    def __init__(self) -> None:
        self._new: dict[Digest, datetime] = {}
        self._lock = Lock()

    def begin(self) -> None:
        """Start another plan: what was new to the last one, and not recorded, was not seen."""
        with self._lock:
            self._new.clear()

    def moments(
        self, reader: Reader, digests: Collection[Digest], now: datetime
    ) -> dict[Digest, datetime]:
        """Return when each of the artifacts was first seen; `now` for those never seen."""
        known = reader.first_sights(digests)
        with self._lock:
            return {
                digest: known[digest] if digest in known else self._new.setdefault(digest, now)
                for digest in digests
            }

    def record(self, writer: Writer) -> None:
        """Record what was new."""
        with self._lock:
            new, self._new = self._new, {}
        if new:
            writer.record_first_sights(new)
