"""Repositories that copy from each other: refuse cycles, pass properties downstream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.manifest.document import Path
from reconciler.manifest.resources import Declaration
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation_messages import dotted
from reconciler.model import UPSTREAM, SourceKind

Table = Mapping[str, Declaration]


def refuse_cycles(copies: Mapping[str, Sequence[tuple[str, Path]]], repositories: Table) -> None:
    """Add a fault at each source that closes a cycle, with the whole cycle.

    `copies`: by repository, the repositories that it copies from and the path of each source.
    """
    done: set[str] = set()
    for start in copies:
        trail = {start: None} if start not in done else {}  # keys in the order of the path
        waiting = [iter(copies[start])]
        while trail:
            step = next(waiting[-1], None)
            if step is None:
                done.add(trail.popitem()[0])
                waiting.pop()
            elif step[0] in trail:
                way = list(trail)
                _refuse(repositories[way[-1]], step[1], [*way[way.index(step[0]) :], step[0]])
            elif step[0] in copies and step[0] not in done:
                trail[step[0]] = None
                waiting.append(iter(copies[step[0]]))


def partial(repositories: Table, remotes: Table) -> dict[str, str]:
    """Return the repositories whose files may not be stored, each with the remote that has them."""
    upstream = {
        name
        for name, declared in remotes.items()
        if declared.checked.text("spec", "policy") in UPSTREAM
    }
    if not upstream:
        return {}
    seeds = {}
    for name, declared in repositories.items():
        remote = next(
            (remote for remote in _named(declared, SourceKind.REMOTE) if remote in upstream), None
        )
        if remote is not None:
            seeds[name] = remote
    return downstream(seeds, repositories)


def downstream(seeds: Mapping[str, str], repositories: Table) -> dict[str, str]:
    """Return `seeds` and all repositories that copy from them, directly or not.

    Each copy has the value of its seed.
    """
    copied_by: dict[str, list[str]] = {}
    for name, repository in repositories.items():
        for source in _named(repository, SourceKind.REPOSITORY):
            copied_by.setdefault(source, []).append(name)
    values = dict(seeds)
    waiting = list(seeds)
    while waiting:
        source = waiting.pop()
        for name in copied_by.get(source, ()):
            if name not in values:
                values[name] = values[source]
                waiting.append(name)
    return values


def _named(declared: Declaration, kind: SourceKind) -> Iterable[str]:
    """Yield the names that sources of one kind refer to."""
    for index, _ in enumerate(declared.checked.items("spec", "sources")):
        name = declared.checked.text("spec", "sources", index, kind.value, "name")
        if name is not None:
            yield name


def _refuse(declared: Declaration, path: Path, chain: list[str]) -> None:
    if len(chain) == 2:
        declared.checked.refuse(
            path,
            f"`{dotted(path)}`: a repository cannot copy from itself",
            "name another repository, or leave this source out",
        )
        return
    circle = " -> ".join(shown(name) for name in chain)
    declared.checked.refuse(
        path,
        f"`{dotted(path)}`: these repositories copy from each other in a circle: `{circle}`",
        "leave one of these sources out",
    )
