"""Restoring: the uploads of an earlier version, brought back as a new one.

Mirrored content stays as it is: the next sync and the rules of today decide about it. Marks of
today count, and a name that another source owns by now is not taken from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.session.session import Session
from reconciler.engine.sources.marks import Marks, marks_of
from reconciler.engine.sources.members import declared_unit
from reconciler.engine.sources.selection import Selection
from reconciler.engine.uploads.admission import check_owner
from reconciler.engine.uploads.upload_target import GroupChanges, UploadTarget
from reconciler.errors import Conflict, Gone
from reconciler.model import UPLOAD, IdentifiedUnit, StoredUnit, identify
from reconciler.plan import REFUSE, DesiredGroup, GroupMember, difference


def restored_groups(session: Session, target: UploadTarget, number: int) -> list[GroupChanges]:
    """Return the changes that lead to the uploads of a version.

    Raises:
        Gone: The repository has no such version.
        Conflict: Another source owns a name, or holds a key, that uploads had.
    """
    reader, actual = target.writer, target.actual
    if not 0 <= number <= actual.number:
        raise Gone(
            f"repository `{target.name}` has no version {number}",
            hint=f"`reconciler history {target.name}` lists those that it has",
        )
    others = reader.committed_sources(actual.id).keys() - {UPLOAD}
    before = set(reader.groups_of_others(actual.id, number, others))
    now = set(reader.groups_of_others(actual.id, actual.number, others))
    then = reader.sourced_units(actual.id, number, sorted(before))
    plan = _Restoration(session, target)
    changes = [
        plan.group(name, [row.unit for row in then.get(name, []) if row.source == UPLOAD])
        for name in sorted(before | now)
    ]
    return [change for change in changes if change.lines]


class _Restoration:
    """Compares the uploads of a version with those of today."""

    def __init__(self, session: Session, target: UploadTarget) -> None:
        self._session = session
        self._target = target
        self._marks: Marks = marks_of(
            target.writer, target.importer_class, target.repository, actual=target.actual
        )
        self._selection = Selection.of(
            session, target.plugin, options=target.source.options, filters=(), now=session.clock()
        )

    def group(self, name: str, units: Sequence[StoredUnit]) -> GroupChanges:
        """Return what changes in a group that is to hold these uploads."""
        members = self._target.members(name)
        call = self._target.call("`with_marks`")
        with self._session.watch(call), plugin_faults(call):
            wanted = self._marked(name, units, members)
            desired = DesiredGroup(wanted, gone="not in that version")
            lines = difference(UPLOAD, members, desired, describer=self._selection)
        refused = next((line for line in lines if line.op == REFUSE), None)
        if refused is not None:
            raise Conflict(f"`{refused.key}` cannot come back: {refused.reason}")
        digests = {line.digest for line in lines}
        arriving = [unit for unit in wanted if unit.digest in digests]
        if arriving:
            check_owner(self._target, name)
        return GroupChanges(name, members, lines, arriving)

    def _marked(
        self, name: str, units: Sequence[StoredUnit], members: Sequence[GroupMember]
    ) -> list[IdentifiedUnit]:
        plain = self._marks.restored(name, [declared_unit(unit) for unit in units])
        held = {(each.unit.type, each.unit.key): each for each in members if each.source == UPLOAD}
        return [
            identify(unit, name, held.get((unit.type, unit.key)))
            for unit in self._marks.applied(name, plain)
        ]
