"""One document into one resource: its kind's model, its plugin's model, and what only both together can tell."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.manifest.canonical import canonical
from reconciler.manifest.checking import Checked
from reconciler.manifest.document import Document, Path
from reconciler.manifest.kinds import (
    API,
    MANIFESTS,
    SECRET_HEADERS,
    FilterManifest,
    FilterSpec,
    Manifest,
    PublicationManifest,
    PublicationSpec,
    RemoteManifest,
    RemoteSpec,
    RepositoryManifest,
    SecretReference,
    SourceRemote,
)
from reconciler.manifest.plugins import Plugins, Unusable
from reconciler.manifest.scalars import shown
from reconciler.manifest.wording import keys, suggestion
from reconciler.model import Auth, Fault, Filter, Guard, Kind, Meta, Origin, Publication, Remote, Repository, Resource, Secret, Source, Tls
from reconciler.plugin import Importer, Options

_FILTER_KEYS = tuple(keys(FilterSpec))
_SOURCE_KEYS = tuple(keys(SourceRemote))
_PUBLICATION_KEYS = (*keys(PublicationSpec), *PublicationSpec.not_yet)


@dataclass(slots=True)
class Declaration:
    """A document that says which resource it declares, sound or not: enough for others to refer to it."""

    kind: Kind
    name: str
    checked: Checked
    manifest: Manifest | None
    origin: Origin
    resource: Resource | None = None


def declaration(document: Document, plugins: Plugins, faults: list[Fault]) -> Declaration | None:
    """Check one document by itself. None where it does not even say what it declares."""
    checked = Checked(document, faults)
    if not isinstance(document.value, dict):
        checked.refuse((), "expects a mapping with `apiVersion`, `kind`, `metadata` and `spec`")
        return None
    kind = checked.text("kind")
    if kind is None or kind not in MANIFESTS:
        _refuse_kind(checked)
        return None
    manifest = checked.against(MANIFESTS[kind], (), document.value)
    resource = _BUILDERS[Kind(kind)](checked, manifest, plugins)
    name = checked.text("metadata", "name")
    return None if name is None else Declaration(Kind(kind), name, checked, manifest, document.place(), resource)


def publication(declared: Declaration, repository_type: str | None, plugins: Plugins) -> Publication | None:
    """A publication with its publisher's options; `repository_type`: the publisher unless it names another."""
    checked, manifest = declared.checked, declared.manifest
    named = checked.text("spec", "publisher")
    publisher = _publisher(checked, named, repository_type, plugins)
    if publisher is None:
        return None
    model, id = publisher
    options = _plugin_options(checked, ("spec",), model, _PUBLICATION_KEYS)
    if options is None or not isinstance(manifest, PublicationManifest):
        return None
    spec = manifest.spec
    return Publication(
        meta=_meta(manifest, declared.origin),
        spec=_spec(checked, spec, options, _PUBLICATION_KEYS),
        repository=spec.repository,
        path=spec.path,
        publisher=id,
        version=spec.version,
        options=options,
        exports=tuple(absolute(checked, export.directory.path) for export in spec.exports),
    )


def absolute(checked: Checked, path: str) -> str:
    """A path of a manifest, relative to the folder of its file."""
    return os.path.normpath(os.path.join(checked.document.source.folder, path))


def _refuse_kind(checked: Checked) -> None:
    if checked.get("apiVersion") != API:
        checked.refuse(("apiVersion",), f"expects `apiVersion: {API}`", "is this file meant for another tool? name only the files that are manifests")
    kind = checked.get("kind")
    if kind is None:
        checked.refuse(("kind",), "the document lacks `kind`", suggestion(None, MANIFESTS))
    else:
        message = f"unknown kind `{shown(kind)}`" if isinstance(kind, str) else "`kind`: expects a text"
        checked.refuse(("kind",), message, suggestion(kind, MANIFESTS))


def _remote(checked: Checked, manifest: Manifest | None, plugins: Plugins) -> Remote | None:
    importer = _importer(checked, plugins)
    url = _location(checked, importer)
    _check_headers(checked)
    _check_certificate(checked)
    if importer is None or not isinstance(manifest, RemoteManifest):
        return None
    spec = manifest.spec
    return Remote(
        meta=_meta(manifest, checked.document.place()),
        spec=_spec(checked, spec),
        type=spec.type,
        index=spec.index,
        url=url,
        policy=spec.policy,
        auth=_auth(checked, spec),
        tls=_tls(checked, spec),
        proxy=spec.proxy,
        headers={name: _secret_or_text(checked, value) for name, value in spec.headers.items()},
        retries=spec.retries,
        concurrency=spec.concurrency,
        rate_limit=spec.rate_limit,
        **_timeouts(spec),
    )


def _filter(checked: Checked, manifest: Manifest | None, plugins: Plugins) -> Filter | None:
    importer = _importer(checked, plugins)
    if importer is None:
        return None
    options = _plugin_options(checked, ("spec",), importer.filter_options, _FILTER_KEYS)
    if options is None or not isinstance(manifest, FilterManifest):
        return None
    spec = manifest.spec
    return Filter(_meta(manifest, checked.document.place()), _spec(checked, spec, options, _FILTER_KEYS), spec.type, spec.is_global, options)


def _repository(checked: Checked, manifest: Manifest | None, plugins: Plugins) -> Repository | None:
    importer = _importer(checked, plugins)
    if importer is None:
        return None
    options = []
    for index in range(len(checked.items("spec", "sources"))):
        path: Path = ("spec", "sources", index, "remote")
        if isinstance(checked.get(*path), dict):
            options.append(_plugin_options(checked, path, importer.options, _SOURCE_KEYS))
    if None in options or not isinstance(manifest, RepositoryManifest):
        return None
    spec, written = manifest.spec, _spec(checked, manifest.spec)
    if options:
        written["sources"] = [{"remote": _source_spec(checked, index, option)} for index, option in enumerate(options) if option is not None]
    return Repository(
        meta=_meta(manifest, checked.document.place()),
        spec=written,
        type=spec.type,
        sources=tuple(_source(checked, index, source.remote.name, written, options[index]) for index, source in enumerate(spec.sources)),
        filters=tuple(spec.filters),
        mode=spec.sync.mode,
        guard=_guard(checked, spec.guard.max_removals, spec.guard.prevent_destroy),
    )


def _no_publication_yet(checked: Checked, manifest: Manifest | None, plugins: Plugins) -> None:
    """Which publisher's keys a publication may hold depends on its repository: `publication` goes on when all are known."""
    spec = checked.mapping("spec")
    for key in PublicationSpec.not_yet & spec.keys():
        checked.refuse(("spec", key), f"`spec.{key}` is not supported yet", "leave it out", key=True)


_BUILDERS: Mapping[Kind, Callable[[Checked, Manifest | None, Plugins], Resource | None]] = {
    Kind.REMOTE: _remote,
    Kind.FILTER: _filter,
    Kind.REPOSITORY: _repository,
    Kind.PUBLICATION: _no_publication_yet,
}


def _importer(checked: Checked, plugins: Plugins) -> type[Importer] | None:
    id = checked.text("spec", "type")
    found = plugins.importer(id) if id is not None else None
    if isinstance(found, Unusable):
        checked.refuse(("spec", "type"), found.message, found.hint)
        return None
    return found


def _publisher(checked: Checked, named: str | None, default: str | None, plugins: Plugins) -> tuple[type[Options], str] | None:
    id = named or default
    found = plugins.publisher(id) if id is not None else None
    if isinstance(found, Unusable):
        if named is None and default is not None and isinstance(plugins.importer(default), Unusable):
            return None  # the repository's own fault says it all
        hint = found.hint if named else "name another with `publisher:`"
        checked.refuse(("spec", "publisher" if named else "repository"), found.message, hint)
        return None
    return (found.options, id) if found is not None and id is not None else None


def _plugin_options(checked: Checked, path: Path, model: type[Options], core: tuple[str, ...]) -> Options | None:
    """What is left to the plugin at `path`, as the plugin's model."""
    left = {key: value for key, value in checked.mapping(*path).items() if key not in core}
    return checked.against(model, path, left, core)


def _location(checked: Checked, importer: type[Importer] | None) -> str | None:
    """Exactly one of `index` and `url`; an index must be one that the plugin knows."""
    index, url = checked.get("spec", "index"), checked.get("spec", "url")
    if isinstance(checked.get("spec"), dict) and (index is None) == (url is None):
        both = index is not None
        message = "`spec` has both `index` and `url`" if both else "`spec` lacks `index` or `url`"
        checked.refuse(("spec", "url") if both else ("spec",), message, "a remote is either a well-known index or a URL", key=True)
    if isinstance(index, str) and importer is not None and importer.well_known(index) is None:
        hint = suggestion(index, importer.well_known_names, None if importer.well_known_names else "use `url:`")
        checked.refuse(("spec", "index"), f"unknown index `{shown(index)}`", hint)
    return url if isinstance(url, str) else None


def _check_headers(checked: Checked) -> None:
    for name, value in checked.mapping("spec", "headers").items():
        if not isinstance(value, str):
            continue
        path = ("spec", "headers", name)
        if name.lower() in SECRET_HEADERS:
            checked.refuse(path, f"the header `{shown(name)}` holds a secret", "refer to it: `{env: NAME}` or `{file: path}`")
        elif not (value.isprintable() and value.isascii()):
            checked.refuse(path, f"the header `{shown(name)}` holds characters that HTTP does not carry", "printable ASCII, on one line")


def _check_certificate(checked: Checked) -> None:
    tls = checked.mapping("spec", "tls")
    if tls.get("clientKey") is not None and tls.get("clientCert") is None:
        checked.refuse(("spec", "tls", "clientKey"), "`clientKey` without `clientCert`", "name the certificate that belongs to the key", key=True)


def _meta(manifest: Manifest, origin: Origin) -> Meta:
    metadata = manifest.metadata
    return Meta(Kind(manifest.kind), metadata.name, origin, metadata.labels, metadata.annotations)


def _spec(checked: Checked, model: Options, options: Options | None = None, core: tuple[str, ...] = ()) -> dict[str, Any]:
    written = checked.mapping("spec")
    if options is None:
        return canonical(written, model)
    ours = {key: value for key, value in written.items() if key in core}
    return canonical(ours, model) | canonical({key: value for key, value in written.items() if key not in core}, options)


def _source_spec(checked: Checked, index: int, options: Options) -> dict[str, Any]:
    written = checked.mapping("spec", "sources", index, "remote")
    return canonical(written, options)


def _source(checked: Checked, index: int, remote: str, spec: Mapping[str, Any], options: Any) -> Source:
    return Source(f"remote:{remote}", remote, spec["sources"][index], options, checked.document.place(("spec", "sources", index)))


def _guard(checked: Checked, max_removals: float, prevent_destroy: bool) -> Guard:
    origin: Origin | None = None
    if checked.get("spec", "guard") is not None:
        origin = checked.document.place(("spec", "guard"), key=True)
    written = checked.get("spec", "guard", "maxRemovals") is not None
    return Guard(max_removals, prevent_destroy, origin, floor=0 if written else Guard().floor)


def _secret(checked: Checked, reference: SecretReference) -> Secret:
    return Secret(reference.env, None if reference.file is None else absolute(checked, reference.file))


def _secret_or_text(checked: Checked, value: str | SecretReference) -> str | Secret:
    return value if isinstance(value, str) else _secret(checked, value)


def _auth(checked: Checked, spec: RemoteSpec) -> Auth | None:
    return Auth(_secret_or_text(checked, spec.auth.username), _secret(checked, spec.auth.password)) if spec.auth else None


def _tls(checked: Checked, spec: RemoteSpec) -> Tls:
    tls = spec.tls
    return Tls(
        verify=tls.verify,
        ca=tls.ca and absolute(checked, tls.ca),
        client_cert=tls.client_cert and absolute(checked, tls.client_cert),
        client_key=_secret(checked, tls.client_key) if tls.client_key else None,
    )


def _timeouts(spec: RemoteSpec) -> dict[str, Any]:
    """Only those that are written: the others keep the defaults of `Remote`."""
    timeouts = {"connect_timeout": spec.timeouts.connect, "read_timeout": spec.timeouts.read, "total_timeout": spec.timeouts.total}
    return {name: value.total_seconds() for name, value in timeouts.items() if value is not None}
