"""Build a Remote from one document."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from reconciler.manifest.canonical import canonical
from reconciler.manifest.kinds import (
    SECRET_HEADERS,
    Manifest,
    RemoteManifest,
    RemoteSpec,
    SecretReference,
)
from reconciler.manifest.plugin_lookup import Usable
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation import Checked
from reconciler.manifest.validation_messages import suggestion
from reconciler.model import DEFAULT_MAX_SIZE, Auth, Egress, Remote, Secret, Tls

_SENT = ("auth", "tls", "proxy", "headers")


def remote(checked: Checked, manifest: Manifest | None, importer: Usable | None) -> Remote | None:
    """Return the remote that a document declares, or None and faults."""
    _check_location(checked, importer)
    _check_headers(checked)
    _check_certificate(checked)
    if importer is None or not isinstance(manifest, RemoteManifest):
        return None
    spec = manifest.spec
    return Remote(
        meta=manifest.meta(checked.document.place()),
        spec=canonical(checked.mapping("spec"), spec),
        type=spec.type,
        index=spec.index,
        url=spec.url if spec.url is None else _address(checked, spec.url),
        policy=spec.policy,
        auth=_auth(checked, spec),
        tls=_tls(checked, spec),
        proxy=spec.proxy,
        headers={name: _secret_or_text(checked, value) for name, value in spec.headers.items()},
        retries=spec.retries,
        concurrency=spec.concurrency,
        rate_limit=spec.rate_limit,
        redirects=spec.redirects,
        egress=Egress(tuple(spec.egress.allow), tuple(spec.egress.deny)),
        max_size=DEFAULT_MAX_SIZE if spec.max_size is None else spec.max_size,
        **_timeouts(spec),
    )


def secret(checked: Checked, reference: SecretReference) -> Secret:
    """Return a reference as `Secret`, with the absolute path of its file."""
    return Secret(
        reference.env, None if reference.file is None else checked.absolute(reference.file)
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
    if not url.startswith(("/", ".")):
        return url
    path = "/" + checked.absolute(url).strip("/")
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


def _secret_or_text(checked: Checked, value: str | SecretReference) -> str | Secret:
    return value if isinstance(value, str) else secret(checked, value)


def _auth(checked: Checked, spec: RemoteSpec) -> Auth | None:
    return (
        Auth(_secret_or_text(checked, spec.auth.username), secret(checked, spec.auth.password))
        if spec.auth
        else None
    )


def _tls(checked: Checked, spec: RemoteSpec) -> Tls:
    tls = spec.tls
    return Tls(
        verify=tls.verify,
        ca=tls.ca and checked.absolute(tls.ca),
        client_cert=tls.client_cert and checked.absolute(tls.client_cert),
        client_key=secret(checked, tls.client_key) if tls.client_key else None,
    )


def _timeouts(spec: RemoteSpec) -> dict[str, Any]:
    """Return the timeouts that are written; `Remote` has defaults for the others."""
    timeouts = {
        "connect_timeout": spec.timeouts.connect,
        "read_timeout": spec.timeouts.read,
        "total_timeout": spec.timeouts.total,
    }
    return {name: value.total_seconds() for name, value in timeouts.items() if value is not None}
