"""Versions of what was pulled through: some groups at once, at most one version a minute.

Its units belong to the source `pullThrough`, which no manifest declares.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.database import CommittedGroup, PulledGroup, StagedGroup, StagedMember
from reconciler.engine.pull_through.targets import PullTarget
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.members import digest_of, members_in
from reconciler.model import PULL_THROUGH
from reconciler.plan import GroupMember

AT_ONCE = 500  # groups of one version
PRINCIPAL = "pull-through"
READ = "pulled"  # validator of a group that was read


def commit_pulled(session: WritingSession, target: PullTarget) -> int:
    """Commit the groups that wait for a version; return their number.

    Raises Conflict where another writer changed one of them meanwhile: they wait on.
    """
    writer, registry, id_ = session.writer, session.registry, target.shown.id
    pending = writer.pending_groups(id_, limit=AT_ONCE)
    own = [each for each in pending if not target.owner(writer, registry, each.group)]
    held = members_in(writer, target.actual, [each.group for each in own]) if own else {}
    changes = [_changes(each, held.get(each.group, [])) for each in own]
    groups = [group for group, members in changes if members]
    if groups:
        plugin = registry.importer(target.repository.type)
        used = {"id": plugin.id, "version": plugin.distribution_version}
        with writer.stage(target.actual.id, session.clock()) as stage:
            stage.add(groups, [member for _, members in changes for member in members])
            stage.commit({"principal": PRINCIPAL, "plugin": used}, {}, session.clock())
    writer.pulled_settled(id_, pending)
    return len(groups)


def _changes(
    pulled: PulledGroup, members: Sequence[GroupMember]
) -> tuple[StagedGroup, list[StagedMember]]:
    held = {member.digest for member in members if member.source == PULL_THROUGH}
    wanted = set(pulled.units)
    group = StagedGroup(
        pulled.group,
        PULL_THROUGH,
        digest_of(members),
        CommittedGroup(pulled.group, READ, pulled.basis) if wanted else None,
    )
    leaving = [StagedMember(pulled.group, unit, PULL_THROUGH, False) for unit in held - wanted]
    joining = [StagedMember(pulled.group, unit, PULL_THROUGH, True) for unit in wanted - held]
    return group, leaving + joining
