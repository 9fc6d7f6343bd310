"""Release of one publication: its version is rendered, pointed to and exported.

A publication is released under a lease of its own: two runs that wrote one export tree would mix
what they show.
"""

from __future__ import annotations

import logging
from functools import partial

from reconciler.engine.publishing.dropped_files import settle_dropped_files
from reconciler.engine.publishing.exports import export, has_outlived_files
from reconciler.engine.publishing.release_target import (
    ReleasePolicy,
    ReleaseTarget,
    release_target,
)
from reconciler.engine.publishing.render import render
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.engine.run.lease import HeldLease, leased
from reconciler.engine.session.session import WritingSession
from reconciler.engine.transfer.stored_bytes import check_sizes
from reconciler.errors import Conflict
from reconciler.model import ActualState, Publication
from reconciler.retrying import RetryPolicy

# A scratchpad that the publisher read and wrote may be written over meanwhile.
RENDERING = RetryPolicy(
    attempts=3, first_delay=0.0, retry_if=lambda error: isinstance(error, Conflict)
)

logger = logging.getLogger(__name__)


async def release_publication(
    session: WritingSession, publication: Publication, actual: ActualState, *, policy: ReleasePolicy
) -> str:
    """Serve and export the declared version of a publication.

    Args:
        actual: The state once the repositories of the run were synced.

    Returns:
        What was done, in one line; empty when nothing had to be done.

    Raises:
        DamagedBytes: Files that it shows, or an export is given, are damaged.
        GuardRefusal: The guard of the repository forbids it.
        LeaseHeld: Another run releases the same publication.
    """
    target: ReleaseTarget = await session.in_thread(
        partial(release_target, session, publication, actual, policy=policy)
    )
    await session.in_thread(partial(session.first_sights.record, session.writer))
    outlived = partial(has_outlived_files, now=session.clock())
    if target.served and target.filters_recorded and not any(map(outlived, publication.exports)):
        return ""
    async with leased(
        session.writer, str(publication.meta.ref), session.clock, patience=session.patience
    ) as lease:
        logger.debug("%s: lease taken", publication.meta.ref)
        message: str = await session.in_thread(
            partial(_release, session, target, policy, lease=lease)
        )
    return message


def _release(
    session: WritingSession, planned: ReleaseTarget, policy: ReleasePolicy, *, lease: HeldLease
) -> str:
    """Carry the release out under the lease."""
    target = _current_target(session, planned, policy)
    target.raise_refusal()
    if target.differs:
        _render_and_point(session, target, lease, policy=policy)
    elif not target.filters_recorded:
        settle_dropped_files(session, target, policy=policy)
        _judge(session, target)
    exported = _export(session, target, lease)
    served = [_served_message(target)] if target.differs else []
    return ", ".join(served + [f"exported to {path}" for path in exported])


def _judge(session: WritingSession, target: ReleaseTarget) -> None:
    """Record a new verdict of the filters that withholds what is withheld already."""
    current, units = target.current, target.filtered.units or {}
    recorded = session.writer.withheld(current.id, current.number) if units else {}
    reasons = {
        digest: unit.reason
        for digest, unit in units.items()
        if digest in recorded and recorded[digest].reason != unit.reason
    }
    session.writer.judge(current.id, current.number, target.filtered.summary, reasons=reasons)


def _current_target(
    session: WritingSession, planned: ReleaseTarget, policy: ReleasePolicy
) -> ReleaseTarget:
    """Return `planned`, or a new target where another run has released meanwhile.

    Without that a run that waited for the lease could go back to an older version.
    """
    current = planned.current
    record = session.writer.publication(current.id)
    if current.version is None:
        unchanged = record is None
    else:
        unchanged = record is not None and record.digest == current.digest
    if unchanged:
        return planned
    logger.debug("%s: released by another run meanwhile", planned.publication.meta.ref)
    return release_target(
        session, planned.publication, session.writer.actual_state(), policy=policy
    )


def _render_and_point(
    session: WritingSession, target: ReleaseTarget, lease: HeldLease, *, policy: ReleasePolicy
) -> None:
    """Point to the target; render it first unless it is the last complete publication.

    Raises DamagedBytes, unless that is known, where files that it shows anew are damaged.
    """
    last = session.writer.last_complete(target.current.id)
    rendered = (
        last is not None and last.digest == target.digest and last.version == target.version.number
    )
    if last is None or not rendered:
        last = RENDERING.run_blocking(partial(render, session, target))
    if not policy.damage_known:
        appeared = session.writer.appeared_artifacts(target.current.id, last.number)
        check_sizes(session.store, appeared)
    lease.check()
    settle_dropped_files(session, target, policy=policy)
    session.writer.point(target.current.id, last.number, session.clock())
    logger.debug("%s: pointer set to number %d", target.publication.meta.ref, last.number)
    reached(Checkpoint.POINTER_SET)


def _export(session: WritingSession, target: ReleaseTarget, lease: HeldLease) -> list[str]:
    """Bring every export to what is served; return those that were written."""
    record = session.writer.publication(target.current.id)
    assert record is not None
    written = []
    for path in target.publication.exports:
        lease.check()
        if export(
            session.reader,
            session.store,
            target.current.id,
            record=record,
            directory=path,
            now=session.clock(),
            grace=target.publication.grace,
            base_url=target.publication.base_url,
        ):
            logger.debug("%s: exported to %s", target.publication.meta.ref, path)
            written.append(path)
    return written


def _served_message(target: ReleaseTarget) -> str:
    publication, withheld = target.publication, target.filtered.summary.units
    message = f"serves version {target.version.number} of {publication.repository}"
    message += f" at /{publication.path}/"
    return f"{message} without {withheld} that filters withhold" if withheld else message
