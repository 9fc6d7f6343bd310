"""Units as they are recorded: what groups hold now, and how somebody would declare it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

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
from reconciler.plan import Member


async def members_of(
    reader: Reader, actual: ActualRepository | None, names: Sequence[str]
) -> dict[str, list[Member]]:
    """What the latest version holds in these groups; an empty version is not asked."""
    if actual is None or actual.units == 0 or not names:
        return {}
    current = await asyncio.to_thread(reader.current_units, actual.id, names)
    return {
        name: [Member(unit.digest, stored_unit(unit.body), unit.source) for unit in units]
        for name, units in current.items()
    }


def declared_unit(unit: StoredUnit) -> Unit:
    """A recorded unit as somebody would declare it, with nowhere to fetch it from."""
    return Unit(
        unit.type,
        unit.key,
        unit.metadata,
        [Artifact(artifact.path, artifact.sha256, artifact.size) for artifact in unit.artifacts],
    )


def digest_of(members: Iterable[Member]) -> Digest | None:
    """Of a group that holds them; None where it holds nothing."""
    digests = [member.digest for member in members]
    return group_digest(digests) if digests else None
