"""Build the indexes that a publication is sent to, from entries of its `exports`."""

from __future__ import annotations

from typing import Any

from reconciler.manifest.connections import (
    check_connection,
    check_destinations,
    check_login_destinations,
    connection,
    password,
    sent_secrets,
)
from reconciler.manifest.document import Path
from reconciler.manifest.kinds import IndexAuthSpec, IndexSpec, PublicationManifest
from reconciler.manifest.plugin_lookup import Usable
from reconciler.manifest.plugin_options import plugin_keys
from reconciler.manifest.validation import Checked
from reconciler.manifest.validation_messages import keys
from reconciler.model import TOKEN_USER, Auth, IndexExport, Kind, Meta, Remote
from reconciler.plugin import OptionFault, Options

INDEX_KEYS = tuple(keys(IndexSpec))


def index_exports(
    checked: Checked, manifest: PublicationManifest, publisher: Usable
) -> tuple[IndexExport, ...] | None:
    """Return the indexes that a publication is sent to; None and faults where one is wrong."""
    built = [
        _index_export(checked, manifest, publisher, number=number)
        for number, export in enumerate(manifest.spec.exports)
        if export.index is not None
    ]
    exports = tuple(export for export in built if export is not None)
    return exports if len(exports) == len(built) else None


def _index_export(
    checked: Checked, manifest: PublicationManifest, publisher: Usable, *, number: int
) -> IndexExport | None:
    place: Path = ("spec", "exports", number, "index")
    exporter: Any = publisher.cls.exporter
    if exporter is None:
        checked.refuse(
            place,
            f"publisher `{publisher.id}` cannot be sent to an index",
            "`directory` exports a tree of files",
            key=True,
        )
        return None
    spec = manifest.spec.exports[number].index
    assert spec is not None
    check_connection(checked, place)
    left = plugin_keys(checked, place, INDEX_KEYS)
    options = checked.against(exporter.options, place, left, also=INDEX_KEYS)
    if options is None or not _is_sound(checked, place, exporter, spec=spec, options=options):
        return None
    remote = Remote(
        meta=Meta(
            Kind.PUBLICATION,
            f"{manifest.metadata.name}.exports[{number}]",
            checked.document.place(place),
        ),
        spec={},
        type=publisher.id,
        index=spec.name,
        url=spec.url,
        auth=_auth(spec.auth),
        **connection(checked, place, spec),
    )
    check_destinations(checked, place, sent_secrets(remote, upload_url(remote, exporter, options)))
    if remote.auth is None:  # the exporter looks for credentials where it runs
        check_login_destinations(checked, place, remote)
    return IndexExport(remote, options)


def upload_url(remote: Remote, exporter: Any, options: Options) -> str | None:
    """Return the URL that files are sent to; None for a name that needs not be looked up.

    The user's configuration is read only where a secret of the manifest goes to what it names.
    """
    if remote.url is not None or not sent_secrets(remote, "https://unknown.invalid/"):
        return remote.url
    try:
        located: str = exporter.location(remote.index or "", "", options).upload
    except OptionFault:  # said when something is to be sent
        return None
    return located


def _is_sound(
    checked: Checked, place: Path, exporter: Any, *, spec: IndexSpec, options: Options
) -> bool:
    try:
        exporter.check(spec.name or "", spec.url or "", options)
    except OptionFault as fault:
        checked.refuse(place, str(fault), fault.hint)
        return False
    return True


def _auth(spec: IndexAuthSpec | None) -> Auth | None:
    if spec is None:
        return None
    if spec.token is not None:
        return Auth(TOKEN_USER, spec.token.reference)
    assert spec.username is not None
    assert spec.password is not None
    return password(spec.username, spec.password)
