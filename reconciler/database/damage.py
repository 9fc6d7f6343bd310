"""Damage: bytes that rows promise and the store does not have, or has with another digest.

`stored` of an artifact is a claim. Where it turns out to be wrong it is taken back, and the damage
is recorded until the bytes are there again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, select, union, union_all, update

from reconciler.database import unit_paths
from reconciler.database.bulk import batches, insert_for, listed, parameter
from reconciler.database.chunks import forget_chunked_bodies, remove_unused_bodies
from reconciler.database.content_tables import BEGINNING, beginning
from reconciler.database.extractable_units import artifacts_lost
from reconciler.database.records import ArtifactUse, Damage
from reconciler.database.schema import (
    artifact,
    damage,
    derived_artifact,
    membership,
    page,
    publication,
    publication_entry,
    pulled_page,
    repository,
    repository_group,
    resource,
    stage_member,
    unit,
    unit_artifact,
)
from reconciler.database.session import Reading, Writing
from reconciler.database.signatures import REMOVE_UNUSED_SIGNATURES
from reconciler.database.versions import STREAM, at
from reconciler.model import Digest

logger = logging.getLogger(__name__)

_entries = publication_entry.c
_REPOSITORY = parameter("repository_id", membership.c.repository_id)
_PUBLICATION = parameter("publication_id", _entries.publication_id)
_NUMBER = parameter("number", _entries.added)

_DAMAGE = select(damage.c.sha256, damage.c.problem, damage.c.found_at).order_by(damage.c.sha256)
_parts = unit_artifact.alias()
_USES = (
    select(
        unit_artifact.c.sha256,
        resource.c.name,
        repository_group.c.name,
        membership.c.source,
        unit_paths.OF_ARTIFACT,
        unit.c.body,
    )
    .join(unit, unit.c.id == unit_artifact.c.unit_id)
    .join(membership, membership.c.unit_id == unit.c.id)
    .join(repository_group, repository_group.c.id == membership.c.group_id)
    .join(resource, resource.c.id == membership.c.repository_id)
    .where(
        # no joins, which would begin with the members: all that there are
        membership.c.repository_id.in_(select(repository.c.id)),
        membership.c.unit_id.in_(
            select(_parts.c.unit_id).where(
                beginning(_parts.c.sha256).in_(listed("beginnings")),
                _parts.c.sha256.in_(listed("digests")),
            )
        ),
        unit_artifact.c.sha256.in_(listed("digests")),
    )
    .distinct()
)
_STORED = (
    select(artifact.c.sha256, artifact.c.size)
    .where(artifact.c.stored, artifact.c.sha256 > parameter("after", artifact.c.sha256))
    .order_by(artifact.c.sha256)
    .limit(bindparam("limit"))
)
_OF_REPOSITORY = _STORED.where(
    artifact.c.sha256.in_(
        select(unit_artifact.c.sha256)
        .join(membership, membership.c.unit_id == unit_artifact.c.unit_id)
        .where(membership.c.repository_id == _REPOSITORY)
    )
)
_SHOWN = select(_entries.digest).where(_entries.publication_id == _PUBLICATION, ~_entries.page)
_OF_PUBLICATION = _STORED.where(artifact.c.sha256.in_(_SHOWN.where(at(_NUMBER, _entries))))
_APPEARED = _STORED.where(artifact.c.sha256.in_(_SHOWN.where(_entries.added == _NUMBER)))
_SHOWING = (
    select(_entries.publication_id)
    .where(~_entries.page, _entries.removed.is_(None), _entries.digest.in_(listed("digests")))
    .distinct()
)
_NEEDED = union(
    select(unit_artifact.c.sha256).where(
        unit_artifact.c.unit_id.in_(
            union(select(membership.c.unit_id), select(stage_member.c.unit_id))
        )
    ),
    select(_entries.digest).where(~_entries.page),
    select(derived_artifact.c.sha256).where(derived_artifact.c.sha256.is_not(None)),
)
_UNUSED_PAGE = page.c.digest.not_in(
    union_all(select(_entries.digest).where(_entries.page), select(pulled_page.c.digest))
)
_COUNT_UNUSED_PAGES = select(func.count()).select_from(page).where(_UNUSED_PAGE)
_REMOVE_UNUSED_PAGES = delete(page).where(_UNUSED_PAGE)
_KNOWN = select(artifact.c.sha256)
ROWS_AT_ONCE = 5_000
_AT_ONCE = 30_000  # digests in a statement that walks what is shown, whatever is asked for
_UNKNOWN = bytes(32)  # as the digest of a publication: it differs from every real one
_LOST = (
    update(artifact)
    .where(artifact.c.sha256 == bindparam("digest"), artifact.c.stored)
    .values(stored=False)
)


def _with_beginnings(digests: list[bytes]) -> dict[str, list[bytes]]:
    return {"digests": digests, "beginnings": [raw[:BEGINNING] for raw in digests]}


class DamageReads(Reading):
    """Reads of known damage, and of what rows say is in the store."""

    def damage(self) -> list[Damage]:
        """Return what was found damaged and is not mended, by digest."""
        with self._reading.connect() as connection:
            return [
                Damage(Digest(raw), problem, found_at)
                for raw, problem, found_at in connection.execute(_DAMAGE)
            ]

    def artifact_uses(self, digests: Iterable[Digest]) -> list[ArtifactUse]:
        """Return the units of any version that have these artifacts, by repository and group."""
        with self._reading.connect() as connection:
            rows = [
                tuple(row)
                for batch in batches(digest.raw for digest in digests)
                for row in connection.execute(_USES, _with_beginnings(batch))
            ]
        return sorted(ArtifactUse(Digest(raw), *rest) for raw, *rest in rows)

    def stored_artifacts(self) -> Iterator[tuple[Digest, int]]:
        """Yield digest and size of every artifact that is recorded as stored."""
        return self._artifacts(_STORED, {})

    def artifacts_of_repository(self, repository_id: int) -> Iterator[tuple[Digest, int]]:
        """Yield the stored artifacts of every version of a repository."""
        return self._artifacts(_OF_REPOSITORY, {"repository_id": repository_id})

    def artifacts_of_publication(
        self, publication_id: int, number: int
    ) -> Iterator[tuple[Digest, int]]:
        """Yield the stored artifacts that a publication shows."""
        values = {"publication_id": publication_id, "number": number}
        return self._artifacts(_OF_PUBLICATION, values)

    def appeared_artifacts(self, publication_id: int, number: int) -> Iterator[tuple[Digest, int]]:
        """Yield the stored artifacts of paths that are new or changed in a publication."""
        values = {"publication_id": publication_id, "number": number}
        return self._artifacts(_APPEARED, values)

    def publications_showing(self, digests: Iterable[Digest]) -> set[int]:
        """Return the IDs of publications whose latest paths lead to some of these bytes."""
        shown: set[int] = set()
        with self._reading.connect() as connection:
            for batch in batches((digest.raw for digest in digests), _AT_ONCE):
                shown.update(connection.execute(_SHOWING, {"digests": batch}).scalars())
        return shown

    def needed_artifacts(self) -> set[bytes]:
        """Return digests that a version, a commit in preparation or a publication refers to.

        A publication refers to what it has dropped, too: it may serve that within its grace.
        """
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            return set(connection.execute(_NEEDED).scalars())

    def known_artifacts(self) -> set[bytes]:
        """Return the digests of every artifact that any row ever described."""
        with self._reading.connect().execution_options(yield_per=STREAM) as connection:
            return set(connection.execute(_KNOWN).scalars())

    def _artifacts(
        self, query: Select[Any], values: Mapping[str, int]
    ) -> Iterator[tuple[Digest, int]]:
        """Yield artifacts by digest, some at a time.

        Who verifies them takes hours: a query open for as long would keep the write-ahead log from
        being shortened.
        """
        after: bytes | None = b""
        while after is not None:
            bounds = {"after": after, "limit": ROWS_AT_ONCE}
            with self._reading.connect() as connection:
                rows = connection.execute(query, {**values, **bounds}).all()
            yield from ((Digest(raw), size) for raw, size in rows)
            after = rows[-1][0] if rows else None


class DamageWrites(Writing):
    """Record what the store lost."""

    def record_damage(self, problems: Mapping[Digest, str], now: datetime) -> set[Digest]:
        """Record damage by digest; return those of which it was not known before.

        What is not recorded as stored is no damage: nothing was promised.
        """
        recorded: set[Digest] = set()
        with self._writing.begin() as connection:
            insert = insert_for(connection.dialect.name, damage).on_conflict_do_nothing()
            for digest, problem in problems.items():
                if connection.execute(_LOST, {"digest": digest.raw}).rowcount == 0:
                    continue
                row = {"sha256": digest.raw, "problem": problem, "found_at": now}
                connection.execute(insert.values(row))
                recorded.add(digest)
            artifacts_lost(connection, (digest.raw for digest in recorded))
        for digest in sorted(recorded):
            logger.error("damaged in the store: %s: %s", digest, problems[digest])
        return recorded

    def forget_damage(self, digests: Iterable[Digest]) -> None:
        """Forget damage of bytes that are upstream, or that no version needs any more."""
        with self._writing.begin() as connection:
            for batch in batches(digest.raw for digest in digests):
                connection.execute(delete(damage).where(damage.c.sha256.in_(batch)))

    def forget_pages(self, publication_id: int, digests: Iterable[Digest]) -> None:
        """Forget damaged pages, so that the publication is rendered anew.

        Those of earlier publications cannot be, and no longer linger.
        """
        with self._writing.begin() as connection:
            forget_chunked_bodies(connection, digests := list(digests))
            for batch in batches(digest.raw for digest in digests):
                connection.execute(delete(page).where(page.c.digest.in_(batch)))
                connection.execute(
                    update(publication_entry)
                    .where(_entries.publication_id == publication_id, _entries.removed.is_not(None))
                    .where(_entries.page, _entries.digest.in_(batch))
                    .values(lingers=False, linger=None)
                )
            connection.execute(
                update(publication)
                .where(publication.c.publication_id == publication_id)
                .values(digest=_UNKNOWN)
            )

    def remove_unused_pages(self, *, dry_run: bool) -> tuple[int, int]:
        """Remove rendered pages that no publication refers to, and parts that no page holds.

        Only on SQLite, where nothing else writes at the same time. Returns the numbers of pages and
        of parts; with `dry_run` nothing is removed.
        """
        if not self.in_process:
            return 0, 0
        with self._writing.begin() as connection:
            number = connection.execute(_COUNT_UNUSED_PAGES).scalar_one()
            if number and not dry_run:
                connection.execute(_REMOVE_UNUSED_PAGES)
                connection.execute(REMOVE_UNUSED_SIGNATURES)
            bodies, chunks = remove_unused_bodies(connection, dry_run=dry_run)
        return int(number) + bodies, chunks

    def artifacts_removed(self, digests: Iterable[Digest]) -> None:
        """Record that bytes which no version needs have left the store."""
        with self._writing.begin() as connection:
            for batch in batches(digest.raw for digest in digests):
                connection.execute(
                    update(artifact).where(artifact.c.sha256.in_(batch)).values(stored=False)
                )
                connection.execute(delete(damage).where(damage.c.sha256.in_(batch)))
