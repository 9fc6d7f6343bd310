"""What a repository holds of that which somebody asks about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.engine.conduits import blaming
from reconciler.engine.sources import Asked
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


def held_units(asked: Asked, subject: str, names: Sequence[str]) -> list[HeldUnit]:
    """Those that are meant."""
    state, reader = asked.actual, asked.reader
    if state is None:
        return []
    found = {(one.group, one.digest, one.source): one for key in {subject, *names} for one in reader.find_units(state.id, state.number, key)}
    units = [HeldUnit(one.group, one.digest, one.source, one.added, stored_unit(one.body)) for _, one in sorted(found.items())]
    return [one for one in units if means(asked, one.group, one.unit, subject)]


def since(asked: Asked, held: Sequence[HeldUnit]) -> list[dict[str, Any]]:
    """The same for the document, each with the version that brought it."""
    versions = {number: _version(asked, number) for number in {one.added for one in held}}
    return [
        {
            "group": one.group,
            "type": one.unit.type,
            "key": one.unit.key,
            "digest": str(one.digest),
            "source": one.source,
            "since": versions[one.added],
        }
        for one in held
    ]


def means(asked: Asked, group: str, unit: Unit | StoredUnit, subject: str) -> bool:
    """Does the subject mean this unit? What is of a type that its importer no longer names is meant by its key or its group."""
    assert asked.plugin.metadata is not None
    known = unit.type in asked.plugin.metadata.types
    with blaming(f"`meant` of content type `{unit.type}`"):
        return bool((asked.context.registry.content_type(unit.type) if known else ContentType).meant(group, unit, subject))


def instant(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _version(asked: Asked, number: int) -> dict[str, Any] | None:
    assert asked.actual is not None
    version = asked.reader.version(asked.actual.id, number)
    if version is None:
        return None
    return {"number": number, "createdAt": instant(version.created_at), "provenance": dict(version.provenance)}
