"""Bytes that the database says are stored: looked at where something begins to rely on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from reconciler.database import Writer
from reconciler.errors import StateFault
from reconciler.model import Digest
from reconciler.store import Store

MISSING = "missing"
OTHER_SIZE = "truncated or lengthened"
CHANGED = "changed"

MAX_LISTED = 3  # digests that a message names


class DamagedBytes(StateFault):
    """Bytes that something relies on are damaged: `problems` by digest."""

    def __init__(self, problems: Mapping[Digest, str]) -> None:
        self.problems = problems
        listed = ", ".join(digest.short for digest in sorted(problems)[:MAX_LISTED])
        more = len(problems) - MAX_LISTED
        super().__init__(
            f"bytes are missing from the store, or damaged there: {listed}"
            + (f" and {more} more" if more > 0 else ""),
            hint="`reconciler repair` fetches them again",
        )


def problem_of(store: Store, digest: Digest, size: int) -> str:
    """Return what is wrong with stored bytes, by one look at them; empty if nothing is."""
    try:
        return "" if store.size(digest) == size else OTHER_SIZE
    except StateFault:
        return MISSING


def reliable_sizes(
    store: Store, writer: Writer, digests: Iterable[Digest], *, now: datetime
) -> dict[Digest, int]:
    """Return the sizes of those of `digests` that are stored, as recorded and in fact.

    They count as used from now on. What is missing, or has another size, is recorded as damage.
    """
    reliable, problems = {}, {}
    for digest, size in writer.stored_sizes(digests).items():
        actual = store.claim(digest)
        if actual == size:
            reliable[digest] = size
        else:
            problems[digest] = MISSING if actual is None else OTHER_SIZE
    record_damage(store, writer, problems, now=now)
    return reliable


def check_sizes(store: Store, sizes: Iterable[tuple[Digest, int]]) -> None:
    """Raise DamagedBytes where bytes are missing or have another size than recorded."""
    problems = {
        digest: problem for digest, size in sizes if (problem := problem_of(store, digest, size))
    }
    if problems:
        raise DamagedBytes(problems)


def record_damage(
    store: Store, writer: Writer, problems: Mapping[Digest, str], *, now: datetime
) -> None:
    """Set damaged bytes aside and record the damage.

    What is whole by now, since another process has just stored it, is recorded as stored.
    """
    whole = {digest for digest in problems if store.verify(digest)}
    if whole:
        store.sync()
    for digest in whole:
        writer.artifact_stored(digest, store.size(digest))
    if left := {digest: problem for digest, problem in problems.items() if digest not in whole}:
        writer.record_damage(left, now)
