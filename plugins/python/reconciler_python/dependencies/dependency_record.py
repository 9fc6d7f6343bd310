"""Relations between projects of a closure, and the record of the last complete one.

The record tells what a project needed that the index no longer has: that stays with it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

from reconciler.plugin import Group, ImporterCall, Refused
from reconciler_python.dependencies.closure_results import ClosureResult

_KEY: Final = "dependencies"

Requirers = Mapping[str, Set[str]]
"""By project, the projects that require it."""


def dependents(projects: Iterable[str], requirers: Requirers) -> frozenset[str]:
    """Return the projects that depend on one of these, directly or not."""
    waiting, reached = list(projects), set[str]()
    while waiting:
        new = requirers.get(waiting.pop(), frozenset()) - reached
        reached |= new
        waiting.extend(new)
    return frozenset(reached)


class DependencyRecord:
    """The requirements of the last complete closure, in the importer's scratchpad."""

    def __init__(self, call: ImporterCall) -> None:
        self._call = call

    def kept_groups(self, missing: Iterable[str], declared: Container[str]) -> Iterator[Group]:
        """Yield the groups that only missing projects are recorded to need.

        What is held of a missing project stays, and shall stay installable.
        """
        for name, cause in self._needed_by(missing).items():
            if name not in declared:
                failure = Refused(f"stays, since {cause} needed it, which the index no longer has")
                yield Group(name, data=ClosureResult(failure=failure))

    def write(self, requirers: Requirers) -> None:
        """Record the requirements of a complete closure, if they differ from the recorded ones."""
        edges: dict[str, list[str]] = {}
        for name in sorted(requirers):
            for requirer in requirers[name]:
                edges.setdefault(requirer, []).append(name)
        if edges != self._read():
            noted = self._noted()
            indexes = {**noted.get(_KEY, {}), self._call.url: edges}
            self._call.set_scratchpad({**noted, _KEY: indexes})

    def _needed_by(self, projects: Iterable[str]) -> dict[str, str]:
        """Return what these needed, directly or not, each with the project that needed it."""
        waiting, needed = sorted(projects), dict[str, str]()
        edges = self._read() if waiting else {}
        while waiting:
            project = waiting.pop(0)
            new = [name for name in edges.get(project, ()) if name not in needed]
            needed |= dict.fromkeys(new, project)
            waiting.extend(new)
        return needed

    def _read(self) -> Mapping[str, Sequence[str]]:
        edges: Mapping[str, Sequence[str]] = self._noted().get(_KEY, {}).get(self._call.url, {})
        return edges

    def _noted(self) -> dict[str, Any]:
        noted = self._call.get_scratchpad()
        return noted if isinstance(noted, dict) else {}
