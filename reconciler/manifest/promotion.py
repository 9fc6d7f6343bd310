"""Repositories that copy from each other: refuse cycles, pass properties downstream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.manifest.document import Path
from reconciler.manifest.resources import Declaration
from reconciler.manifest.scalars import shown
from reconciler.manifest.validation_messages import dotted
from reconciler.model import ON_DEMAND, SourceKind

Table = Mapping[str, Declaration]


def refuse_cycles(copies: Mapping[str, Sequence[tuple[str, Path]]], repositories: Table) -> None:
    """Add a fault at each source that closes a cycle, with the whole cycle.

    `copies`: by repository, the repositories that it copies from and the path of each source.
    """
    done: set[str] = set()
    for start in copies:
        trail = {start: None} if start not in done else {}  # in the order of the way
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
    """Return the repositories whose files may not be stored, each with its on-demand remote."""
    lazy = {
        name for name, each in remotes.items() if each.checked.text("spec", "policy") == ON_DEMAND
    }
    if not lazy:
        return {}
    found = {}
    for name, each in repositories.items():
        remote = next(
            (remote for remote in _named(each, SourceKind.REMOTE) if remote in lazy), None
        )
        if remote is not None:
            found[name] = remote
    return downstream(found, repositories)


def downstream(seeds: Mapping[str, str], repositories: Table) -> dict[str, str]:
    """Return `seeds` and all repositories that copy from them, directly or not.

    Each copy has the value of its seed.
    """
    copied_by: dict[str, list[str]] = {}
    for name, each in repositories.items():
        for source in _named(each, SourceKind.REPOSITORY):
            copied_by.setdefault(source, []).append(name)
    found = dict(seeds)
    waiting = list(seeds)
    while waiting:
        source = waiting.pop()
        for name in copied_by.get(source, ()):
            if name not in found:
                found[name] = found[source]
                waiting.append(name)
    return found


def _named(each: Declaration, wanted: SourceKind) -> Iterable[str]:
    """Yield the names that sources of one kind refer to."""
    for index, _ in enumerate(each.checked.items("spec", "sources")):
        name = each.checked.text("spec", "sources", index, wanted.value, "name")
        if name is not None:
            yield name


def _refuse(each: Declaration, path: Path, chain: list[str]) -> None:
    if len(chain) == 2:
        each.checked.refuse(
            path,
            f"`{dotted(path)}`: a repository cannot copy from itself",
            "name another repository, or leave this source out",
        )
        return
    circle = " -> ".join(shown(name) for name in chain)
    each.checked.refuse(
        path,
        f"`{dotted(path)}`: these repositories copy from each other in a circle: `{circle}`",
        "leave one of these sources out",
    )
