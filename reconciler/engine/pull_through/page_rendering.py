"""The pages of one group, rendered by the publisher as those of a version are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, cast

from reconciler.database import Entry, GzipPage, Signature
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.plugin_lifecycle.plugin_uses import owner_of
from reconciler.engine.publishing.first_seen_units import FirstSeenUnits
from reconciler.engine.publishing.publish_conduit import PublishConduit
from reconciler.engine.publishing.signatures import Signatures
from reconciler.engine.pull_through.targets import PullTarget
from reconciler.engine.session.session import Session
from reconciler.model import Digest, IdentifiedUnit, StoredUnit, stored_unit
from reconciler.plugin import PublishedVersion


class RenderedGroup:
    """Takes what a publisher emits of one group: stands for the stage of a publication."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.pages: dict[Digest, GzipPage] = {}

    def replace_group(
        self,
        group: str | None,
        entries: Sequence[Entry],
        pages: Mapping[Digest, GzipPage],
        *,
        signatures: Sequence[Signature] = (),
    ) -> None:
        """Keep what belongs to the group."""
        if group is not None:
            self.entries += entries
            self.pages.update(pages)


class GroupView:
    """One group as if it were all that differs in a version."""

    groups_changed = False

    def __init__(self, group: str, units: Sequence[StoredUnit], version: PublishedVersion) -> None:
        self._units = {group: list(units)}
        self._version = version
        self.number = version.number

    def published(self) -> PublishedVersion:
        """Return the version that publishers may name."""
        return self._version

    def changed_groups(self) -> dict[str, None]:
        """Return the name of the group."""
        return dict.fromkeys(self._units)

    def read_changed(self) -> Iterator[str]:
        """Yield the name of the group."""
        return iter(self._units)

    groups = read_changed

    def units(self, group: str) -> list[StoredUnit]:
        """Return the units of the group, none of any other."""
        return self._units.get(group, [])


def rendered(
    session: Session,
    target: PullTarget,
    group: str,
    *,
    units: Sequence[IdentifiedUnit],
    now: datetime,
) -> RenderedGroup:
    """Have the publisher render a group. Runs plugin code: call it in a worker thread.

    Raises PluginFault where the publisher breaks its contract.
    """
    publication = target.publication
    plugin = session.registry.publisher(publication.publisher)
    call = f"publisher `{plugin.id}` of {publication.meta.ref}"
    stored = [stored_unit(unit.body) for unit in units]
    undated = FirstSeenUnits(session, publication)
    if undated:
        stored = undated.with_first_seen({group: stored})[group]
    output = RenderedGroup()
    with session.watch(call) as alive, plugin_faults(call):
        conduit = PublishConduit(
            cast(Any, output),
            cast(Any, GroupView(group, stored, PublishedVersion(target.actual.number, now))),
            publication,
            plugin=plugin,
            repository=session.workdirs.persistent(publication.repository, owner_of(plugin)),
            scratchpads=ScratchpadSession(partial(session.reader.scratchpad, target.actual.id)),
            alive=alive,
            signatures=Signatures(session.reader, publication.publisher, lambda: now),
        )
        cls: Any = plugin.cls
        try:
            cls().publish(conduit, conduit.config)
            conduit.finish()
        finally:
            conduit.close()
    return output
