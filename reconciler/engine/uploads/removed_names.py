"""Names of uploads that were removed: they keep their bytes.

What a client has fetched, locked or cached under a name must not come to mean something else. The
content type says whether two units may follow each other, as for a unit that is held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from reconciler.database import ManualChanges, RemovedUpload
from reconciler.engine.sources.selection import Selection
from reconciler.engine.uploads.upload_target import GroupChanges, UploadTarget
from reconciler.errors import NameReused
from reconciler.model import UPLOAD, Unit, stored_unit
from reconciler.plan import ADD, REMOVE, ChangeLine


class RemovedNames:
    """The removed uploads of some groups."""

    def __init__(self, target: UploadTarget, groups: Sequence[str]) -> None:
        removed = target.writer.removed_uploads(target.actual.id, groups)
        self._removed: Mapping[tuple[str, str, str], RemovedUpload] = {
            (each.group, each.type, each.key): each for each in removed
        }
        self._may_differ = target.source.reuses_names

    def refusal(self, group: str, unit: Unit, selection: Selection) -> NameReused | None:
        """Return why a unit must not come back under its name, or None."""
        removed = self._removed.get((group, unit.type, unit.key))
        if removed is None or self._may_differ:
            return None
        if selection.refuse_replacement(stored_unit(removed.body), unit) is None:
            return None
        return NameReused(
            f"`{unit.key}` was removed by {removed.principal} on {removed.removed_at:%Y-%m-%d}, and"
            " comes back with the same bytes alone",
            hint="raise the version; `upload: {reuseNames: true}` would let other bytes in",
        )


def manual_changes(groups: Sequence[GroupChanges], principal: str, now: datetime) -> ManualChanges:
    """Return what an upload or a removal changes in the record of removed names."""
    return ManualChanges(
        removed=[
            removed
            for group in groups
            for line in group.lines
            for removed in _removed(group, line, principal=principal, now=now)
        ],
        returned=[
            (group.name, line.type, line.key)
            for group in groups
            for line in group.lines
            if line.op == ADD
        ],
    )


def _removed(
    group: GroupChanges, line: ChangeLine, *, principal: str, now: datetime
) -> Iterator[RemovedUpload]:
    if line.op != REMOVE:
        return
    for member in group.before:
        if member.source == UPLOAD and member.digest == line.digest:
            yield RemovedUpload(group.name, line.type, line.key, member.body, principal, now)
