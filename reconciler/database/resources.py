"""Resources as last applied, and their repositories and publications."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select, update

from reconciler.database import schema
from reconciler.database.bulk import (
    Bulk,
    batches,
    ignoring,
    insert_for,
    listed,
    overwriting,
    parameter,
    plain,
)
from reconciler.database.columns import from_json, to_json
from reconciler.database.plugins import write_attachments
from reconciler.database.publications import VERDICT_COLUMNS, verdict_from
from reconciler.database.records import Attachment
from reconciler.database.schema import (
    artifact,
    artifact_origin,
    membership,
    pointer,
    publication,
    repository,
    resource,
    unit,
    unit_artifact,
)
from reconciler.database.session import Reading, Writing
from reconciler.database.versions import at
from reconciler.model import (
    EMPTY_VERSION,
    ActualPublication,
    ActualRepository,
    ActualResource,
    ActualState,
    Digest,
    Kind,
    Publication,
    Ref,
    Resource,
)

logger = logging.getLogger(__name__)

_RESOURCES = select(
    *(resource.c.id, resource.c.kind, resource.c.name),
    *(
        resource.c.labels,
        resource.c.annotations,
        resource.c.spec,
        resource.c.secrets,
        resource.c.folder,
    ),
)
_REPOSITORIES = select(repository)
_REPOSITORY_IDS = select(resource.c.name, resource.c.id).join(
    repository, repository.c.id == resource.c.id
)
_UNITS = (
    select(repository.c.id, func.sum(schema.version_count.c.units))
    .join(
        schema.version_count,
        (schema.version_count.c.repository_id == repository.c.id)
        & (schema.version_count.c.number == repository.c.number),
    )
    .group_by(repository.c.id)
)
_POINTED = select(
    *(
        publication.c.publication_id,
        publication.c.version,
        publication.c.version_digest,
        publication.c.digest,
        publication.c.number,
        *VERDICT_COLUMNS,
    )
).join(
    pointer,
    (pointer.c.publication_id == publication.c.publication_id)
    & (pointer.c.number == publication.c.number),
)

_COLUMNS = (
    "kind",
    "name",
    "labels",
    "annotations",
    "spec",
    "secrets",
    "folder",
    "path",
    "publisher",
    "grace",
    "base_url",
    "private",
    "created_at",
    "updated_at",
)
PUBLIC = ["public"]
_RECORD = Bulk(
    lambda dialect: overwriting(
        insert_for(dialect, resource),
        ["kind", "name"],
        [name for name in _COLUMNS if name != "created_at"],
    ),
    *_COLUMNS,
)
_AMEND = Bulk(
    lambda _: (
        update(resource)
        .where(
            resource.c.kind == parameter("of_kind", resource.c.kind),
            resource.c.name == parameter("of_name", resource.c.name),
        )
        .values(
            {
                name: parameter(f"new_{name}", resource.c[name])
                for name in ("spec", "secrets", "folder", "private")
            }
        )
    ),
    *("new_spec", "new_secrets", "new_folder", "new_private", "of_kind", "of_name"),
)
_NEW_REPOSITORIES = select(resource.c.id).where(
    resource.c.kind == Kind.REPOSITORY.value, resource.c.id.not_in(select(repository.c.id))
)
_IDS = (
    select(resource.c.name, repository.c.id)
    .join(repository, repository.c.id == resource.c.id)
    .where(resource.c.name.in_(listed("names")))
)


def _has_origin(remotes: str) -> ColumnElement[bool]:
    """Return the condition that one of the listed remotes has an artifact."""
    return exists(
        select(1).where(
            artifact_origin.c.sha256 == artifact.c.sha256,
            artifact_origin.c.remote.in_(listed(remotes)),
        )
    )


_ONLY_FROM = (
    select(unit.c.digest, artifact.c.sha256)
    .join(membership, membership.c.unit_id == unit.c.id)
    .join(unit_artifact, unit_artifact.c.unit_id == unit.c.id)
    .join(artifact, artifact.c.sha256 == unit_artifact.c.sha256)
    .where(
        membership.c.repository_id == parameter("repository_id", membership.c.repository_id),
        at(parameter("number", membership.c.added)),
    )
    .where(~artifact.c.stored)
    .where(_has_origin("remotes"), ~_has_origin("others"))
)
_START = ignoring(repository, "id", "number", "digest")
_VERSION_0 = plain(schema.version, "repository_id", "number", "digest", "created_at", "provenance")

# Deletion goes against the order in which things come into being: what refers goes before what it
# refers to.
_OF_PUBLICATION = (
    pointer,
    schema.pulled_page,
    schema.pulled_group,
    schema.pulled_file,
    schema.publication_withheld,
    schema.publication_emitted,
    schema.publication_entry,
    schema.index_entry,
    schema.publication_index,
    publication,
)
_OF_REPOSITORY = (
    schema.version_count,
    schema.version,
    schema.repository_plugin,
    schema.source_group,
    schema.delisted_unit,
    schema.source_state,
    schema.mark,
    schema.removed_upload,
    schema.membership,
    schema.repository_bucket,
    schema.repository_group,
)


class ResourceReads(Reading):
    """The recorded resources, without content."""

    def repository_ids(self) -> dict[str, int]:
        """Return the ID of each repository by its name."""
        with self._reading.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(_REPOSITORY_IDS)}

    def actual_state(self) -> ActualState:
        """Return everything that is recorded of resources.

        Four queries of one snapshot, however many resources there are.
        """
        with self._reading.connect() as connection:
            resources = connection.execute(_RESOURCES).all()
            repositories = connection.execute(_REPOSITORIES).all()
            units = {row[0]: row[1] for row in connection.execute(_UNITS)}
            pointed = {row[0]: row for row in connection.execute(_POINTED)}
        kinds = {kind.value: kind for kind in Kind}
        recorded, names, publications = {}, {}, {}
        for id_, kind, name, labels, notes, spec, secrets, folder in resources:
            ref = Ref(kinds[kind], name)
            recorded[ref] = ActualResource(
                ref,
                from_json(labels),
                from_json(notes),
                from_json(spec),
                from_json(secrets),
                folder,
            )
            names[id_] = name
            if ref.kind is Kind.PUBLICATION:
                publications[name] = _publication(id_, name, pointed.get(id_))
        latest = {
            names[row[0]]: ActualRepository(
                row[0], names[row[0]], row[1], Digest(row[2]), int(units.get(row[0], 0))
            )
            for row in repositories
        }
        return ActualState(recorded, latest, publications)

    def only_from(
        self, remotes: Sequence[str], repository_id: int, number: int, *, others: Collection[str]
    ) -> dict[Digest, set[Digest]]:
        """Return units of a version that only these remotes can provide, by artifact digest.

        Their bytes are not in the store.

        Args:
            remotes: Names of remotes.
            repository_id: The repository.
            number: The version.
            others: Further remotes that its bytes may come from; other repositories' do not count.
        """
        units: dict[Digest, set[Digest]] = {}
        values = {
            "remotes": list(remotes),
            "others": sorted(set(others) - set(remotes)),
            "repository_id": repository_id,
            "number": number,
        }
        with self._reading.connect() as connection:
            for unit_digest, sha256 in connection.execute(_ONLY_FROM, values):
                units.setdefault(Digest(sha256), set()).add(Digest(unit_digest))
        return units


class ResourceWrites(Writing):
    """Record and delete resources."""

    def record_resources(
        self,
        resources: Sequence[Resource],
        *,
        now: datetime,
        secrets: Mapping[Ref, Mapping[str, str]] = MappingProxyType({}),
        deleted: Sequence[Ref] = (),
        attachments: Mapping[str, Sequence[Attachment]] = MappingProxyType({}),
    ) -> None:
        """Record resources as given and delete others, in one transaction.

        A deleted resource goes with everything that it held; a new Repository has version 0.

        Args:
            resources: Resources to record.
            now: Time of the record.
            secrets: Fingerprints of secrets by resource and the reference's path in the spec.
            deleted: Resources to delete.
            attachments: Plugins that repositories use from now on, by repository name; others stay
            attached.
        """
        with self._new_generation() as connection:
            for ref in sorted(deleted, key=lambda ref: ref.kind is not Kind.PUBLICATION):
                _delete(connection, ref)
            _RECORD(
                connection,
                [_row(declared, secrets.get(declared.meta.ref, {}), now) for declared in resources],
            )
            new = list(connection.execute(_NEW_REPOSITORIES).scalars())
            _START(connection, [(id_, 0, EMPTY_VERSION.raw) for id_ in new])
            _VERSION_0(connection, [(id_, 0, EMPTY_VERSION.raw, now, "{}") for id_ in new])
            for batch in batches(attachments):
                for name, id_ in connection.execute(_IDS, {"names": batch}).all():
                    write_attachments(connection, id_, attachments[name])
        logger.debug("recorded resources: %d, removed: %d", len(resources), len(deleted))

    def update_metadata(self, resources: Sequence[ActualResource]) -> None:
        """Replace specifications, secret fingerprints and folders of recorded resources.

        Nothing else changes.
        """
        if resources:
            rows = [
                (
                    to_json(resource.spec),
                    to_json(resource.secrets),
                    resource.folder,
                    is_private(resource.spec),
                    resource.ref.kind.value,
                    resource.ref.name,
                )
                for resource in resources
            ]
            with self._new_generation() as connection:
                _AMEND(connection, rows)
            logger.debug("resources with updated metadata: %d", len(rows))


def _publication(id_: int, name: str, row: Sequence[Any] | None) -> ActualPublication:
    if row is None:
        return ActualPublication(id_, name)
    _, version, version_digest, digest, number, *verdict = row
    return ActualPublication(
        id_, name, version, Digest(version_digest), Digest(digest), number, verdict_from(verdict)
    )


def _row(declared: Resource, secrets: Mapping[str, str], now: datetime) -> tuple[object, ...]:
    meta = declared.meta
    served: tuple[object, ...] = (None, None, None, None)
    if isinstance(declared, Publication):
        served = (declared.path, declared.publisher, declared.grace, declared.base_url)
    texts = (to_json(part) for part in (meta.labels, meta.annotations, declared.spec, secrets))
    private = isinstance(declared, Publication) and is_private(declared.spec)
    folder = folder_of(meta.origin.file)
    return (meta.kind.value, meta.name, *texts, folder, *served, private, now, now)


def is_private(spec: Mapping[str, Any]) -> bool:
    """Return True for a publication that not every client may read; also where it is unclear."""
    access = spec.get("access")
    read = access.get("read", PUBLIC) if isinstance(access, Mapping) else PUBLIC
    return bool(read != PUBLIC)


def folder_of(file: str) -> str:
    """Return the absolute folder of a manifest; empty for one from no file (`-`, `<stdin>`)."""
    return (
        "" if file in ("", "-") or file.startswith("<") else os.path.dirname(os.path.abspath(file))
    )


def _delete(connection: Connection, ref: Ref) -> None:
    id_ = connection.execute(
        select(resource.c.id).where(resource.c.kind == ref.kind.value, resource.c.name == ref.name)
    ).scalar()
    if id_ is None:
        return
    if ref.kind is Kind.PUBLICATION:
        for table in _OF_PUBLICATION:
            connection.execute(delete(table).where(table.c.publication_id == id_))
    if ref.kind is Kind.REPOSITORY:
        stages = select(schema.stage.c.id).where(schema.stage.c.repository_id == id_)
        connection.execute(
            delete(schema.stage_member).where(schema.stage_member.c.stage_id.in_(stages))
        )
        connection.execute(
            delete(schema.stage_group).where(schema.stage_group.c.stage_id.in_(stages))
        )
        for table in (schema.stage, *_OF_REPOSITORY):
            connection.execute(delete(table).where(table.c.repository_id == id_))
        connection.execute(delete(repository).where(repository.c.id == id_))
    connection.execute(delete(resource).where(resource.c.id == id_))
