"""Recording of uploads and removals: bytes, then rows, then one version that refers to them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Sequence

from reconciler.database import CommittedGroup, StagedGroup, StagedMember
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.marked_groups import UPLOADS_BASIS
from reconciler.engine.sources.source_responses import BY_SOURCE
from reconciler.engine.transfer.artifact_fetcher import BLOCK, ArtifactFetcher, InFlight
from reconciler.engine.transfer.stored_bytes import reliable_sizes
from reconciler.engine.transfer.transfer_warnings import TransferWarnings
from reconciler.engine.uploads.removed_names import manual_changes
from reconciler.engine.uploads.sent_files import SentFiles
from reconciler.engine.uploads.upload_target import GroupChanges, UploadTarget
from reconciler.errors import Conflict
from reconciler.model import (
    UPLOAD,
    CheckedTree,
    Digest,
    StoredUnit,
    Unit,
    UploadTotals,
    artifact_digest,
    group_digest,
)
from reconciler.plan import REMOVE
from reconciler.plugin import UploadedFile


def record_units(
    session: WritingSession,
    target: UploadTarget,
    groups: Sequence[GroupChanges],
    *,
    files: SentFiles,
) -> None:
    """Store the bytes of an upload durably, then write rows that refer to them."""
    fetcher = ArtifactFetcher(
        session.store,
        session.registry,
        {},
        in_flight=InFlight(),
        here=files,
        progress=lambda size: None,
        warnings=TransferWarnings(),
        watch=session.watch,
    )
    sizes = asyncio.run(_fetch(session, fetcher, target, groups=groups))
    if sizes:
        session.store.sync()
    target.writer.record_units({group.name: group.arriving for group in groups}, sizes)


def commit(
    session: WritingSession,
    target: UploadTarget,
    groups: Sequence[GroupChanges],
    *,
    scratchpads: ScratchpadSession,
    principal: str,
    tree: CheckedTree | None,
) -> int:
    """Commit the changes as one version and return its number.

    Raises:
        Conflict: A group was changed meanwhile, or a file came in that cannot lie in one `tree`
            with what was sent; with `retry_after`, so that the upload is decided again.
        QuotaExceeded: More is uploaded than may be.
    """
    plugin = {"id": target.plugin.id, "version": target.plugin.distribution_version}
    with target.writer.stage(target.actual.id, session.clock()) as stage:
        stage.add(
            [_staged_group(group) for group in groups],
            [member for group in groups for member in _staged_members(group)],
        )
        try:
            return stage.commit(
                {"principal": principal, "plugin": plugin},
                {},
                session.clock(),
                scratchpads=scratchpads.written,
                seen=scratchpads.seen,
                tree=tree,
                manual=manual_changes(groups, principal, session.clock()),
                quota=target.repository.quota,
            ).number
        except Conflict as error:
            raise Conflict(error.message, hint=error.hint, retry_after=1) from None


def check_quota(target: UploadTarget, groups: Sequence[GroupChanges]) -> None:
    """Raise QuotaExceeded before bytes are stored that could not be kept.

    Another upload may come in between: the commit counts again.
    """
    quota = target.repository.quota
    if quota is not None:
        held = target.writer.upload_totals(target.actual.id)
        quota.check(held, UploadTotals(*map(sum, zip(*map(_growth, groups), strict=True))))


def _growth(group: GroupChanges) -> tuple[int, int]:
    """Return how many files and bytes a group's uploads grow by."""
    sizes = {member.digest: _size(member.unit) for member in group.before}
    leaving = [
        digest
        for line in group.lines
        if (digest := line.digest if line.op == REMOVE else line.before) is not None
    ]
    came = sum(_size(unit.unit) for unit in group.arriving)
    return len(group.arriving) - len(leaving), came - sum(sizes.get(each, 0) for each in leaving)


def _size(unit: Unit | StoredUnit) -> int:
    return sum(artifact.size or 0 for artifact in unit.artifacts)


def restore_bytes(session: WritingSession, file: UploadedFile) -> None:
    """Store the bytes of a file that is held already, if they are known to be damaged."""
    digest = Digest.parse(file.sha256)
    if all(record.digest != digest for record in session.writer.damage()):
        return
    incoming = session.store.incoming()
    try:
        with file.path.open("rb") as stream:
            shutil.copyfileobj(stream, incoming, BLOCK)
        incoming.keep(digest)
    finally:
        incoming.discard()
    session.store.sync()
    session.writer.artifact_stored(digest, file.size)


async def _fetch(
    session: WritingSession,
    fetcher: ArtifactFetcher,
    target: UploadTarget,
    *,
    groups: Sequence[GroupChanges],
) -> dict[Digest, int]:
    """Bring the artifacts into the store; return the sizes of those that were not there."""
    sizes: dict[Digest, int] = {}
    for line in (line for group in groups for line in group.lines):
        wanted = {artifact_digest(artifact) for artifact in line.artifacts}
        stored = reliable_sizes(session.store, target.writer, wanted, now=session.clock())
        result = await fetcher.fetch(UPLOAD, line, frozenset(stored))
        sizes.update(result.sizes)
    return sizes


def _staged_group(group: GroupChanges) -> StagedGroup:
    """Return the group's new state; uploads own its name as long as they hold something in it."""
    left = {member.digest for member in group.before if member.source == UPLOAD} - {
        line.digest for line in group.lines if line.op == REMOVE
    }
    before = group_digest(member.digest for member in group.before) if group.before else None
    committed = (
        CommittedGroup(group.name, BY_SOURCE, UPLOADS_BASIS) if left or group.arriving else None
    )
    return StagedGroup(group.name, UPLOAD, before, committed)


def _staged_members(group: GroupChanges) -> Iterator[StagedMember]:
    for line in group.lines:
        leaving = line.digest if line.op == REMOVE else line.before
        if leaving:
            yield StagedMember(group.name, leaving, UPLOAD, joins=False)
        if line.op != REMOVE and line.digest:
            yield StagedMember(group.name, line.digest, UPLOAD, joins=True)
