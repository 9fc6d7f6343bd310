"""Records of resources: as declared, or only the metadata that waits for no content.

The folder of a manifest, to which relative paths are relative, follows the manifest at once. So
does `access` of a publication: a removed uploader or reader is denied even while the rest of the
publication waits.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from reconciler.database import Attachment
from reconciler.database.resources import folder_of
from reconciler.engine.session.session import WritingSession
from reconciler.model import (
    AccessRule,
    ActualResource,
    ActualState,
    DesiredState,
    Publication,
    Ref,
    Resource,
    Secret,
)

ACCESS = "access"

Fingerprints = Mapping[Ref, Mapping[str, str]]


class ResourceRecorder:
    """Records declared resources, with the fingerprints of their secrets."""

    def __init__(
        self, session: WritingSession, desired: DesiredState, fingerprints: Fingerprints
    ) -> None:
        self._session = session
        self._desired = desired
        self._fingerprints = fingerprints

    def record(
        self,
        refs: Collection[Ref],
        *,
        deleted: Iterable[Ref] = (),
        attachments: Mapping[str, Sequence[Attachment]] = MappingProxyType({}),
    ) -> list[Resource]:
        """Record resources as declared and delete others, in one transaction.

        Args:
            refs: Declared resources.
            deleted: Resources whose rows are deleted.
            attachments: Plugins that repositories use from now on, by name.

        Returns:
            The resources that were recorded.
        """
        resources = [resource for resource in self._desired if resource.meta.ref in refs]
        gone = list(deleted)
        if resources or gone or attachments:
            self._session.writer.record_resources(
                resources,
                now=self._session.clock(),
                secrets=self._fingerprints,
                deleted=gone,
                attachments=attachments,
            )
        return resources

    def update_metadata(self, before: ActualState, recorded: Container[Ref]) -> None:
        """Record folders and `access` of resources that are not `recorded` as declared."""
        self._session.writer.update_metadata(
            list(metadata_updates(self._desired, before, recorded, fingerprints=self._fingerprints))
        )


def metadata_updates(
    desired: DesiredState,
    before: ActualState,
    recorded: Container[Ref],
    *,
    fingerprints: Fingerprints,
) -> Iterator[ActualResource]:
    """Yield recorded resources with their new folder or `access`.

    Args:
        recorded: Resources that are recorded as declared anyway.
    """
    for resource in desired:
        ref = resource.meta.ref
        current = before.resources.get(ref)
        if current is None or ref in recorded:
            continue
        updated = _updated(resource, current, fingerprints.get(ref, {}))
        if updated != current:
            yield updated


def _updated(
    resource: Resource, current: ActualResource, secrets: Mapping[str, str]
) -> ActualResource:
    folder = folder_of(resource.meta.origin.file)
    updated = current
    if folder and folder != current.folder and resource.spec == current.spec:
        updated = msgspec.structs.replace(updated, folder=folder)
    access = resource.spec.get(ACCESS)
    if isinstance(resource, Publication) and access != current.spec.get(ACCESS):
        spec = _with_access(resource, current, folder)
        updated = msgspec.structs.replace(updated, spec=spec, secrets=secrets)
    return updated


def _with_access(publication: Publication, current: ActualResource, folder: str) -> dict[str, Any]:
    """Return the recorded specification with the declared `access`.

    Where it was recorded in another folder, paths of secrets become absolute.
    """
    spec = {key: value for key, value in current.spec.items() if key != ACCESS}
    if access := publication.spec.get(ACCESS):
        spec[ACCESS] = access if folder == current.folder else _rebased(access, publication)
    return spec


def _rebased(access: Mapping[str, Any], publication: Publication) -> dict[str, Any]:
    """Return the rules as they are written, with absolute paths of secrets."""
    rules = publication.access_rules
    return {key: [*map(_rule, access[key], rules[key])] for key in rules if key in access}


def _rule(written: Mapping[str, Any], rule: AccessRule) -> dict[str, Any]:
    secrets = {"token": rule.token, "password": rule.password}
    return dict(written) | {
        key: _secret(secret) for key, secret in secrets.items() if secret is not None
    }


def _secret(secret: Secret) -> dict[str, str]:
    return {"env": secret.env} if secret.env is not None else {"file": secret.file or ""}
