"""Build one resource from one document, by the models of its kind and its plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from reconciler.errors import Fault, Origin
from reconciler.manifest.access import rules
from reconciler.manifest.canonical import canonical
from reconciler.manifest.document import Document
from reconciler.manifest.index_exports import index_exports
from reconciler.manifest.kinds import (
    API,
    MANIFESTS,
    FilterManifest,
    FilterSpec,
    Manifest,
    PublicationManifest,
    PublicationSpec,
)
from reconciler.manifest.plugin_lookup import Plugins, Unusable, Usable
from reconciler.manifest.plugin_options import effective, key_locations, plugin_keys
from reconciler.manifest.pulling import REFUSED, pull_options, pull_through
from reconciler.manifest.remote_defaults import remote_defaults
from reconciler.manifest.remotes import remote
from reconciler.manifest.repositories import remote_names, repository
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation import Checked
from reconciler.manifest.validation_messages import keys, suggestion
from reconciler.model import Filter, Kind, Publication, Remote, Repository, Resource
from reconciler.reach import Reach

FILTER_KEYS = tuple(keys(FilterSpec))
PUBLICATION_KEYS = (*keys(PublicationSpec), *PublicationSpec.not_yet)


@dataclass(slots=True)
class Declaration:
    """Document that declares a resource by kind and name, valid or not.

    Other documents may refer to it even if `resource` is None.
    """

    kind: Kind
    name: str
    checked: Checked
    manifest: Manifest | None
    origin: Origin
    resource: Resource | None = None


def declaration(document: Document, plugins: Plugins, faults: list[Fault]) -> Declaration | None:
    """Check one document by itself; return None if it does not name a resource."""
    checked = Checked(document, faults)
    if not isinstance(document.value, dict):
        checked.refuse((), "expects a mapping with `apiVersion`, `kind`, `metadata` and `spec`")
        return None
    kind = checked.text("kind")
    if kind is None or kind not in MANIFESTS:
        _refuse_kind(checked)
        return None
    checked.refuse_nulls()
    manifest = checked.against(MANIFESTS[kind], (), document.value)
    resource = _BUILDERS[Kind(kind)](checked, manifest, plugins)
    name = checked.text("metadata", "name")
    return (
        None
        if name is None
        else Declaration(Kind(kind), name, checked, manifest, document.place(), resource)
    )


def publication(
    declared: Declaration, repository_type: str | None, plugins: Plugins
) -> Publication | None:
    """Return a publication with its publisher's options, or None and faults.

    `repository_type`: of the repository's content, and ID of the publisher unless the document
    names another.
    """
    checked, manifest = declared.checked, declared.manifest
    publisher = _publisher(checked, repository_type, plugins)
    if publisher is None:
        return None
    options = effective(checked, ("spec",), publisher, core=PUBLICATION_KEYS)
    plugins.used(publisher, checked, ("spec", _names_publisher(checked)))
    pulled = pull_options(checked, repository_type, publisher, plugins=plugins)
    if options is None or not isinstance(manifest, PublicationManifest) or pulled is REFUSED:
        return None
    spec = manifest.spec
    importer = plugins.importer(repository_type) if repository_type else None
    spell = importer.cls.group_glob if isinstance(importer, Usable) else str
    indexes = index_exports(checked, manifest, publisher)
    if indexes is None:
        return None
    directories = any(export.directory is not None for export in spec.exports)
    if directories and spec.base_url is None and publisher.cls.needs_base_url:
        checked.refuse(
            ("spec", "exports"),
            f"`spec.exports`: pages of publisher `{publisher.id}` say where they are served, which"
            " an export cannot know",
            "set `baseUrl` to the URL under which clients find it, such as"
            " `https://packages.example.org/team/`",
            key=True,
        )
    return Publication(
        meta=manifest.meta(declared.origin),
        spec=canonical(
            {
                key: value
                for key, value in checked.mapping("spec").items()
                if key in PUBLICATION_KEYS
            },
            spec,
        )
        | options.spec,
        indexes=indexes,
        repository=spec.repository,
        path=spec.path,
        publisher=publisher.id,
        version=spec.version,
        options=options.options,
        exports=_exports(checked, spec),
        config=options.config,
        uploaders=rules(spec.access.upload, spell),
        managers=rules(spec.access.manage, spell),
        readers=spec.access.readers(spell),
        filters=tuple(spec.filters),
        quarantined=spec.quarantined,
        grace=int(spec.grace.total_seconds()),
        base_url=spec.base_url,
        pull_through=pull_through(spec.pull_through, pulled),
    )


def with_remotes(
    declared: Declaration, remotes: Mapping[str, Declaration], plugins: Plugins
) -> None:
    """Build a repository whose remotes may have keys for its sources.

    Nothing is built where one of them is unknown or faulty, which is said of it.
    """
    importer = plugins.importer(declared.checked.text("spec", "type") or "")
    if not isinstance(importer, Usable) or not _waits(declared.checked, importer):
        return
    defaults = {
        name: remote_defaults(remotes[name].checked, importer) if name in remotes else None
        for name in remote_names(declared.checked)
    }
    known = {name: own for name, own in defaults.items() if own is not None}
    if len(known) == len(defaults):
        declared.resource = repository(
            declared.checked, declared.manifest, importer, plugins=plugins, remotes=known
        )


def _refuse_kind(checked: Checked) -> None:
    if checked.get("apiVersion") != API:
        checked.refuse(
            ("apiVersion",),
            f"expects `apiVersion: {API}`",
            "is this file meant for another tool? name only the files that are manifests",
        )
    kind = checked.get("kind")
    if kind is None:
        checked.refuse(("kind",), "the document lacks `kind`", suggestion(None, MANIFESTS))
    else:
        message = (
            f"unknown kind `{shown(kind)}`" if isinstance(kind, str) else "`kind`: expects a text"
        )
        checked.refuse(("kind",), message, suggestion(kind, MANIFESTS))


def _remote(checked: Checked, manifest: Manifest | None, plugins: Plugins) -> Remote | None:
    return remote(checked, manifest, _importer(checked, plugins))


def _filter(checked: Checked, manifest: Manifest | None, plugins: Plugins) -> Filter | None:
    importer = _importer(checked, plugins)
    if importer is None:
        return None
    left = plugin_keys(checked, ("spec",), FILTER_KEYS)
    options = checked.against(importer.cls.filter_options, ("spec",), left, also=FILTER_KEYS)
    if options is None or not isinstance(manifest, FilterManifest):
        return None
    spec = manifest.spec
    own = {key: value for key, value in checked.mapping("spec").items() if key in FILTER_KEYS}
    return Filter(
        manifest.meta(checked.document.place()),
        canonical(own, spec) | canonical(left, options),
        spec.type,
        spec.is_global,
        options,
        key_locations(checked.document, ("spec",)),
    )


def _repository(checked: Checked, manifest: Manifest | None, plugins: Plugins) -> Repository | None:
    """Build the repository, unless a Remote may have keys for it: `with_remotes` does then."""
    importer = _importer(checked, plugins)
    if importer is None or _waits(checked, importer):
        return None
    return repository(checked, manifest, importer, plugins=plugins)


def _waits(checked: Checked, importer: Usable) -> bool:
    return bool(importer.cls.remote_keys and remote_names(checked))


def _no_publication_yet(checked: Checked, manifest: Manifest | None, plugins: Plugins) -> None:
    """Refuse keys that are not supported yet; build nothing.

    The publisher may depend on the type of the repository: `publication` builds the resource when
    all documents are read.
    """
    spec = checked.mapping("spec")
    for key in PublicationSpec.not_yet & spec.keys():
        checked.refuse(
            ("spec", key), f"`spec.{key}` is not supported yet", "leave it out", key=True
        )


_BUILDERS: Mapping[Kind, Callable[[Checked, Manifest | None, Plugins], Resource | None]] = {
    Kind.REMOTE: _remote,
    Kind.FILTER: _filter,
    Kind.REPOSITORY: _repository,
    Kind.PUBLICATION: _no_publication_yet,
}


def _importer(checked: Checked, plugins: Plugins) -> Usable | None:
    id = checked.text("spec", "type")
    importer = plugins.importer(id) if id is not None else None
    if isinstance(importer, Unusable):
        checked.refuse(("spec", "type"), importer.message, importer.hint)
        return None
    return importer


def _publisher(checked: Checked, default: str | None, plugins: Plugins) -> Usable | None:
    named = checked.text("spec", "publisher")
    id = named or default
    publisher = plugins.publisher(id) if id is not None else None
    if isinstance(publisher, Unusable):
        if (
            named is None
            and default is not None
            and isinstance(plugins.importer(default), Unusable)
        ):
            return None  # the fault of the repository says the same
        hint = publisher.hint if named else "name another with `publisher:`"
        checked.refuse(("spec", _names_publisher(checked)), publisher.message, hint)
        return None
    return publisher


def _names_publisher(checked: Checked) -> str:
    """Return the key that decides which publisher is used."""
    return "publisher" if checked.text("spec", "publisher") else "repository"


def _exports(checked: Checked, spec: PublicationSpec) -> tuple[str, ...]:
    """Return the export directories as absolute paths."""
    paths = []
    for index, export in enumerate(spec.exports):
        if export.directory is not None:
            path = checked.absolute(export.directory.path)
            place = ("spec", "exports", index, "directory", "path")
            checked.ask(place, partial(_check_export, path))
            paths.append(path)
    return tuple(paths)


def _check_export(path: str, reach: Reach) -> None:
    reach.export(path)
