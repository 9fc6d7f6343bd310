"""Check documents against each other: names, references, types, uploads, paths, folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.manifest.document import Path
from reconciler.manifest.plugin_lookup import Plugins, Usable
from reconciler.manifest.promotion import partial, refuse_cycles
from reconciler.manifest.repositories import kinds_of
from reconciler.manifest.resources import Declaration, publication, with_remotes
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation_messages import dotted, suggestion
from reconciler.model import LATEST, Kind, SourceKind

Table = Mapping[str, Declaration]
Named = Mapping[Kind, Table]

_REFERENCES = {SourceKind.REMOTE: Kind.REMOTE, SourceKind.REPOSITORY: Kind.REPOSITORY}


@dataclass(frozen=True, slots=True)
class _Scope:
    """Documents that references may name. `complete`: see `link`."""

    named: Named
    complete: bool

    def resolve(self, document: Declaration, path: Path, kind: Kind) -> Declaration | None:
        """Return the document that the name at `path` refers to, or None and perhaps a fault."""
        name = document.checked.text(*path)
        if name is None:
            return None
        candidates = self.named[kind]
        if name not in candidates and self.complete:
            hint = suggestion(name, candidates, None if candidates else f"no {kind} is declared")
            document.checked.refuse(path, f"`{dotted(path)}`: unknown {kind} `{shown(name)}`", hint)
        return candidates.get(name)


def link(declared: Sequence[Declaration], plugins: Plugins, *, complete: bool) -> Named:
    """Check all documents against each other, build publications; return them by kind and name.

    `complete`: every file could be read. Otherwise unknown names are no faults: an unreadable file
    may declare them.
    """
    named = connect(declared, plugins, complete=complete)
    publications = [document for document in declared if document.kind is Kind.PUBLICATION]
    _check_paths(publications)
    _check_export_folders(publications)
    return named


def connect(declared: Sequence[Declaration], plugins: Plugins, *, complete: bool) -> Named:
    """Resolve references and build publications, without checks of paths and folders."""
    named = _unique(declared)
    copies: dict[str, list[tuple[str, Path]]] = {}
    scope = _Scope(named, complete)
    for document in declared:
        if document.kind is Kind.REPOSITORY:
            with_remotes(document, named[Kind.REMOTE], plugins)
            copied = _repository(document, scope)
            if copied:
                copies.setdefault(document.name, copied)
    refuse_cycles(copies, named[Kind.REPOSITORY])
    pulling: dict[str, Declaration] = {}
    incomplete = partial(named[Kind.REPOSITORY], named[Kind.REMOTE])
    for document in declared:
        if document.kind is Kind.PUBLICATION:
            repository = scope.resolve(document, ("spec", "repository"), Kind.REPOSITORY)
            type = _type(repository) if repository else None
            document.resource = publication(document, type, plugins)
            if repository is not None:
                _check_uploaders(document, repository)
                _check_exports(document, repository, incomplete)
                _check_projects(document, type, plugins)
                _check_pull_through(document, type, scope, pulling=pulling)
            _filters(document, type, scope)
    return named


def _unique(declared: Iterable[Declaration]) -> Named:
    named: dict[Kind, dict[str, Declaration]] = {kind: {} for kind in Kind}
    for document in declared:
        first = named[document.kind].setdefault(document.name, document)
        if first is not document:
            place = first.checked.document.place(("metadata", "name"))
            document.checked.refuse(
                ("metadata", "name"),
                f"{document.kind} `{shown(document.name)}` is declared twice",
                f"the first is at {place}",
            )
    return named


def _repository(document: Declaration, scope: _Scope) -> list[tuple[str, Path]]:
    """Check the references of a repository.

    Returns the repositories that it copies from, each with the path of the reference.
    """
    copied = []
    sources: dict[str, set[str]] = {kind: set() for kind in SourceKind}
    for index, entry in enumerate(document.checked.items("spec", "sources")):
        for kind, place in kinds_of(entry, index):
            if kind == SourceKind.UPLOAD:
                _check_upload_source(document, place, sources[kind])
                continue
            path: Path = (*place, "name")
            other = scope.resolve(document, path, _REFERENCES[SourceKind(kind)])
            _check_type(document, path, other, expected=_type(document))
            if other is not None and other.kind is Kind.REPOSITORY:
                copied.append((other.name, path))
            _refuse_repeated(document, path, sources[kind])
    _filters(document, _type(document), scope)
    return copied


def _check_pull_through(
    document: Declaration, type: str | None, scope: _Scope, *, pulling: dict[str, Declaration]
) -> None:
    """Check the remote behind a publication; `pulling`: takes its repository, which has one."""
    if not isinstance(document.checked.get("spec", "pullThrough"), dict):
        return
    path = ("spec", "pullThrough", "remote")
    _check_type(document, path, scope.resolve(document, path, Kind.REMOTE), expected=type)
    other = pulling.setdefault(document.checked.text("spec", "repository") or "", document)
    if other is not document:
        document.checked.refuse(
            ("spec", "pullThrough"),
            f"`spec.pullThrough`: Publication `{shown(other.name)}` pulls into the same repository",
            "keep one of them, or give this publication a repository of its own",
            key=True,
        )


def _filters(document: Declaration, type: str | None, scope: _Scope) -> None:
    """Check the filters of a repository or publication; `type`: of the repository."""
    seen: set[str] = set()
    for index, _ in enumerate(document.checked.items("spec", "filters")):
        path = ("spec", "filters", index)
        _check_type(document, path, scope.resolve(document, path, Kind.FILTER), expected=type)
        _refuse_repeated(document, path, seen)


def _type(declared: Declaration) -> str | None:
    return declared.checked.text("spec", "type")


def _check_type(
    document: Declaration, path: Path, other: Declaration | None, *, expected: str | None
) -> None:
    """Refuse `other` if its type is not `expected`, the type of the repository."""
    if other is None:
        return
    actual = _type(other)
    if expected is not None and actual is not None and expected != actual:
        message = (
            f"{other.kind} `{other.name}` is of type `{shown(actual)}`, this repository is of type"
            f" `{shown(expected)}`"
        )
        document.checked.refuse(
            path, message, f"{other.kind} `{other.name}` is declared at {other.origin}"
        )


def _refuse_repeated(document: Declaration, path: Path, seen: set[str]) -> None:
    name = document.checked.text(*path)
    if name is not None and name in seen:
        document.checked.refuse(path, f"`{shown(name)}` is named twice", "keep one of them")
    elif name is not None:
        seen.add(name)


def _check_upload_source(document: Declaration, place: Path, seen: set[str]) -> None:
    """Refuse a second `upload` source."""
    if seen:
        document.checked.refuse(
            place,
            "a repository has at most one `upload` source",
            "keep one of them: it accepts all uploads",
            key=True,
        )
    seen.add("upload")


def _check_projects(document: Declaration, type: str | None, plugins: Plugins) -> None:
    """Refuse `projects` of rules where groups are buckets of content, which have no names."""
    plugin = plugins.importer(type) if type else None
    if not isinstance(plugin, Usable) or not plugin.cls.shared_groups:
        return
    for key in ("read", "upload", "manage"):
        for index, rule in enumerate(document.checked.items("spec", "access", key)):
            if isinstance(rule, dict) and "projects" in rule:
                path = ("spec", "access", key, index, "projects")
                document.checked.refuse(
                    path,
                    f"`{dotted(path)}`: content of type `{shown(plugin.id)}` belongs to no project",
                    "leave `projects` out, or give the files a publication of their own",
                    key=True,
                )


def _check_uploaders(document: Declaration, repository: Declaration) -> None:
    """Refuse uploaders of a publication that takes no uploads or would not show them."""
    path = ("spec", "access", "upload")
    if not document.checked.items(*path):
        return
    sources = repository.checked.items("spec", "sources")
    if not any(
        kind == SourceKind.UPLOAD
        for index, entry in enumerate(sources)
        for kind, _ in kinds_of(entry, index)
    ):
        message = f"`{dotted(path)}`: Repository `{shown(repository.name)}` has no `upload` source"
        document.checked.refuse(
            path,
            message,
            f"add `- upload: {{}}` to its `sources`, at {repository.origin}",
            key=True,
        )
    version = document.checked.get("spec", "version")
    if version is not None and version != LATEST:
        message = (
            f"`{dotted(path)}`: this publication is pinned to version {shown(str(version))}"
            " and would never show an upload"
        )
        document.checked.refuse(
            path, message, "give uploads to a publication with `version: latest`", key=True
        )


def _check_exports(
    document: Declaration, repository: Declaration, incomplete: Mapping[str, str]
) -> None:
    remote = incomplete.get(repository.name)
    if remote is not None and document.checked.items("spec", "exports"):
        message = (
            f"an export needs every file, but Remote `{shown(remote)}` leaves those of Repository"
            f" `{shown(repository.name)}` upstream"
        )
        document.checked.refuse(
            ("spec", "exports"),
            f"`spec.exports`: {message}",
            f"set `policy: immediate` for `{shown(remote)}`, or remove `exports`",
            key=True,
        )


def _check_paths(publications: Sequence[Declaration]) -> None:
    """Refuse publications whose paths are equal or contain each other."""
    places = [
        (tuple(path.split("/")), document, ("spec", "path"))
        for document in publications
        if (path := document.checked.text("spec", "path"))
    ]
    for document, place, other, other_place, equal in _overlaps(places):
        what = "is also the path" if equal else "overlaps with the path"
        where = other.checked.document.place(other_place)
        message = (
            f"`{shown(document.checked.text(*place) or '')}` {what} of Publication"
            f" `{shown(other.name)}`"
        )
        document.checked.refuse(
            place,
            message,
            f"`{shown(other.checked.text(*other_place) or '')}` at {where}: none may contain"
            " another",
        )


def _check_export_folders(publications: Sequence[Declaration]) -> None:
    """Refuse export directories that are equal or contain each other.

    An export replaces everything in its directory.
    """
    places = []
    for document in publications:
        for index, _ in enumerate(document.checked.items("spec", "exports")):
            path = ("spec", "exports", index, "directory", "path")
            written = document.checked.text(*path)
            if written and "\0" not in written:
                folder = tuple(
                    part for part in document.checked.absolute(written).split("/") if part
                )
                if folder:
                    places.append((folder, document, path))
                else:
                    document.checked.refuse(
                        path,
                        "the root directory cannot be an export",
                        "an export replaces the directory that it names",
                    )
    for document, place, other, other_place, equal in _overlaps(places):
        what = "is also exported to" if equal else "overlaps with an export"
        where = other.checked.document.place(other_place)
        document.checked.refuse(
            place,
            f"this directory {what} by Publication `{shown(other.name)}`",
            f"the other is at {where}: none may contain another",
        )


Located = tuple[tuple[str, ...], Declaration, Path]


def _overlaps(
    places: Sequence[Located],
) -> Iterable[tuple[Declaration, Path, Declaration, Path, bool]]:
    """Yield (later, earlier, equal) where one location is equal to or contains the other."""
    order = {id(place): number for number, place in enumerate(places)}
    owners: dict[tuple[str, ...], Located] = {}
    for place in sorted(places, key=lambda place: (len(place[0]), order[id(place)])):
        parts = place[0]
        owner = next(
            (
                owners[parts[:length]]
                for length in range(1, len(parts) + 1)
                if parts[:length] in owners
            ),
            None,
        )
        if owner is None:
            owners[parts] = place
            continue
        earlier, later = sorted((owner, place), key=lambda place: order[id(place)])
        yield later[1], later[2], earlier[1], earlier[2], owner[0] == parts
