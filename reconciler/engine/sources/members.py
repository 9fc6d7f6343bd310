"""Members: the units that groups hold in the latest version."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import pairwise

from reconciler.database import Reader
from reconciler.model import (
    ActualRepository,
    Artifact,
    Digest,
    StoredUnit,
    Unit,
    group_digest,
    stored_unit,
)
from reconciler.plan import GroupMember


async def members_of(
    reader: Reader, actual: ActualRepository | None, names: Sequence[str]
) -> dict[str, list[GroupMember]]:
    """Return what the latest version holds in these groups; an empty version costs no query."""
    if actual is None or actual.units == 0 or not names:
        return {}
    return await asyncio.to_thread(members_in, reader, actual, names)


def members_in(
    reader: Reader, actual: ActualRepository, names: Sequence[str]
) -> dict[str, list[GroupMember]]:
    """Return what the latest version holds in these groups; call it in a worker thread."""
    current = reader.current_units(actual.id, names)
    return {
        name: [
            GroupMember(unit.digest, stored_unit(unit.body), unit.source, unit.body)
            for unit in units
        ]
        for name, units in current.items()
    }


def declared_unit(unit: StoredUnit) -> Unit:
    """Return a recorded unit as an importer would declare it, without URLs."""
    return Unit(
        unit.type,
        unit.key,
        unit.metadata,
        [Artifact(artifact.path, artifact.sha256, artifact.size) for artifact in unit.artifacts],
    )


def is_as_recorded(unit: Unit) -> bool:
    """Return True if a declared unit has its artifacts as a record has: digests, in path order."""
    artifacts = unit.artifacts
    if not all(artifact.sha256 for artifact in artifacts):
        return False
    return all(before.path <= after.path for before, after in pairwise(artifacts))


def digest_of(members: Iterable[GroupMember]) -> Digest | None:
    """Return the digest of a group with these members, or None where there are none."""
    digests = [member.digest for member in members]
    return group_digest(digests) if digests else None
