"""Keyed fingerprints of secrets: they tell changed from unchanged and never hold a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from reconciler.errors import UsageFault
from reconciler.model import (
    ActualState,
    DesiredState,
    Filter,
    Publication,
    Ref,
    Remote,
    Repository,
    Resource,
    Secret,
)
from reconciler.plugin.secrets import secrets_of
from reconciler.secret_values import fingerprint, reveal


def no_key() -> None:
    """Return no key: nothing was recorded yet that a secret could be compared with."""


class SecretFingerprints:
    """Fingerprints under the key of one home.

    Args:
        key: Returns the key; None where the home does not exist yet: no secret has a fingerprint.
    """

    def __init__(self, key: Callable[[], bytes | None] = no_key) -> None:
        self._key = key

    def shown_by(self, publication: Publication, actual: ActualState) -> dict[str, str]:
        """Return the fingerprints of secrets in the options of a publisher, by place.

        They are part of what is served: a file that another key signs is another file. For a secret
        that cannot be read now, the recorded one stands; signing raises the reason.
        """
        secrets = {place: secret.reference for place, secret in secrets_of(publication.options)}
        key = self._key() if secrets else None
        if key is None:
            return {}
        recorded = actual.resources.get(publication.meta.ref)
        known = recorded.secrets if recorded is not None else {}
        current = dict(_fingerprints_of(secrets.items(), key))
        return {
            place: current.get(place) or known[place]
            for place in secrets
            if place in current or place in known
        }


def fingerprints(desired: DesiredState, key: bytes | None) -> dict[Ref, dict[str, str]]:
    """Return the fingerprints of every secret, by resource and by path in its spec.

    A secret that cannot be read now has none; the call that uses it raises the reason. Without a
    key (a plan for a home that does not exist yet) the result is empty.
    """
    if key is None:
        return {}
    of_resources = {
        resource.meta.ref: dict(_fingerprints_of(_secrets(resource), key)) for resource in desired
    }
    return {ref: by_place for ref, by_place in of_resources.items() if by_place}


def option_secrets(desired: DesiredState) -> Iterator[Secret]:
    """Yield the secrets that the options of plugins refer to."""
    for resource in desired:
        for _, secret in _option_secrets(resource):
            yield secret


def _secrets(resource: Resource) -> Iterator[tuple[str, Secret]]:
    if isinstance(resource, Remote):
        yield from _remote_secrets(resource)
    elif isinstance(resource, Publication):
        yield from _publication_secrets(resource)
    yield from _option_secrets(resource)


def _option_secrets(resource: Resource) -> Iterator[tuple[str, Secret]]:
    if isinstance(resource, Repository):
        options: Mapping[str, object] = {
            f"spec.sources[{number}].{source.kind.value}": source.options
            for number, source in enumerate(resource.sources)
        }
    elif isinstance(resource, (Filter, Publication)):
        options = {"spec": resource.options}
    else:
        options = {}
    for where, model in options.items():
        for place, secret in secrets_of(model, where):
            yield place, secret.reference


def _fingerprints_of(
    secrets: Iterable[tuple[str, Secret]], key: bytes
) -> Iterator[tuple[str, str]]:
    for path, secret in secrets:
        try:
            yield path, fingerprint(key, reveal(secret))
        except UsageFault:
            continue


def _remote_secrets(remote: Remote, where: str = "spec") -> Iterator[tuple[str, Secret]]:
    if remote.auth is not None:
        yield f"{where}.auth.password", remote.auth.password
        if isinstance(remote.auth.username, Secret):
            yield f"{where}.auth.username", remote.auth.username
    if remote.tls.client_key is not None:
        yield f"{where}.tls.clientKey", remote.tls.client_key
    for name, value in remote.headers.items():
        if isinstance(value, Secret):
            yield f"{where}.headers.{name}", value


def _publication_secrets(publication: Publication) -> Iterator[tuple[str, Secret]]:
    for export in publication.indexes:
        yield from _remote_secrets(export.connection, f"spec.{export.where}.index")
    for key, rules in publication.access_rules.items():
        for number, rule in enumerate(rules):
            if rule.token is not None:
                yield f"spec.access.{key}[{number}].token", rule.token
            if rule.password is not None:
                yield f"spec.access.{key}[{number}].password", rule.password
