"""What a repository holds of that which somebody asks about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.sources.source_resolver import RepositoryResolution
from reconciler.model import Digest, StoredUnit, Unit, stored_unit
from reconciler.plugin import ContentType


@dataclass(frozen=True, slots=True)
class HeldUnit:
    """A unit of the latest version. `source` brought it with version `added`."""

    group: str
    digest: Digest
    source: str
    added: int
    unit: StoredUnit


def held_units(
    resolution: RepositoryResolution, subject: str, names: Sequence[str]
) -> list[HeldUnit]:
    """Those that are meant."""
    state, reader = resolution.actual, resolution.reader
    if state is None:
        return []
    found = {
        (unit.group, unit.digest, unit.source): unit
        for key in {subject, *names}
        for unit in reader.find_units(state.id, state.number, key)
    }
    units = [
        HeldUnit(one.group, one.digest, one.source, one.added, stored_unit(one.body))
        for _, one in sorted(found.items())
    ]
    return [unit for unit in units if means(resolution, unit.group, unit.unit, subject)]


def since(resolution: RepositoryResolution, held: Sequence[HeldUnit]) -> list[dict[str, Any]]:
    """The same for the document, each with the version that brought it."""
    versions = {number: _version(resolution, number) for number in {unit.added for unit in held}}
    return [
        {
            "group": unit.group,
            "type": unit.unit.type,
            "key": unit.unit.key,
            "digest": str(unit.digest),
            "source": unit.source,
            "since": versions[unit.added],
        }
        for unit in held
    ]


def means(
    resolution: RepositoryResolution, group: str, unit: Unit | StoredUnit, subject: str
) -> bool:
    """Does the subject mean this unit? What is of a type that its importer no longer names is meant
    by its key or its group.
    """
    assert resolution.plugin.metadata is not None
    known = unit.type in resolution.plugin.metadata.types
    with plugin_faults(f"`meant` of content type `{unit.type}`"):
        return bool(
            (resolution.session.registry.content_type(unit.type) if known else ContentType).meant(
                group, unit, subject
            )
        )


def instant(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _version(resolution: RepositoryResolution, number: int) -> dict[str, Any] | None:
    assert resolution.actual is not None
    version = resolution.reader.version(resolution.actual.id, number)
    if version is None:
        return None
    return {
        "number": number,
        "createdAt": instant(version.created_at),
        "provenance": dict(version.provenance),
    }
