"""Comparison of what a source ever brought with what upstream lists, group by group.

A key counts as delisted when upstream answered completely and does not list it. What it lists and
our rules keep out is listed. Only a remote whose importer declares and reads can be asked so: a
low-level importer also removes what its own options no longer want.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from reconciler.engine.sources.repository_resolution import Key, RepositoryResolution
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.model import Source, SourceKind
from reconciler.plan import GroupLine, GroupMember
from reconciler.plugin.importer import low_level

Keys = Mapping[str, Collection[Key]]


class Delistings:
    """Compares what a source ever brought to groups with what upstream lists there.

    Attributes:
        applies: False for a source of which it cannot be known.
    """

    def __init__(
        self, resolution: RepositoryResolution, source: Source, selection: Selection
    ) -> None:
        self._resolution = resolution
        self._source_id = source.id
        self._selection = selection
        self._left: Keys = {}
        self._delisted: Keys = {}
        self.applies = source.kind is SourceKind.REMOTE and not low_level(resolution.importer_class)

    async def load(self, names: Sequence[str]) -> None:
        """Read what is recorded of the groups that are compared next."""
        actual, reader = self._resolution.actual, self._resolution.reader
        if self.applies and actual is not None and actual.number and names:
            asked = (actual.id, self._source_id, names)
            self._left = await asyncio.to_thread(reader.left_keys, *asked)
            self._delisted = await asyncio.to_thread(reader.delisted_keys, *asked)

    def noted(
        self,
        head: GroupLine,
        members: Iterable[GroupMember],
        response: SourceResponse | None = None,
        *,
        complete: bool = True,
    ) -> GroupLine:
        """Return the head of a group with what upstream lists no more, or again.

        Args:
            head: The head of the group.
            members: What the group holds now.
            response: The response of upstream; None where the whole group is no longer listed.
            complete: False where upstream may have more than it answered.
        """
        if not self.applies:
            return head
        before = self._delisted.get(head.name, ())
        brought = {
            (member.unit.type, member.unit.key)
            for member in members
            if member.source == self._source_id
        }.union(self._left.get(head.name, ()))
        missing = brought - _listed(response, brought)
        delisted = missing.difference(before) if complete else ()
        return msgspec.structs.replace(
            head,
            delisted=sorted(key for key in delisted if self._selection.is_main(key[0])),
            relisted=sorted(key for key in before if key not in missing),
        )


def _listed(response: SourceResponse | None, brought: Iterable[Key]) -> set[Key]:
    """Return what upstream lists, whether or not it could become a unit and may come in."""
    if response is None or response.gone:
        return set()
    kept_out = {key for key, _ in response.kept_out}
    listed = {(unit.type, unit.key) for unit in response.units}
    return listed.union(key for key in brought if key[1] in kept_out)
