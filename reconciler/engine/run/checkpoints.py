"""Checkpoints of an apply, announced as they are passed.

The order in which an apply passes them is the order of writes (invariant 1): bytes, rows, pointer.
Fault tests end the process at each of them; nothing in the product listens.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Checkpoint(StrEnum):
    """A moment in an apply at which a crash must leave nothing false."""

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
    """Call `listener` at every checkpoint from now on, in the thread that passes it."""
    _listeners.append(listener)


def reached(checkpoint: Checkpoint) -> None:
    """Announce a checkpoint. Costs nothing without listeners."""
    for listener in _listeners:
        listener(checkpoint)
