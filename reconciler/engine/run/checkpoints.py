"""The named steps of an apply, announced as they happen.

Fault tests end the process at each of them; nothing in the product listens. The order in which an
apply passes them is the order of writes (invariant 1): bytes, rows, pointer.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Checkpoint(StrEnum):
    PAGE_READ = "page read"
    LEASE_TAKEN = "lease taken"
    BYTES_WRITTEN = "bytes written"
    ROWS_STAGED = "rows staged"
    BEFORE_FLIP = "before the flip"
    AFTER_FLIP = "after the flip"
    PAGE_RENDERED = "page rendered"
    PUBLICATION_COMPLETE = "publication complete"
    POINTER_SET = "pointer set"
    EXPORT_SWITCHED = "export tree switched"
    OUTCOME_RECORDED = "outcome recorded"


_listeners: list[Callable[[Checkpoint], None]] = []


def listen(listener: Callable[[Checkpoint], None]) -> None:
    """Have `listener` called, in whatever thread the step happens, at every step from now on."""
    _listeners.append(listener)


def reached(step: Checkpoint) -> None:
    """Announce a step. Costs nothing when nobody listens."""
    for listener in _listeners:
        listener(step)
