"""Settings of a connection: of a Remote, and of an index that a publication is sent to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from reconciler.manifest.document import Path
from reconciler.manifest.kinds import SECRET_HEADERS, ConnectionSpec, TlsSpec
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation import Checked
from reconciler.model import Auth, Egress, Remote, Secret, Tls
from reconciler.plugin import Secret as SecretOption
from reconciler.reach import SECRET_HOSTS, OutOfReach, Reach, Use
from reconciler.redaction import sanitize


def check_connection(checked: Checked, place: Path) -> None:
    """Check what a schema cannot express of the settings at `place`."""
    _check_headers(checked, place)
    _check_certificate(checked, place)


def connection(checked: Checked, place: Path, spec: ConnectionSpec) -> dict[str, Any]:
    """Return the settings at `place` as fields of a Remote."""
    return {
        "tls": _tls(checked, (*place, "tls"), spec.tls),
        "proxy": spec.proxy,
        "headers": {name: _secret_or_text(value) for name, value in spec.headers.items()},
        "retries": spec.retries,
        "concurrency": spec.concurrency,
        "rate_limit": spec.rate_limit,
        "redirects": spec.redirects,
        "egress": Egress(tuple(spec.egress.allow), tuple(spec.egress.deny)),
        **_timeouts(spec),
    }


def password(username: str | SecretOption, secret: SecretOption) -> Auth:
    """Return a user with a password."""
    return Auth(_secret_or_text(username), secret.reference)


def check_destinations(checked: Checked, place: Path, sent: Iterable[SentSecret]) -> None:
    """Check that secrets go to hosts of the setting only; add a fault at `place` if not."""
    checked.ask(place, partial(_check_destinations, sent))


def check_login_destinations(checked: Checked, place: Path, remote: Remote) -> None:
    """Check that credentials which are found here go to hosts of the setting only.

    Those are the identity of a CI job and what the user has for an index. The host of a name is the
    user's own choice; a URL and a proxy are the manifest's. Adds a fault at `place` if not.
    """
    checked.ask(
        place, partial(_check_hosts, "credentials of this machine", _hosts(remote, remote.url))
    )


class SentSecret(NamedTuple):
    """A secret of a remote, and a host that it goes to."""

    secret: Secret
    host: str
    port: int | None


def sent_secrets(remote: Remote, url: str | None) -> list[SentSecret]:
    """Return the secrets of a remote with each host that sees them: its own, and its proxy's.

    `url`: its own, as far as that is known.
    """
    hosts = _hosts(remote, url)
    return [SentSecret(own, *host) for own in _secrets(remote) for host in hosts]


def _hosts(remote: Remote, url: str | None) -> list[tuple[str, int | None]]:
    """Return the hosts that see what is sent to `url`."""
    hosts = [urlsplit(address) for address in (url, remote.proxy) if address]
    return [(host.hostname, host.port) for host in hosts if host.hostname]


def _secrets(remote: Remote) -> Iterator[Secret]:
    """Yield the secrets of a remote; a certificate without a key beside it holds the key itself."""
    auth, tls = remote.auth, remote.tls
    values = [*((auth.username, auth.password) if auth else ()), *remote.headers.values()]
    yield from dict.fromkeys(value for value in values if isinstance(value, Secret))
    if tls.client_cert is not None:
        yield tls.client_key or Secret(None, tls.client_cert)


def _check_destinations(sent: Iterable[SentSecret], reach: Reach) -> None:
    """Check that secrets go to hosts of the setting only. Raises OutOfReach."""
    for own in sent:
        _check_hosts(f"the secret `{own.secret}`", [(own.host, own.port)], reach)


def _check_hosts(what: str, hosts: Iterable[tuple[str, int | None]], reach: Reach) -> None:
    for host, port in hosts:
        if not reach.limits.allows_host(host, port):
            raise OutOfReach(
                f"{what} must not be sent to `{sanitize(host, 200)}`",
                hint=f"`{SECRET_HOSTS}` lists the hosts that secrets may go to",
            )


def _check_headers(checked: Checked, place: Path) -> None:
    for name, value in checked.mapping(*place, "headers").items():
        if not isinstance(value, str):
            continue
        path = (*place, "headers", name)
        if name.lower() in SECRET_HEADERS:
            checked.refuse(
                path,
                f"the header `{shown(name)}` holds a secret",
                "refer to it: `{env: NAME}` or `{file: path}`",
            )
        elif not (value.isprintable() and value.isascii()):
            checked.refuse(
                path,
                f"the header `{shown(name)}` holds characters that HTTP does not carry",
                "printable ASCII, on one line",
            )


def _check_certificate(checked: Checked, place: Path) -> None:
    tls = checked.mapping(*place, "tls")
    if tls.get("clientKey") is not None and tls.get("clientCert") is None:
        checked.refuse(
            (*place, "tls", "clientKey"),
            "`clientKey` without `clientCert`",
            "name the certificate that belongs to the key",
            key=True,
        )


def _secret_or_text(value: str | SecretOption) -> str | Secret:
    return value if isinstance(value, str) else value.reference


def _tls(checked: Checked, place: Path, tls: TlsSpec) -> Tls:
    certificate = (*place, "clientCert")
    if tls.client_cert is not None and tls.client_key is None:  # it holds the key as well
        path = checked.absolute(tls.client_cert)
        checked.ask(certificate, lambda reach: reach.secret_file(path))
    return Tls(
        verify=tls.verify,
        ca=tls.ca and checked.readable((*place, "ca"), tls.ca, Use.TRUST),
        client_cert=tls.client_cert
        and checked.readable(certificate, tls.client_cert, Use.CERTIFICATE),
        client_key=tls.client_key.reference if tls.client_key else None,
    )


def _timeouts(spec: ConnectionSpec) -> dict[str, Any]:
    """Return the timeouts that are written; `Remote` has defaults for the others."""
    timeouts = {
        "connect_timeout": spec.timeouts.connect,
        "read_timeout": spec.timeouts.read,
        "total_timeout": spec.timeouts.total,
    }
    return {name: value.total_seconds() for name, value in timeouts.items() if value is not None}
