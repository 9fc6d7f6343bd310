"""Units to examine again: what they wait for came into the store, or what was made of them left it.

They are recorded when that happens, and never looked for among all units. A unit
that joins a version is examined without being recorded here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, select

from reconciler.database.bulk import Bulk, batches, insert_for, listed, parameter
from reconciler.database.content_tables import (
    artifact,
    beginning,
    derived_artifact,
    extractable_unit,
    unit_artifact,
)

_DIGEST = parameter("digest", artifact.c.sha256)
_WAITS = exists(
    select(1).where(
        derived_artifact.c.unit_id == unit_artifact.c.unit_id,
        derived_artifact.c.within == unit_artifact.c.path,
    )
)
_WAITING = select(unit_artifact.c.unit_id).where(
    beginning(unit_artifact.c.sha256) == beginning(_DIGEST),
    unit_artifact.c.sha256 == _DIGEST,
    _WAITS,
)
_MADE = select(derived_artifact.c.unit_id).where(
    beginning(derived_artifact.c.sha256) == beginning(_DIGEST),
    derived_artifact.c.sha256 == _DIGEST,
)
_STILL = (
    select(unit_artifact.c.unit_id)
    .join(artifact, artifact.c.sha256 == unit_artifact.c.sha256)
    .where(unit_artifact.c.unit_id.in_(listed("units")), artifact.c.stored, _WAITS)
)


def _record(dialect: str, units: Select[Any]) -> Any:
    inserted = insert_for(dialect, extractable_unit).from_select(["unit_id"], units)
    return inserted.on_conflict_do_nothing()


_ARRIVED = Bulk(lambda dialect: _record(dialect, _WAITING), "digest")
_LOST = Bulk(lambda dialect: _record(dialect, _MADE), "digest")
_EXAMINED = delete(extractable_unit).where(extractable_unit.c.unit_id.in_(listed("units")))


def artifacts_arrived(connection: Connection, digests: Iterable[bytes]) -> None:
    """Record the units that have waited for bytes which are stored now."""
    _ARRIVED(connection, [(raw,) for raw in digests])


def artifacts_lost(connection: Connection, digests: Iterable[bytes]) -> None:
    """Record the units of which bytes were made that are no longer stored."""
    _LOST(connection, [(raw,) for raw in digests])


def units_examined(connection: Connection, units: Iterable[int]) -> None:
    """Forget units, once what is shown of them is recorded.

    Those stay that wait for what is in the store: it came while they were examined, or it is
    damaged.
    """
    for batch in batches(units):
        connection.execute(_EXAMINED, {"units": batch})
        connection.execute(_record(connection.dialect.name, _STILL), {"units": batch})
