"""Content by digest: units and the artifacts they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, select

from reconciler.database.bulk import Bulk, Row, batches, ignoring, insert_for, listed, overwriting
from reconciler.database.schema import artifact, unit, unit_artifact
from reconciler.database.session import Reading, Writing
from reconciler.model import Digest, Sealed

_BATCH = 2_000  # units in one transaction: a few milliseconds of the write lock each

_STORED = select(artifact.c.sha256).where(artifact.c.stored, artifact.c.sha256.in_(listed("digests")))
_SIZES = select(artifact.c.sha256, artifact.c.size).where(artifact.c.size.is_not(None), artifact.c.sha256.in_(listed("digests")))

_UNITS = ignoring(unit, "digest", "type", "group_name", "key", "body")
_DECLARED = ignoring(artifact, "sha256", "size", "stored")
_KEPT = Bulk(lambda dialect: overwriting(insert_for(dialect, artifact), ["sha256"], ["size", "stored"]), "sha256", "size", "stored")
_PARTS = Bulk(
    lambda dialect: (
        insert_for(dialect, unit_artifact)
        .values(
            unit_id=select(unit.c.id).where(unit.c.digest == bindparam("digest")).scalar_subquery(),
            path=bindparam("path"),
            sha256=bindparam("sha256"),
        )
        .on_conflict_do_nothing()
    ),
    "digest",
    "path",
    "sha256",
)


def sizes(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    """The sizes, in bytes, of those artifacts whose size is known."""
    found: dict[bytes, int] = {}
    for batch in batches(digests):
        found.update((row[0], row[1]) for row in connection.execute(_SIZES, {"digests": batch}))
    return found


class ContentReads(Reading):
    """Which bytes are recorded as stored."""

    def stored(self, digests: Iterable[Digest]) -> set[Digest]:
        """Those of `digests` that are recorded as stored."""
        found: set[Digest] = set()
        with self._reading.connect() as connection:
            for batch in batches(digest.raw for digest in digests):
                found.update(map(Digest, connection.execute(_STORED, {"digests": batch}).scalars()))
        return found


class ContentWrites(Writing):
    """Recording content. It is nobody's yet: a version takes it in."""

    def record_units(self, units: Sequence[Sealed], stored_sizes: Mapping[Digest, int]) -> None:
        """Record units, their artifacts, and which of these are in the store (`stored_sizes`: bytes by digest).

        Everything goes by digest, so recording twice, or half before a crash, changes nothing.
        """
        stored = {digest.raw: size for digest, size in stored_sizes.items()}
        for batch in batches(units, _BATCH):
            kept, declared, parts = _rows(batch, stored)
            with self._writing.begin() as connection:
                _UNITS(connection, [(one.digest.raw, one.unit.type, one.group, one.unit.key, one.body) for one in batch])
                _KEPT(connection, kept)
                _DECLARED(connection, declared)
                _PARTS(connection, parts)


def _rows(units: Sequence[Sealed], stored: Mapping[bytes, int]) -> tuple[list[Row], list[Row], list[Row]]:
    """Rows of artifacts with bytes, of artifacts without, and of what belongs to which unit."""
    kept: dict[bytes, Row] = {}
    declared: dict[bytes, Row] = {}
    parts: list[Row] = []
    for one in units:
        for part in one.unit.artifacts:
            raw = bytes.fromhex(part.sha256)
            if raw in stored:
                kept[raw] = (raw, stored[raw], True)
            else:
                declared[raw] = (raw, part.size, False)
            parts.append((one.digest.raw, part.path, raw))
    return list(kept.values()), list(declared.values()), parts
