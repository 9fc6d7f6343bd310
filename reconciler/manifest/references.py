"""Check documents against each other: names, references, types, uploads, paths, folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.manifest.document import Path
from reconciler.manifest.plugin_lookup import Plugins
from reconciler.manifest.promotion import partial, refuse_cycles
from reconciler.manifest.repositories import kinds_of
from reconciler.manifest.resources import Declaration, publication
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation_messages import dotted, suggestion
from reconciler.model import LATEST, Kind, SourceKind

Table = Mapping[str, Declaration]
Named = Mapping[Kind, Table]

_REFERENCES = {SourceKind.REMOTE: Kind.REMOTE, SourceKind.REPOSITORY: Kind.REPOSITORY}


def link(declared: Sequence[Declaration], plugins: Plugins, *, complete: bool) -> Named:
    """Check all documents against each other, build publications; return them by kind and name.

    `complete`: every file could be read. Otherwise unknown names are no faults: an unreadable file
    may declare them.
    """
    named = connect(declared, plugins, complete=complete)
    publications = [each for each in declared if each.kind is Kind.PUBLICATION]
    _disjoint_paths(publications)
    _disjoint_folders(publications)
    return named


def connect(declared: Sequence[Declaration], plugins: Plugins, *, complete: bool) -> Named:
    """Resolve references and build publications, without checks of paths and folders."""
    named = _unique(declared)
    copies: dict[str, list[tuple[str, Path]]] = {}
    for each in declared:
        if each.kind is Kind.REPOSITORY:
            copied = _repository(each, named, complete)
            if copied:
                copies.setdefault(each.name, copied)
    refuse_cycles(copies, named[Kind.REPOSITORY])
    lacking = partial(named[Kind.REPOSITORY], named[Kind.REMOTE])
    for each in declared:
        if each.kind is Kind.PUBLICATION:
            repository = _referred(each, ("spec", "repository"), Kind.REPOSITORY, named, complete)
            each.resource = publication(each, _type(repository) if repository else None, plugins)
            if repository is not None:
                _takes_uploads(each, repository)
                _exports_all(each, repository, lacking)
            _filters(each, _type(repository) if repository else None, named, complete)
    return named


def _unique(declared: Iterable[Declaration]) -> Named:
    named: dict[Kind, dict[str, Declaration]] = {kind: {} for kind in Kind}
    for each in declared:
        first = named[each.kind].setdefault(each.name, each)
        if first is not each:
            place = first.checked.document.place(("metadata", "name"))
            each.checked.refuse(
                ("metadata", "name"),
                f"{each.kind} `{shown(each.name)}` is declared twice",
                f"the first is at {place}",
            )
    return named


def _repository(each: Declaration, named: Named, complete: bool) -> list[tuple[str, Path]]:
    """Check the references of a repository.

    Returns the repositories that it copies from, each with the path of the reference.
    """
    copied = []
    sources: dict[str, set[str]] = {kind: set() for kind in SourceKind}
    for index, entry in enumerate(each.checked.items("spec", "sources")):
        for kind, place in kinds_of(entry, index):
            if kind == SourceKind.UPLOAD:
                _one_upload(each, place, sources[kind])
                continue
            path: Path = (*place, "name")
            other = _referred(each, path, _REFERENCES[SourceKind(kind)], named, complete)
            _same_type(each, path, other, _type(each))
            if other is not None and other.kind is Kind.REPOSITORY:
                copied.append((other.name, path))
            _once(each, path, sources[kind])
    _filters(each, _type(each), named, complete)
    return copied


def _filters(each: Declaration, type: str | None, named: Named, complete: bool) -> None:
    """Check the filters of a repository or publication; `type`: of the repository."""
    seen: set[str] = set()
    for index, _ in enumerate(each.checked.items("spec", "filters")):
        path = ("spec", "filters", index)
        _same_type(each, path, _referred(each, path, Kind.FILTER, named, complete), type)
        _once(each, path, seen)


def _referred(
    each: Declaration, path: Path, kind: Kind, named: Named, complete: bool
) -> Declaration | None:
    """Return the document that the name at `path` refers to, or None and perhaps a fault."""
    name = each.checked.text(*path)
    if name is None:
        return None
    found = named[kind].get(name)
    if found is None and complete:
        hint = suggestion(name, named[kind], None if named[kind] else f"no {kind} is declared")
        each.checked.refuse(path, f"`{dotted(path)}`: unknown {kind} `{shown(name)}`", hint)
    return found


def _type(declared: Declaration) -> str | None:
    return declared.checked.text("spec", "type")


def _same_type(each: Declaration, path: Path, other: Declaration | None, ours: str | None) -> None:
    """Refuse `other` if its type is not `expected`, the type of the repository."""
    if other is None:
        return
    theirs = _type(other)
    if ours is not None and theirs is not None and ours != theirs:
        message = (
            f"{other.kind} `{other.name}` is of type `{shown(theirs)}`, this repository is of type"
            f" `{shown(ours)}`"
        )
        each.checked.refuse(
            path, message, f"{other.kind} `{other.name}` is declared at {other.origin}"
        )


def _once(each: Declaration, path: Path, seen: set[str]) -> None:
    name = each.checked.text(*path)
    if name is not None and name in seen:
        each.checked.refuse(path, f"`{shown(name)}` is named twice", "keep one of them")
    elif name is not None:
        seen.add(name)


def _one_upload(each: Declaration, place: Path, seen: set[str]) -> None:
    """Refuse a second `upload` source."""
    if seen:
        each.checked.refuse(
            place,
            "a repository has at most one `upload` source",
            "keep one of them: it accepts all uploads",
            key=True,
        )
    seen.add("upload")


def _takes_uploads(each: Declaration, repository: Declaration) -> None:
    """Refuse uploaders of a publication that takes no uploads or would not show them."""
    path = ("spec", "access", "upload")
    if not each.checked.items(*path):
        return
    sources = repository.checked.items("spec", "sources")
    if not any(
        kind == SourceKind.UPLOAD
        for index, entry in enumerate(sources)
        for kind, _ in kinds_of(entry, index)
    ):
        message = f"`{dotted(path)}`: Repository `{shown(repository.name)}` has no `upload` source"
        each.checked.refuse(
            path,
            message,
            f"add `- upload: {{}}` to its `sources`, at {repository.origin}",
            key=True,
        )
    version = each.checked.get("spec", "version")
    if version is not None and version != LATEST:
        message = (
            f"`{dotted(path)}`: this publication is pinned to version {shown(str(version))}"
            " and would never show an upload"
        )
        each.checked.refuse(
            path, message, "give uploads to a publication with `version: latest`", key=True
        )


def _exports_all(each: Declaration, repository: Declaration, lacking: Mapping[str, str]) -> None:
    remote = lacking.get(repository.name)
    if remote is not None and each.checked.items("spec", "exports"):
        message = (
            f"an export needs every file, but Remote `{shown(remote)}` fetches those of Repository"
            f" `{shown(repository.name)}` on demand"
        )
        each.checked.refuse(
            ("spec", "exports"),
            f"`spec.exports`: {message}",
            f"set `policy: immediate` for `{shown(remote)}`, or remove `exports`",
            key=True,
        )


def _disjoint_paths(publications: Sequence[Declaration]) -> None:
    """Refuse publications whose paths are equal or contain each other."""
    places = [
        (tuple(path.split("/")), each, ("spec", "path"))
        for each in publications
        if (path := each.checked.text("spec", "path"))
    ]
    for each, place, other, other_place, equal in _overlaps(places):
        what = "is also the path" if equal else "overlaps with the path"
        where = other.checked.document.place(other_place)
        message = (
            f"`{shown(each.checked.text(*place) or '')}` {what} of Publication"
            f" `{shown(other.name)}`"
        )
        each.checked.refuse(
            place,
            message,
            f"`{shown(other.checked.text(*other_place) or '')}` at {where}: none may contain"
            " another",
        )


def _disjoint_folders(publications: Sequence[Declaration]) -> None:
    """Refuse export directories that are equal or contain each other.

    An export replaces everything in its directory.
    """
    places = []
    for each in publications:
        for index, _ in enumerate(each.checked.items("spec", "exports")):
            path = ("spec", "exports", index, "directory", "path")
            written = each.checked.text(*path)
            if written and "\0" not in written:
                folder = tuple(part for part in each.checked.absolute(written).split("/") if part)
                if folder:
                    places.append((folder, each, path))
                else:
                    each.checked.refuse(
                        path,
                        "the root directory cannot be an export",
                        "an export replaces the directory that it names",
                    )
    for each, place, other, other_place, equal in _overlaps(places):
        what = "is also exported to" if equal else "overlaps with an export"
        where = other.checked.document.place(other_place)
        each.checked.refuse(
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
        found = next(
            (
                owners[parts[:length]]
                for length in range(1, len(parts) + 1)
                if parts[:length] in owners
            ),
            None,
        )
        if found is None:
            owners[parts] = place
            continue
        earlier, later = sorted((found, place), key=lambda each: order[id(each)])
        yield later[1], later[2], earlier[1], earlier[2], found[0] == parts
