"""Resources that stay because a refused one does: the relation, and nothing beyond it.

A refusal keeps its own subject, what depends on that, and what all of these depend on. It says
which relation keeps each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.model import ActualState, Kind, Ref

Spec = Mapping[str, Any]


class Relation(NamedTuple):
    """`user` depends on `used`: `verb` says how (`shows`, `takes content from`)."""

    user: Ref
    used: Ref
    verb: str


def relations(actual: ActualState) -> list[Relation]:
    """Return every relation between recorded resources, as their specifications name them."""
    return [
        relation
        for ref, resource in sorted(actual.resources.items())
        for relation in _relations_of(ref, resource.spec, actual)
        if relation.used in actual.resources
    ]


def kept_by(subject: Ref, among: Iterable[Relation]) -> dict[Ref, str]:
    """Return the resources that stay as long as `subject` does, each with the reason."""
    known = list(among)
    kept = {subject: ""}
    _spread(kept, [(row.used, row.user, row) for row in known])
    _spread(kept, [(row.user, row.used, row) for row in known])
    del kept[subject]
    return kept


def needed_by(subject: Ref, among: Iterable[Relation]) -> dict[Ref, str]:
    """Return the resources that `subject` depends on, directly or not, each with the reason."""
    kept = {subject: ""}
    _spread(kept, [(row.user, row.used, row) for row in among])
    del kept[subject]
    return kept


def _spread(kept: dict[Ref, str], steps: Iterable[tuple[Ref, Ref, Relation]]) -> None:
    """Add to `kept` all that can be reached from it by `steps`, with the relation as reason."""
    table: dict[Ref, list[tuple[Ref, Relation]]] = {}
    for start, end, relation in steps:
        table.setdefault(start, []).append((end, relation))
    waiting = list(kept)
    while waiting:
        for end, relation in table.get(waiting.pop(0), ()):
            if end not in kept:
                kept[end] = _reason(end, relation)
                waiting.append(end)


def _reason(kept: Ref, relation: Relation) -> str:
    if kept == relation.user:
        return f"it {relation.verb} {relation.used}, which stays"
    return f"{relation.user}, which stays, {relation.verb} it"


def _relations_of(ref: Ref, spec: Spec, actual: ActualState) -> Iterator[Relation]:
    if ref.kind is Kind.PUBLICATION:
        if isinstance(shown := spec.get("repository"), str):
            yield Relation(ref, Ref(Kind.REPOSITORY, shown), "shows")
        pulled = spec.get("pullThrough")
        if isinstance(pulled, Mapping) and isinstance(pulled.get("remote"), str):
            yield Relation(ref, Ref(Kind.REMOTE, pulled["remote"]), "pulls from")
    if ref.kind is Kind.REPOSITORY:
        yield from _sources(ref, spec)
        for name in _global_filters(spec.get("type"), actual):
            yield Relation(ref, Ref(Kind.FILTER, name), "is filtered by")
    for name in spec.get("filters", ()):
        yield Relation(ref, Ref(Kind.FILTER, name), "is filtered by")


def _sources(ref: Ref, spec: Spec) -> Iterator[Relation]:
    for entry in spec.get("sources", ()):
        for key, kind, verb in (
            ("remote", Kind.REMOTE, "takes content from"),
            ("repository", Kind.REPOSITORY, "copies from"),
        ):
            if isinstance(keys := entry.get(key), Mapping) and isinstance(keys.get("name"), str):
                yield Relation(ref, Ref(kind, keys["name"]), verb)


def _global_filters(type: object, actual: ActualState) -> list[str]:
    return [
        ref.name
        for ref, resource in sorted(actual.resources.items())
        if ref.kind is Kind.FILTER
        and resource.spec.get("global")
        and resource.spec.get("type") == type
    ]
