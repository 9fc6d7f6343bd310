"""Groups of which nothing but filters changed: their recorded units are decided, and no page read.

Reading the pages of every group is most of what a changed filter costs. Where upstream offers what
it offered, and all of that is held, the recorded units are those that a reading would bring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.engine.sources.committed_state import CommittedState
from reconciler.engine.sources.members import declared_unit, digest_of
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_artifacts import RemoteArtifacts
from reconciler.model import Digest, Unit
from reconciler.plan import GroupMember


class RecordedUnits:
    """Recorded units of one remote that stand for what upstream offers.

    Args:
        committed: What is recorded of the source.
        artifacts: Tell whether the bytes are there that should be.
        rules_digest: Digest of rules with the filters of the run before: a group that is recorded
            under it was decided by rules that differ in nothing but filters. None where these are
            not known, or where they are those of today.
    """

    def __init__(
        self,
        source: str,
        committed: CommittedState,
        artifacts: RemoteArtifacts,
        *,
        rules_digest: Digest | None,
    ) -> None:
        self._source_id = source
        self._artifacts = artifacts
        self._committed = committed
        self._rules_digest = rules_digest

    def validator(self, name: str) -> str | None:
        """Return the validator under which upstream offers what is held; None if it may not."""
        if self._rules_digest is None:
            return None
        group = self._committed.groups.get(name)
        if group is None or group.offered is None:
            return None
        return self._committed.group_validator(name, self._rules_digest)

    async def units(
        self, members: Mapping[str, Sequence[GroupMember]]
    ) -> Mapping[str, Sequence[Unit]]:
        """Return the units of groups as a reading would bring them, but for their URLs.

        Groups that do not hold what upstream offered are left out, and those of which the store
        lacks bytes. `members`: what the groups hold.
        """
        held = {}
        for name, all_members in members.items():
            own = [member for member in all_members if member.source == self._source_id]
            if own and digest_of(own) == self._committed.groups[name].offered:
                held[name] = [declared_unit(member.unit) for member in own]
        lacking = await self._artifacts.groups_not_stored(held)
        return {name: units for name, units in held.items() if name not in lacking}


def only_filters_differ(
    resolution: RepositoryResolution, selection: Selection, former: Selection | None
) -> bool:
    """Return True if filters alone differ, and `read` is not needed for these nor for those before.

    Raises what the plugin raises.
    """
    if former is None or former.digest == selection.digest:
        return False
    with resolution.session.call_timeouts.named(resolution.call("filters_need_read")):
        return all(
            resolution.importer_class.filters_need_read(selection.options, each.filters) is False
            for each in (selection, former)
        )
