"""Build a Repository and its sources from one document."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.errors import Origin
from reconciler.manifest.canonical import canonical
from reconciler.manifest.declared_marks import declared_marks
from reconciler.manifest.document import Path
from reconciler.manifest.kinds import (
    SOURCES,
    GuardSpec,
    Manifest,
    RepositoryManifest,
    RepositorySpec,
    SourceSpec,
)
from reconciler.manifest.plugin_lookup import Plugins, Usable
from reconciler.manifest.plugin_options import Effective, effective, key_locations, merged
from reconciler.manifest.remote_defaults import RemoteDefaults
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation import Checked
from reconciler.manifest.validation_messages import dotted, keys
from reconciler.model import LATEST, Guard, Quota, Repository, Source, SourceKind

ALLOW_REMOVALS = "reconciler/allow-removals-until"  # an annotation
SOURCE_KEYS = {kind: tuple(keys(model)) for kind, model in SOURCES.items()}


def repository(
    checked: Checked,
    manifest: Manifest | None,
    importer: Usable,
    *,
    plugins: Plugins,
    remotes: Mapping[str, RemoteDefaults] = MappingProxyType({}),
) -> Repository | None:
    """Return the repository that a document declares, or None and faults.

    `remotes`: what the remotes of its sources set, where the importer lets them.
    """
    options = [
        effective(
            checked,
            path,
            importer,
            core=SOURCE_KEYS[kind],
            kind=kind,
            remote=remotes.get(_remote_name(checked, path)),
        )
        for index, entry in enumerate(checked.items("spec", "sources"))
        for kind, path in kinds_of(entry, index)
    ]
    if options:
        plugins.used(importer, checked, ("spec", "type"))
    _check_reserved(checked, importer)
    marks = declared_marks(checked, importer)
    for index, entry in enumerate(checked.items("spec", "sources")):
        for kind, path in kinds_of(entry, index):
            if kind == SourceKind.REMOTE:
                _check_selection(checked, path, importer)
    if None in options or not isinstance(manifest, RepositoryManifest):
        return None
    spec = manifest.spec
    recorded = canonical(
        {key: value for key, value in checked.mapping("spec").items() if key != "sources"}, spec
    )
    sources = tuple(
        _source(checked, index, entry, options=own, importer=importer, remotes=remotes)
        for index, (entry, own) in enumerate(zip(spec.sources, options, strict=True))
        if own
    )
    if sources:
        recorded["sources"] = [source.spec for source in sources]
    return Repository(
        meta=manifest.meta(checked.document.place()),
        spec=recorded,
        type=spec.type,
        sources=sources,
        filters=tuple(spec.filters),
        mode=spec.sync.mode,
        guard=_guard(checked, spec.guard),
        removals_until=_removals_until(checked, manifest),
        marks=marks,
        quota=_quota(checked, spec),
    )


def remote_names(checked: Checked) -> list[str]:
    """Return the names of the remotes that a Repository's sources name."""
    paths = (
        path
        for index, entry in enumerate(checked.items("spec", "sources"))
        for _, path in kinds_of(entry, index)
    )
    return [name for path in paths if (name := _remote_name(checked, path))]


def _remote_name(checked: Checked, path: Path) -> str:
    """Return the name of the Remote that the source at `path` names; empty for other kinds."""
    return checked.text(*path, "name") or "" if path[-1] == SourceKind.REMOTE else ""


def selects(importer: Usable, written: Collection[str]) -> bool:
    """Return True unless a `remote` source with these keys would need `everything: true`."""
    needed = importer.cls.selection_required
    return not needed or not set(needed).isdisjoint(written)


def words_for_selecting(importer: Usable) -> str:
    """Return a hint with the keys that select."""
    names = ", ".join(f"`{key}`" for key in importer.cls.selection_required)
    return f"name what to take with {names}; `everything: true` takes all that upstream has"


def _check_reserved(checked: Checked, importer: Usable) -> None:
    """Refuse reserved names where groups are buckets of content, which have no names."""
    if not importer.cls.shared_groups:
        return
    for index, entry in enumerate(checked.items("spec", "sources")):
        for kind, path in kinds_of(entry, index):
            if kind == SourceKind.UPLOAD and checked.get(*path, "names") is not None:
                checked.refuse(
                    (*path, "names"),
                    f"`{dotted(path)}.names`: content of type `{importer.id}` has no names that"
                    " could be reserved",
                    "leave it out",
                    key=True,
                )


def _check_selection(checked: Checked, path: Path, importer: Usable) -> None:
    """Check that a `remote` source says what it takes: a key that selects, or `everything: true`.

    What an earlier release recorded needs no word.
    """
    if checked.document.floats_as_text:
        return
    everything = checked.get(*path, "everything")
    if not importer.cls.selection_required:
        if everything is not None:
            checked.refuse(
                (*path, "everything"),
                f"`{dotted(path)}.everything`: a source of type `{importer.id}` needs no word for"
                " everything",
                "leave it out",
                key=True,
            )
        return
    kind = SourceKind.REMOTE
    given = merged(checked, path, importer, core=SOURCE_KEYS[kind], kind=kind)
    selecting = [key for key in importer.cls.selection_required if key in given]
    if everything is True and selecting:
        checked.refuse(
            (*path, "everything"),
            f"`{dotted(path)}` has both `everything` and `{selecting[0]}`",
            "keep one of them; `exclude` and `filter` narrow everything",
            key=True,
        )
    elif everything is not True and not selecting:
        checked.refuse(
            path,
            f"`{dotted(path)}` does not say what to take",
            words_for_selecting(importer),
            key=True,
        )


def kinds_of(entry: object, index: int) -> list[tuple[str, Path]]:
    """Return the source kinds that an entry of `sources` names, each with the path of its keys.

    The model of the entry refuses more than one kind.
    """
    if not isinstance(entry, dict):
        return []
    return [
        (kind, ("spec", "sources", index, kind))
        for kind in entry
        if kind in SOURCES and isinstance(entry[kind], dict)
    ]


def _source(
    checked: Checked,
    index: int,
    spec: SourceSpec,
    *,
    options: Effective,
    importer: Usable,
    remotes: Mapping[str, RemoteDefaults],
) -> Source:
    origin = checked.document.place(("spec", "sources", index))
    kind, core, name = _core_keys(checked, index, spec)
    path: Path = ("spec", "sources", index, kind.value)
    return Source(
        id=f"{kind}:{name}" if name else kind.value,
        kind=kind,
        name=name,
        spec={kind.value: {**core, **options.spec}},
        options=options.options,
        config=options.config,
        origin=origin,
        version=spec.repository.version if spec.repository is not None else LATEST,
        reserved=tuple(map(importer.cls.group_glob, spec.upload.names if spec.upload else ())),
        reuses_names=spec.upload is not None and spec.upload.reuse_names,
        locations=key_locations(
            checked.document,
            path,
            importer,
            remote=remotes.get(_remote_name(checked, path)),
        ),
    )


def _core_keys(
    checked: Checked, index: int, spec: SourceSpec
) -> tuple[SourceKind, Mapping[str, Any], str]:
    """Return the kind of a source, its keys that are the core's, and the name that it refers to."""
    if spec.remote is not None:
        word = {"everything": True} if spec.remote.everything else {}
        return SourceKind.REMOTE, {"name": spec.remote.name, **word}, spec.remote.name
    if spec.repository is not None:
        written_keys = {
            key: checked.get("spec", "sources", index, "repository", key)
            for key in SOURCE_KEYS[SourceKind.REPOSITORY]
        }
        core = canonical(written_keys, spec.repository)
        return SourceKind.REPOSITORY, core, spec.repository.name
    if spec.upload is not None:
        names = {"names": list(spec.upload.names)} if spec.upload.names else {}
        reuse = {"reuseNames": True} if spec.upload.reuse_names else {}
        return SourceKind.UPLOAD, {**names, **reuse}, ""
    raise NotImplementedError(f"{spec!r} is of a kind without keys here")


def _guard(checked: Checked, spec: GuardSpec) -> Guard:
    origin: Origin | None = None
    if checked.get("spec", "guard") is not None:
        origin = checked.document.place(("spec", "guard"), key=True)
    written = checked.get("spec", "guard", "maxRemovals") is not None
    return Guard(
        spec.max_removals,
        spec.prevent_destroy,
        origin,
        floor=0 if written else Guard().floor,
        keeps_named=spec.named_projects == "refuse",
    )


def _quota(checked: Checked, spec: RepositorySpec) -> Quota | None:
    if spec.quota is None:
        return None
    if all(source.upload is None for source in spec.sources):
        checked.refuse(
            ("spec", "quota"),
            "`quota` limits uploads, and no source of the repository takes any",
            "add `- upload: {}` to `sources`, or leave `quota` out",
        )
    return Quota(spec.quota.size, spec.quota.files)


def _removals_until(checked: Checked, manifest: RepositoryManifest) -> datetime | None:
    """Return until when guarded removals are approved; None, perhaps with a fault, if not."""
    written = manifest.metadata.annotations.get(ALLOW_REMOVALS)
    if written is None:
        return None
    try:
        until = datetime.fromisoformat(written)
    except ValueError:
        until = None
    if until is None or until.utcoffset() is None:
        checked.refuse(
            ("metadata", "annotations", ALLOW_REMOVALS),
            f"`{ALLOW_REMOVALS}`: `{shown(written)}` is no time with a time zone",
            "such as `2026-12-01T18:00:00Z`: until then removals pass that a guard refuses",
        )
        return None
    return until
