"""Secrets as far as the record may know them: a keyed fingerprint that tells changed from
unchanged, never the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.errors import UsageFault
from reconciler.model import DesiredState, Publication, Ref, Remote, Secret
from reconciler.remote import fingerprint, reveal


def fingerprints(desired: DesiredState, key: bytes | None) -> dict[Ref, dict[str, str]]:
    """By resource and path in its spec. A secret that cannot be read now has none: using it will
    say why.
    """
    if key is None:
        return {}
    remotes = {
        remote.meta.ref: dict(_of(_of_remote(remote), key)) for remote in desired.remotes.values()
    }
    return remotes | {
        publication.meta.ref: dict(_of(_of_publication(publication), key))
        for publication in desired.publications.values()
        if publication.uploaders
    }


def _of(secrets: Iterable[tuple[str, Secret]], key: bytes) -> Iterator[tuple[str, str]]:
    for path, secret in secrets:
        try:
            yield path, fingerprint(key, reveal(secret))
        except UsageFault:
            continue


def _of_remote(remote: Remote) -> Iterator[tuple[str, Secret]]:
    if remote.auth is not None:
        yield "spec.auth.password", remote.auth.password
        if isinstance(remote.auth.username, Secret):
            yield "spec.auth.username", remote.auth.username
    if remote.tls.client_key is not None:
        yield "spec.tls.clientKey", remote.tls.client_key
    for name, value in remote.headers.items():
        if isinstance(value, Secret):
            yield f"spec.headers.{name}", value


def _of_publication(publication: Publication) -> Iterator[tuple[str, Secret]]:
    for number, uploader in enumerate(publication.uploaders):
        if uploader.token is not None:
            yield f"spec.access.upload[{number}].token", uploader.token
        if uploader.password is not None:
            yield f"spec.access.upload[{number}].password", uploader.password
