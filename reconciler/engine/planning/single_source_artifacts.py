"""Remotes that go, and the bytes that nobody else has: files of versions that stay, which were left
upstream and never fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.database import Reader
from reconciler.model import ActualState, DesiredState, Digest, Kind, Publication, Ref
from reconciler.plan import CHANGE, REFUSE, REMOVE, Action, ContentChanges, ResourceChange

HINT = "set `policy: immediate` and apply first, or pass `--allow-destroy` if that is meant"

Changes = Mapping[Ref, ResourceChange]


def kept_remotes(
    deletions: Sequence[ResourceChange],
    reader: Reader,
    desired: DesiredState,
    actual: ActualState,
    changes: Changes,
) -> list[ResourceChange]:
    """The deletions; those of remotes are refused where a repository that stays still needs them
    once `changes` are carried out.
    """
    remotes = [
        deletion.ref.name
        for deletion in deletions
        if deletion.ref.kind is Kind.REMOTE and not deletion.refusal
    ]
    lost = _lost(remotes, reader, desired, actual, changes) if remotes else None
    if lost is None:
        return list(deletions)
    name, files = lost
    listed = ", ".join(f"`{remote}`" for remote in remotes)
    message = (
        f"{files:,} files of repository `{name}` can be had from {listed} alone, and their bytes"
        " were never fetched"
    )
    return [
        deletion.refused(message, HINT)
        if deletion.ref.kind is Kind.REMOTE and not deletion.refusal
        else deletion
        for deletion in deletions
    ]


def _lost(
    remotes: Sequence[str],
    reader: Reader,
    desired: DesiredState,
    actual: ActualState,
    changes: Changes,
) -> tuple[str, int] | None:
    """The first repository that would lose bytes, and of how many files."""
    coming: set[Digest] | None = None
    for name in sorted(desired.repositories):
        state, change = actual.repositories.get(name), changes[Ref(Kind.REPOSITORY, name)]
        if state is None:
            continue
        held = reader.only_from(remotes, state.id, state.number)
        leaving = _leaving(change) if held else set()
        needed = {digest for digest, units in held.items() if units - leaving}
        for number in _pinned(name, desired.publications.values(), changes):
            if number < state.number:
                needed |= reader.only_from(remotes, state.id, number).keys()
        if needed and coming is None:
            coming = _coming(changes.values())
        if needed and coming is not None and (left := needed - coming):
            return name, len(left)
    return None


def _pinned(repository: str, publications: Iterable[Publication], changes: Changes) -> set[int]:
    """Numbers of the versions of a repository that publications go on showing, whatever becomes of
    the latest.
    """
    shown = [
        changes[publication.meta.ref].version[1]
        for publication in publications
        if publication.repository == repository and publication.version != "latest"
    ]
    return {number for number in shown if number is not None}


def _carried_out(change: ResourceChange) -> ContentChanges | None:
    return None if change.refusal or change.action is Action.DELETE else change.content


def _leaving(change: ResourceChange) -> set[Digest]:
    """Units that leave a repository."""
    content = _carried_out(change)
    lines = [line for group in content.spool for line in group.lines] if content is not None else []
    return {
        Digest.parse(line.before or line.digest) for line in lines if line.op in (REMOVE, CHANGE)
    }


def _coming(changes: Iterable[ResourceChange]) -> set[Digest]:
    """Artifacts that some source which stays brings, or says where to have."""
    contents = [content for change in changes if (content := _carried_out(change)) is not None]
    lines = [
        line
        for content in contents
        for group in content.spool
        for line in group.lines
        if line.op not in (REMOVE, REFUSE)
    ]
    return {Digest.parse(part.sha256) for line in lines for part in line.artifacts if part.url}
