"""Keyed fingerprints of secrets: they tell changed from unchanged and never hold a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.errors import UsageFault
from reconciler.model import DesiredState, Publication, Ref, Remote, Secret
from reconciler.secret_values import fingerprint, reveal


def fingerprints(desired: DesiredState, key: bytes | None) -> dict[Ref, dict[str, str]]:
    """Return the fingerprints of every secret, by resource and by path in its spec.

    A secret that cannot be read now has none; the call that uses it raises the reason. Without a
    key (a plan for a home that does not exist yet) the result is empty.
    """
    if key is None:
        return {}
    remotes = {
        remote.meta.ref: dict(_fingerprints_of(_remote_secrets(remote), key))
        for remote in desired.remotes.values()
    }
    return remotes | {
        publication.meta.ref: dict(_fingerprints_of(_publication_secrets(publication), key))
        for publication in desired.publications.values()
        if publication.uploaders
    }


def _fingerprints_of(
    secrets: Iterable[tuple[str, Secret]], key: bytes
) -> Iterator[tuple[str, str]]:
    for path, secret in secrets:
        try:
            yield path, fingerprint(key, reveal(secret))
        except UsageFault:
            continue


def _remote_secrets(remote: Remote) -> Iterator[tuple[str, Secret]]:
    if remote.auth is not None:
        yield "spec.auth.password", remote.auth.password
        if isinstance(remote.auth.username, Secret):
            yield "spec.auth.username", remote.auth.username
    if remote.tls.client_key is not None:
        yield "spec.tls.clientKey", remote.tls.client_key
    for name, value in remote.headers.items():
        if isinstance(value, Secret):
            yield f"spec.headers.{name}", value


def _publication_secrets(publication: Publication) -> Iterator[tuple[str, Secret]]:
    for number, uploader in enumerate(publication.uploaders):
        if uploader.token is not None:
            yield f"spec.access.upload[{number}].token", uploader.token
        if uploader.password is not None:
            yield f"spec.access.upload[{number}].password", uploader.password
