"""What is set right in the record of resources that are not recorded anew: it waits for no content,
and is no change of a plan.

The folder of a manifest, which says where relative paths lead, follows the manifest. Who may send
files to a publication is taken as declared even while the publication waits: whoever is no longer
named is let in no longer.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

import msgspec

from reconciler.database.resources import folder_of
from reconciler.model import (
    ActualResource,
    ActualState,
    DesiredState,
    Publication,
    Ref,
    Secret,
    Uploader,
)

ACCESS = "access"


def amendments(
    desired: DesiredState,
    before: ActualState,
    written: Container[Ref],
    fingerprints: Mapping[Ref, Mapping[str, str]],
) -> Iterator[ActualResource]:
    """Recorded resources as they should be recorded instead. `written`: those that are recorded as
    declared anyway.
    """
    for resource in desired:
        recorded = before.resources.get(resource.meta.ref)
        if recorded is None or resource.meta.ref in written:
            continue
        amended = recorded
        folder = folder_of(resource.meta.origin.file)
        if folder and folder != recorded.folder and resource.spec == recorded.spec:
            amended = msgspec.structs.replace(amended, folder=folder)
        if isinstance(resource, Publication) and resource.spec.get(ACCESS) != recorded.spec.get(
            ACCESS
        ):
            secrets = fingerprints.get(resource.meta.ref, {})
            amended = msgspec.structs.replace(
                amended, spec=_let_in(resource, recorded, folder), secrets=secrets
            )
        if amended != recorded:
            yield amended


def _let_in(publication: Publication, recorded: ActualResource, folder: str) -> dict[str, Any]:
    """The recorded specification with the declared access; where its folder is another, paths of
    secrets are absolute.
    """
    spec = {key: value for key, value in recorded.spec.items() if key != ACCESS}
    if publication.uploaders:
        spec[ACCESS] = (
            publication.spec[ACCESS]
            if folder == recorded.folder
            else {"upload": [_uploader(uploader) for uploader in publication.uploaders]}
        )
    return spec


def _uploader(one: Uploader) -> dict[str, Any]:
    if one.token is not None:
        return {"token": _secret(one.token)}
    return {"username": one.username, "password": _secret(one.password or Secret())}


def _secret(secret: Secret) -> dict[str, str]:
    return {"env": secret.env} if secret.env is not None else {"file": secret.file or ""}
