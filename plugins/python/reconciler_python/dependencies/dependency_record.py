"""Relations between projects of a closure, and the record of the last complete one.

The record tells what a project needed that the index no longer has: that stays with it.
"""

from __future__ import annotations

import base64
import logging
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

import msgspec

from reconciler.plugin import Group, PluginFault, Refused
from reconciler_python.dependencies.closure_results import ClosureResult
from reconciler_python.options.conduit import Conduit

_KEY: Final = "dependencies"
_LARGEST: Final = 64 * 1024 * 1024  # bytes of a record that is unpacked

logger = logging.getLogger(__name__)

Edges = Mapping[str, Sequence[str]]
"""By project, the projects that it requires."""

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
    """The requirements of the last complete closure, in the importer's scratchpad.

    Packed, since a scratchpad is small: one of 10,000 projects has megabytes of names.
    """

    def __init__(self, conduit: Conduit) -> None:
        self._conduit = conduit

    def kept_groups(self, missing: Iterable[str], declared: Container[str]) -> Iterator[Group]:
        """Yield the groups that only missing projects are recorded to need.

        What is held of a missing project stays, and shall stay installable.
        """
        for name, cause in self._needed_by(missing).items():
            if name not in declared:
                failure = Refused(f"stays, since {cause} needed it, which the index no longer has")
                yield Group(name, data=ClosureResult(failure=failure))

    def write(self, requirers: Requirers) -> None:
        """Record the requirements of a complete closure, if they differ from the recorded ones.

        Too many are not recorded.
        """
        edges: dict[str, list[str]] = {}
        for name in sorted(requirers):
            for requirer in requirers[name]:
                edges.setdefault(requirer, []).append(name)
        if edges != self._read():
            noted = self._noted()
            indexes = {**noted.get(_KEY, {}), self._conduit.url: _packed(edges)}
            try:
                self._conduit.set_scratchpad({**noted, _KEY: indexes})
            except PluginFault as fault:
                logger.info("the dependencies of %s are not recorded: %s", self._conduit.url, fault)

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

    def _read(self) -> Edges:
        return _unpacked(self._noted().get(_KEY, {}).get(self._conduit.url))

    def _noted(self) -> dict[str, Any]:
        noted = self._conduit.get_scratchpad()
        return noted if isinstance(noted, dict) else {}


def _packed(edges: Edges) -> str:
    return base64.b85encode(zlib.compress(msgspec.json.encode(edges))).decode("ascii")


def _unpacked(text: object) -> Edges:
    """Return what `_packed` was given; nothing for any other text."""
    if not isinstance(text, str):
        return {}
    try:
        body = zlib.decompressobj().decompress(base64.b85decode(text), _LARGEST)
        return msgspec.json.decode(body, type=dict[str, list[str]])
    except (ValueError, zlib.error, msgspec.MsgspecError):
        return {}
