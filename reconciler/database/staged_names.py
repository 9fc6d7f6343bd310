"""Names of staged files that exclude each other, or what came in since they were checked."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, exists, select

from reconciler.database import commit_statements as sql
from reconciler.database import unit_paths
from reconciler.database.bulk import parameter
from reconciler.database.schema import (
    membership,
    repository_group,
    stage_member,
    unit,
    unit_artifact,
)
from reconciler.database.versions import STREAM
from reconciler.model import CheckedTree, FileTree, NameFault

_JOINING = (
    select(
        unit_paths.OF_ARTIFACT,
        stage_member.c.group_id,
        repository_group.c.name,
        stage_member.c.source,
    )
    .join(stage_member, stage_member.c.unit_id == unit_artifact.c.unit_id)
    .join(unit, unit.c.id == unit_artifact.c.unit_id)
    .join(repository_group, repository_group.c.id == stage_member.c.group_id)
    .where(stage_member.c.stage_id == sql.STAGE, stage_member.c.joins)
    .order_by(unit_paths.OF_ARTIFACT)
)
_LEAVING = exists(
    select(1).where(
        stage_member.c.stage_id == sql.STAGE,
        stage_member.c.group_id == membership.c.group_id,
        stage_member.c.source == membership.c.source,
        stage_member.c.unit_id == membership.c.unit_id,
        ~stage_member.c.joins,
    )
)
_STAYING = (
    select(unit_paths.OF_ARTIFACT)
    .join(unit, unit.c.id == unit_artifact.c.unit_id)
    .join(membership, membership.c.unit_id == unit_artifact.c.unit_id)
    .where(sql.OPEN, membership.c.added > parameter("checked", membership.c.added), ~_LEAVING)
)


class StagedFault(NamedTuple):
    """A staged file that cannot join, and the group that brings it."""

    path: str
    fault: NameFault
    group_id: int
    group: str
    source: str

    def __str__(self) -> str:
        return f"`{self.path}` {self.fault.reason}"


def name_faults(
    connection: Connection, stage_id: int, *, repository_id: int, tree: CheckedTree
) -> dict[str, StagedFault]:
    """Return, by path, the staged files that no tree holds beside what joined since the check."""
    joining = {row[0]: row for row in connection.execute(_JOINING, {"of_stage": stage_id})}
    if not joining:
        return {}
    files = FileTree(joining, folded=tree.folded)
    rows = connection.execute(
        _STAYING,
        {"of_stage": stage_id, "of_repository": repository_id, "checked": tree.version},
        execution_options={"yield_per": STREAM},
    )
    for path in rows.scalars():
        files.meet(path)
    return {
        path: StagedFault(path, fault, *joining[path][1:]) for path, fault in files.faults().items()
    }
