"""Names of what was pulled through that belong to somewhere else by now."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.engine.sources.ownership import is_committed
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.model import PULL_THROUGH, UPLOAD, ActualRepository, DesiredState
from reconciler.plan import GroupMember


def pulls_into(desired: DesiredState, repository: str) -> bool:
    """Return True if a publication of a repository takes what it lacks from a remote."""
    return any(
        publication.repository == repository and publication.pull_through is not None
        for publication in desired.publications.values()
    )


def taken_names(resolution: RepositoryResolution, actual: ActualRepository) -> set[str]:
    """Return the pulled names that a source, an upload or a reservation has.

    Cost follows what was pulled. What a source begins to hold in this run counts.
    """
    reader = resolution.reader
    pulled = reader.committed_groups(actual.id, PULL_THROUGH)
    touched = resolution.findings.spool.names() if pulled else set()
    others = (UPLOAD, *(source.id for source in resolution.repository.sources))
    return {
        name
        for name in pulled
        if name in touched
        or resolution.ownership.owner(name)
        or any(is_committed(reader.committed_group(actual.id, other, name)) for other in others)
    }


def not_pulled(members: Iterable[GroupMember]) -> list[GroupMember]:
    """Return the members of a group that stay where a source takes its name over."""
    return [member for member in members if member.source != PULL_THROUGH]
