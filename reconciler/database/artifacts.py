"""Content by digest: units and the artifacts they are made of."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType

from sqlalchemy import Connection, bindparam, delete, exists, select

from reconciler.database import unit_paths
from reconciler.database.bulk import (
    Bulk,
    Row,
    batches,
    ignoring,
    insert_for,
    listed,
    overwriting,
    parameter,
    replacing,
)
from reconciler.database.extractable_units import artifacts_arrived
from reconciler.database.records import ArtifactOrigin, DeclaredUnit
from reconciler.database.schema import artifact, artifact_origin, damage, unit, unit_artifact
from reconciler.database.session import Reading, Writing
from reconciler.model import Digest, artifact_digest

logger = logging.getLogger(__name__)

# units in one transaction: half a second of the write lock, and few enough for rows in the order of
# their keys to meet in pages
_BATCH = 10_000

_STORED = select(artifact.c.sha256).where(
    artifact.c.stored, artifact.c.sha256.in_(listed("digests"))
)
_STORED_SIZES = select(artifact.c.sha256, artifact.c.size).where(
    artifact.c.stored, artifact.c.sha256.in_(listed("digests"))
)
_SIZES = select(artifact.c.sha256, artifact.c.size, artifact.c.stored).where(
    artifact.c.size.is_not(None), artifact.c.sha256.in_(listed("digests"))
)

_ORIGINS = (
    select(
        artifact_origin.c.sha256,
        artifact_origin.c.remote,
        artifact_origin.c.url,
        artifact_origin.c.needs_page,
    )
    .where(artifact_origin.c.sha256.in_(listed("digests")))
    .order_by(artifact_origin.c.sha256, artifact_origin.c.remote)
)

_URLS = select(artifact_origin.c.sha256, artifact_origin.c.url).where(
    artifact_origin.c.sha256.in_(listed("digests")), artifact_origin.c.remote == bindparam("remote")
)

_UNITS = ignoring(unit, "digest", "type", "group_name", "key", "body")
_DECLARED = ignoring(artifact, "sha256", "size", "stored")
_KEPT = Bulk(
    lambda dialect: overwriting(insert_for(dialect, artifact), ["sha256"], ["size", "stored"]),
    "sha256",
    "size",
    "stored",
)
_MENDED = delete(damage).where(
    exists(select(1).where(artifact.c.sha256 == damage.c.sha256, artifact.c.stored))
)
_SET_ORIGINS = replacing(artifact_origin, "sha256", "remote", "url", "needs_page")
_PARTS = Bulk(
    lambda dialect: (
        insert_for(dialect, unit_artifact)
        .from_select(
            ["unit_id", "path", "sha256"],
            select(
                unit.c.id,
                unit_paths.to_row(parameter("path", unit_artifact.c.path)),
                parameter("sha256", unit_artifact.c.sha256),
            ).where(unit.c.digest == bindparam("digest")),
        )
        .on_conflict_do_nothing()
    ),
    "digest",
    "path",
    "sha256",
)


def sizes(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, tuple[int, bool]]:
    """Return the bytes of those artifacts whose size is known, and whether they were counted.

    What was not counted is what a source declares: advice.
    """
    sizes_by_digest: dict[bytes, tuple[int, bool]] = {}
    for batch in batches(digests):
        sizes_by_digest.update(
            (row[0], (row[1], row[2]))
            for row in connection.execute(_SIZES, {"digests": batch}).all()
        )
    return sizes_by_digest


def keep(connection: Connection, rows: Sequence[Row]) -> None:
    """Record that bytes are in the store, of which rows say (digest, size, True)."""
    if rows:
        _KEPT(connection, rows)
        connection.execute(_MENDED)
        artifacts_arrived(connection, (row[0] for row in rows))


class ContentReads(Reading):
    """Artifacts that are recorded as stored, and origins of the others."""

    def stored(self, digests: Iterable[Digest]) -> set[Digest]:
        """Return those of `digests` that are recorded as stored."""
        present: set[Digest] = set()
        with self._reading.connect() as connection:
            for batch in batches(digest.raw for digest in digests):
                present.update(
                    map(Digest, connection.execute(_STORED, {"digests": batch}).scalars())
                )
        return present

    def stored_sizes(self, digests: Iterable[Digest]) -> dict[Digest, int]:
        """Return the bytes of each of `digests` that is recorded as stored."""
        sizes_by_digest: dict[Digest, int] = {}
        with self._reading.connect() as connection:
            for batch in batches(digest.raw for digest in digests):
                sizes_by_digest.update(
                    (Digest(row[0]), row[1])
                    for row in connection.execute(_STORED_SIZES, {"digests": batch}).all()
                )
        return sizes_by_digest

    def known_sizes(self, digests: Iterable[Digest]) -> dict[Digest, int]:
        """Return the bytes of each of `digests` whose size is known or was ever declared."""
        with self._reading.connect() as connection:
            known = sizes(connection, [digest.raw for digest in digests])
        return {Digest(raw): size for raw, (size, _) in known.items()}

    def artifact_origins(self, digest: Digest) -> list[ArtifactOrigin]:
        """Return where the bytes can be fetched, by name of the remote."""
        return self.origins_of([digest]).get(digest, [])

    def origins_of(self, digests: Iterable[Digest]) -> dict[Digest, list[ArtifactOrigin]]:
        """Return where bytes can be fetched, by name of the remote, for digests with an origin."""
        origins: dict[Digest, list[ArtifactOrigin]] = {}
        with self._reading.connect() as connection:
            for batch in batches(digest.raw for digest in digests):
                for raw, *origin in connection.execute(_ORIGINS, {"digests": batch}).all():
                    origins.setdefault(Digest(raw), []).append(ArtifactOrigin(*origin))
        return origins

    def recorded_urls(self, remote: str, digests: Iterable[bytes]) -> dict[bytes, str]:
        """Return the URLs at which a remote is recorded to have bytes, by their raw digests."""
        urls: dict[bytes, str] = {}
        with self._reading.connect() as connection:
            for batch in batches(digests):
                rows = connection.execute(_URLS, {"digests": batch, "remote": remote})
                urls.update((raw, url) for raw, url in rows.all())
        return urls


class ContentWrites(Writing):
    """Writes of content that no version holds yet."""

    def record_units(
        self,
        units: Mapping[str, Sequence[DeclaredUnit]],
        stored_sizes: Mapping[Digest, int],
        origins: Mapping[Digest, ArtifactOrigin] = MappingProxyType({}),
    ) -> None:
        """Record units by group, and their artifacts.

        Recording twice, or half before a crash, changes nothing, since everything goes by digest.
        A new origin of an artifact replaces the one of the same remote.

        Args:
            units: Units with their digests, by name of the group.
            stored_sizes: Bytes of each artifact that is in the store.
            origins: Where the other artifacts can be fetched.
        """
        identified = [
            (unit.digest.raw, group, unit)
            for group, members in units.items()
            for unit in members
            if unit.digest is not None
        ]
        for batch in batches(identified, _BATCH):
            batch.sort(key=itemgetter(0))
            kept, declared, had = _artifacts(batch, stored_sizes, origins)
            with self._writing.begin() as connection:
                _UNITS(
                    connection,
                    [
                        (digest, unit.type, group, unit.key, bytes(unit.body))
                        for digest, group, unit in batch
                    ],
                )
                keep(connection, kept)
                _DECLARED(connection, declared)
                _SET_ORIGINS(connection, had)
                _PARTS(
                    connection,
                    [
                        (digest, part.path, artifact_digest(part).raw)
                        for digest, _, unit in batch
                        for part in unit.artifacts
                    ],
                )
            logger.debug("recorded units: %d, artifacts: %d", len(batch), len(kept) + len(declared))

    def artifact_stored(self, digest: Digest, size: int) -> None:
        """Record that the artifact's bytes, `size` of them, are in the store."""
        self.artifacts_stored({digest: size})
        logger.debug("recorded %s as stored, bytes: %d", digest.short, size)

    def artifacts_stored(self, sizes: Mapping[Digest, int]) -> None:
        """Record that the bytes of artifacts, as many as `sizes` says, are in the store."""
        with self._writing.begin() as connection:
            keep(connection, [(digest.raw, size, True) for digest, size in sorted(sizes.items())])


def _artifacts(
    units: Iterable[tuple[bytes, str, DeclaredUnit]],
    stored: Mapping[Digest, int],
    origins: Mapping[Digest, ArtifactOrigin],
) -> tuple[list[Row], list[Row], list[Row]]:
    """Return rows of stored artifacts, of others, and of origins, each in its table's order."""
    kept: dict[bytes, Row] = {}
    declared: dict[bytes, Row] = {}
    had: dict[bytes, Row] = {}
    for part in (part for _, _, declared_unit in units for part in declared_unit.artifacts):
        digest = artifact_digest(part)
        raw = digest.raw
        size, origin = stored.get(digest), origins.get(digest)
        if size is not None:
            kept[raw] = (raw, size, True)
        else:
            declared[raw] = (raw, part.size, False)
        if origin is not None:
            had[raw] = (raw, origin.remote, origin.url, origin.needs_page)
    return (
        [kept[raw] for raw in sorted(kept)],
        [declared[raw] for raw in sorted(declared)],
        [had[raw] for raw in sorted(had)],
    )
