"""Build a Remote from one document."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

from reconciler.manifest.canonical import canonical
from reconciler.manifest.connections import (
    check_connection,
    check_destinations,
    connection,
    password,
    sent_secrets,
)
from reconciler.manifest.kinds import Manifest, RemoteManifest
from reconciler.manifest.plugin_lookup import Usable
from reconciler.manifest.remote_defaults import REMOTE_KEYS, remote_keys
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation import Checked
from reconciler.manifest.validation_messages import suggestion
from reconciler.model import DEFAULT_MAX_SIZE, Remote
from reconciler.reach import Use

_SENT = ("auth", "tls", "proxy", "headers", "mirrors")


def remote(checked: Checked, manifest: Manifest | None, importer: Usable | None) -> Remote | None:
    """Return the remote that a document declares, or None and faults."""
    _check_location(checked, importer)
    check_connection(checked, ("spec",))
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
        max_size=DEFAULT_MAX_SIZE if spec.max_size is None else spec.max_size,
        mirrors=tuple(spec.mirrors),
        auth=None if spec.auth is None else password(spec.auth.username, spec.auth.password),
        **connection(checked, ("spec",), spec),
    )
    url = result.url or importer.cls.well_known(result.index or "")
    check_destinations(checked, ("spec",), sent_secrets(result, url))
    return result


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
