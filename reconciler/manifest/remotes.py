"""Build a Remote from one document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from reconciler.manifest.canonical import canonical
from reconciler.manifest.kinds import (
    SECRET_HEADERS,
    Manifest,
    RemoteManifest,
    RemoteSpec,
)
from reconciler.manifest.plugin_lookup import Usable
from reconciler.manifest.remote_defaults import REMOTE_KEYS, remote_keys
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation import Checked
from reconciler.manifest.validation_messages import suggestion
from reconciler.model import DEFAULT_MAX_SIZE, Auth, Egress, Remote, Secret, Tls
from reconciler.plugin import Secret as SecretOption
from reconciler.reach import SECRET_HOSTS, OutOfReach, Reach, Use
from reconciler.redaction import sanitize

_SENT = ("auth", "tls", "proxy", "headers", "mirrors")


def remote(checked: Checked, manifest: Manifest | None, importer: Usable | None) -> Remote | None:
    """Return the remote that a document declares, or None and faults."""
    _check_location(checked, importer)
    _check_headers(checked)
    _check_certificate(checked)
    own = remote_keys(checked, importer) if importer is not None else None
    if importer is None or own is None or not isinstance(manifest, RemoteManifest):
        return None
    spec = manifest.spec
    core = {key: value for key, value in checked.mapping("spec").items() if key in REMOTE_KEYS}
    result = Remote(
        meta=manifest.meta(checked.document.place()),
        spec=canonical(core, spec) | own,
        type=spec.type,
        index=spec.index,
        url=spec.url if spec.url is None else _address(checked, spec.url),
        policy=spec.policy,
        auth=_auth(spec),
        tls=_tls(checked, spec),
        proxy=spec.proxy,
        headers={name: _secret_or_text(value) for name, value in spec.headers.items()},
        retries=spec.retries,
        concurrency=spec.concurrency,
        rate_limit=spec.rate_limit,
        redirects=spec.redirects,
        egress=Egress(tuple(spec.egress.allow), tuple(spec.egress.deny)),
        max_size=DEFAULT_MAX_SIZE if spec.max_size is None else spec.max_size,
        mirrors=tuple(spec.mirrors),
        **_timeouts(spec),
    )
    checked.ask(("spec",), partial(_check_destinations, sent_secrets(result, importer.cls)))
    return result


class SentSecret(NamedTuple):
    """A secret of a remote, and a host that it goes to."""

    secret: Secret
    host: str
    port: int | None


def sent_secrets(remote: Remote, importer: Any) -> list[SentSecret]:
    """Return the secrets of a remote with each host that sees them: its own, and its proxy's."""
    url = remote.url or importer.well_known(remote.index or "")
    hosts = [urlsplit(address) for address in (url, remote.proxy) if address]
    return [
        SentSecret(own, host.hostname, host.port)
        for own in _secrets(remote)
        for host in hosts
        if host.hostname
    ]


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
        if not reach.limits.allows_host(own.host, own.port):
            raise OutOfReach(
                f"the secret `{own.secret}` must not be sent to `{sanitize(own.host, 200)}`",
                hint=f"`{SECRET_HOSTS}` lists the hosts that secrets may go to",
            )


def _check_location(checked: Checked, importer: Usable | None) -> None:
    """Check that there is exactly one of `index` and `url`.

    An index must be well-known to the plugin; a local remote has no settings of requests.
    """
    index, url = checked.get("spec", "index"), checked.get("spec", "url")
    if isinstance(checked.get("spec"), dict) and (index is None) == (url is None):
        both = index is not None
        message = "`spec` has both `index` and `url`" if both else "`spec` lacks `index` or `url`"
        checked.refuse(
            ("spec", "url") if both else ("spec",),
            message,
            "a remote is either a well-known index or a URL",
            key=True,
        )
    if isinstance(index, str) and importer is not None and importer.cls.well_known(index) is None:
        names = importer.cls.well_known_names
        checked.refuse(
            ("spec", "index"),
            f"unknown index `{shown(index)}`",
            suggestion(index, names, None if names else "use `url:`"),
        )
    if isinstance(url, str) and url.startswith(("file:", "/", ".")):
        for key in _SENT:
            if checked.get("spec", key):
                checked.refuse(
                    ("spec", key),
                    f"`spec.{key}`: a local remote sends nothing",
                    "leave it out: `url` is a place on disk",
                    key=True,
                )


def _address(checked: Checked, url: str) -> str:
    """Return a path on disk as a `file:` URL; a slash at its end is kept."""
    if url.startswith("file:"):
        checked.readable(("spec", "url"), unquote(urlsplit(url).path), Use.CONTENT)
    if not url.startswith(("/", ".")):
        return url
    path = "/" + checked.readable(("spec", "url"), url, Use.CONTENT).strip("/")
    folder = url.endswith(("/", "/.", "/..")) and path != "/"
    return "file://" + quote(path + ("/" if folder else ""))


def _check_headers(checked: Checked) -> None:
    for name, value in checked.mapping("spec", "headers").items():
        if not isinstance(value, str):
            continue
        path = ("spec", "headers", name)
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


def _check_certificate(checked: Checked) -> None:
    tls = checked.mapping("spec", "tls")
    if tls.get("clientKey") is not None and tls.get("clientCert") is None:
        checked.refuse(
            ("spec", "tls", "clientKey"),
            "`clientKey` without `clientCert`",
            "name the certificate that belongs to the key",
            key=True,
        )


def _secret_or_text(value: str | SecretOption) -> str | Secret:
    return value if isinstance(value, str) else value.reference


def _auth(spec: RemoteSpec) -> Auth | None:
    if spec.auth is None:
        return None
    return Auth(_secret_or_text(spec.auth.username), spec.auth.password.reference)


def _tls(checked: Checked, spec: RemoteSpec) -> Tls:
    tls, place = spec.tls, ("spec", "tls")
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


def _timeouts(spec: RemoteSpec) -> dict[str, Any]:
    """Return the timeouts that are written; `Remote` has defaults for the others."""
    timeouts = {
        "connect_timeout": spec.timeouts.connect,
        "read_timeout": spec.timeouts.read,
        "total_timeout": spec.timeouts.total,
    }
    return {name: value.total_seconds() for name, value in timeouts.items() if value is not None}
