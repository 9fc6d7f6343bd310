"""Units of the latest version that match the subject of a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.model import Digest, StoredUnit, Unit, stored_unit
from reconciler.plan import natural_sort_key
from reconciler.plugin import ContentType


@dataclass(frozen=True, slots=True)
class MatchingUnit:
    """A unit of the latest version. `source` brought it with version `added`."""

    group: str
    digest: Digest
    source: str
    added: int
    unit: StoredUnit


def matching_units(
    resolution: RepositoryResolution, subject: str, names: Sequence[str]
) -> list[MatchingUnit]:
    """Return the units that match the subject, among those that it or a group's name finds."""
    state, reader = resolution.actual, resolution.reader
    if state is None:
        return []
    rows = {
        (row.group, row.digest, row.source): row
        for key in {subject, *names}
        for row in reader.find_units(state.id, state.number, key)
    }
    units = [
        MatchingUnit(row.group, row.digest, row.source, row.added, stored_unit(row.body))
        for _, row in sorted(rows.items())
    ]
    matching = [
        unit
        for unit in units
        if matches_subject(resolution, unit.group, unit.unit, subject=subject)
    ]
    return sorted(matching, key=lambda unit: (unit.group, natural_sort_key(unit.unit.key)))


def unit_documents(
    resolution: RepositoryResolution, units: Sequence[MatchingUnit]
) -> list[dict[str, Any]]:
    """Return the units for the document, each with the version that brought it."""
    versions = {number: _version(resolution, number) for number in {unit.added for unit in units}}
    return [
        {
            "group": unit.group,
            "type": unit.unit.type,
            "key": unit.unit.key,
            "digest": str(unit.digest),
            "source": unit.source,
            "since": versions[unit.added],
        }
        for unit in units
    ]


def matches_subject(
    resolution: RepositoryResolution, group: str, unit: Unit | StoredUnit, *, subject: str
) -> bool:
    """Return True if the subject means this unit.

    A unit of a type that its importer no longer names matches by its key or its group.

    A unit of a type that its importer no longer names is meant by its key or its group.
    """
    assert resolution.plugin.metadata is not None
    declared = unit.type in resolution.plugin.metadata.types
    content_type = resolution.session.registry.content_type(unit.type) if declared else ContentType
    with plugin_faults(f"`matches` of content type `{unit.type}`"):
        return bool(content_type.matches(group, unit, subject))


def removed_documents(
    resolution: RepositoryResolution, subject: str, groups: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the uploads that the subject means and that were removed: their names are taken."""
    if resolution.actual is None:
        return []
    return [
        {
            "group": removed.group,
            "key": removed.key,
            "by": removed.principal,
            "removedAt": format_instant(removed.removed_at),
        }
        for removed in resolution.reader.removed_uploads(resolution.actual.id, groups)
        if matches_subject(resolution, removed.group, stored_unit(removed.body), subject=subject)
    ]


def format_instant(moment: datetime) -> str:
    """Format a time as ISO 8601 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _version(resolution: RepositoryResolution, number: int) -> dict[str, Any] | None:
    assert resolution.actual is not None
    version = resolution.reader.version(resolution.actual.id, number)
    if version is None:
        return None
    return {
        "number": number,
        "createdAt": format_instant(version.created_at),
        "provenance": dict(version.provenance),
    }
