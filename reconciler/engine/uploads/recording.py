"""Recording of uploads and removals: bytes, then rows, then one version that refers to them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from reconciler.database import CommittedGroup, ManualChanges, StagedGroup, StagedMember
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.marked_groups import UPLOADS_BASIS
from reconciler.engine.sources.source_responses import BY_SOURCE
from reconciler.engine.transfer.artifact_fetcher import BLOCK, ArtifactFetcher, InFlight
from reconciler.engine.transfer.stored_bytes import reliable_sizes
from reconciler.engine.transfer.transfer_warnings import TransferWarnings
from reconciler.engine.uploads.decided_changes import Decided, OvertakenError
from reconciler.engine.uploads.removed_names import manual_changes
from reconciler.engine.uploads.sent_files import SentFiles
from reconciler.engine.uploads.upload_target import GroupChanges, UploadTarget
from reconciler.errors import Conflict
from reconciler.model import (
    PULL_THROUGH,
    UPLOAD,
    CheckedTree,
    Digest,
    FileTree,
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


def commit_together(session: WritingSession, changes: Sequence[Decided]) -> list[int | Exception]:
    """Commit changes of one repository as one version.

    Return the version of each, or why it has none: OvertakenError where a change before it could
    alter its decision. Where the common commit fails each is committed alone, so that only the one
    at fault has its error.
    """
    outcomes: dict[int, int | Exception] = {
        number: change.target.actual.number
        for number, change in enumerate(changes)
        if not change.changes_content
    }
    waiting = [number for number in range(len(changes)) if number not in outcomes]
    chosen = independent_changes([changes[number] for number in waiting])
    together = [number for number, fits in zip(waiting, chosen, strict=True) if fits]
    outcomes |= zip(together, _outcomes(session, [changes[each] for each in together]), strict=True)
    for number in range(len(changes)):
        overtaken = OvertakenError("another upload to the same group was faster", retry_after=1)
        outcomes.setdefault(number, overtaken)
    return [outcomes[number] for number in range(len(changes))]


def _outcomes(session: WritingSession, changes: Sequence[Decided]) -> list[int | Exception]:
    if not changes:
        return []
    try:
        return [commit(session, changes)] * len(changes)
    except Exception as error:
        if len(changes) == 1:
            return [error]
    return [outcome for change in changes for outcome in _outcomes(session, [change])]


def independent_changes(changes: Sequence[Decided]) -> list[bool]:
    """Return which changes go together with the first: none could alter the decision of another."""
    groups: set[str] = set()
    paths: list[str] = []
    chosen = []
    for change in changes:
        names = {group.name for group in change.groups}
        arriving = [*paths, *_paths(change)] if change.tree is not None else []
        fits = not groups or (
            change.target.actual.id == changes[0].target.actual.id
            and not (change.scratchpads.written or changes[0].scratchpads.written)
            and groups.isdisjoint(names)
            and not (change.tree and FileTree(arriving, folded=change.tree.folded).faults())
        )
        chosen.append(fits)
        if fits:
            groups |= names or {""}
            paths = arriving
    return chosen


def _paths(change: Decided) -> Iterator[str]:
    for group in change.groups:
        for unit in group.arriving:
            yield from (artifact.path for artifact in unit.artifacts)


def commit(session: WritingSession, changes: Sequence[Decided]) -> int:
    """Commit independent changes as one version and return its number.

    Raises:
        Conflict: A group was changed meanwhile, or a file came in that cannot lie in one tree with
            what was sent; with `retry_after`, so that the upload is decided again.
        QuotaExceeded: More is uploaded than may be.
    """
    first = changes[0]
    target, scratchpads = first.target, first.scratchpads
    plugin = {"id": target.plugin.id, "version": target.plugin.distribution_version}
    principals = sorted({change.principal for change in changes})
    groups = [group for change in changes for group in change.groups]
    with target.writer.stage(target.actual.id, session.clock()) as stage:
        stage.add(
            [staged for group in groups for staged in _staged_groups(group)],
            [member for group in groups for member in _staged_members(group)],
        )
        try:
            return stage.commit(
                {"principal": ", ".join(principals), "plugin": plugin},
                {},
                session.clock(),
                scratchpads=scratchpads.written,
                seen=scratchpads.seen,
                tree=_seen_by_all(changes),
                manual=_manual_changes(changes, session.clock()),
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


def _manual_changes(changes: Iterable[Decided], now: datetime) -> ManualChanges:
    """Return what changes in the record of removed names, each by its principal."""
    parts = [manual_changes(change.groups, change.principal, now) for change in changes]
    return ManualChanges(
        removed=[removed for part in parts for removed in part.removed],
        returned=[returned for part in parts for returned in part.returned],
    )


def _seen_by_all(changes: Iterable[Decided]) -> CheckedTree | None:
    trees = [change.tree for change in changes if change.tree is not None]
    return min(trees, key=lambda tree: tree.version) if trees else None


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


def _staged_groups(group: GroupChanges) -> Iterator[StagedGroup]:
    """Yield the new states of a group: what was pulled through under its name leaves."""
    staged = _staged_group(group)
    yield staged
    if _pulled(group):
        yield StagedGroup(group.name, PULL_THROUGH, staged.was, None)


def _pulled(group: GroupChanges) -> list[Digest]:
    if not group.arriving:
        return []
    return [member.digest for member in group.before if member.source == PULL_THROUGH]


def _staged_members(group: GroupChanges) -> Iterator[StagedMember]:
    for line in group.lines:
        leaving = line.digest if line.op == REMOVE else line.before
        if leaving:
            yield StagedMember(group.name, leaving, UPLOAD, joins=False)
        if line.op != REMOVE and line.digest:
            yield StagedMember(group.name, line.digest, UPLOAD, joins=True)
    for digest in _pulled(group):
        yield StagedMember(group.name, digest, PULL_THROUGH, joins=False)
