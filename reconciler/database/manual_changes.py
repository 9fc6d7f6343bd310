"""Changes of a repository by hand: marks on content, and uploads that were removed."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from reconciler.database.bulk import Bulk, batches, listed, parameter, replacing
from reconciler.database.records import ManualChanges, RemovedUpload
from reconciler.database.schema import mark, removed_upload
from reconciler.database.session import Reading
from reconciler.model import QUARANTINED_STATUS, STATUS, Mark, MarkRecord

_row, _removed = mark.c, removed_upload.c
_OF = _row.repository_id == parameter("of_repository", _row.repository_id)
_MARKS = select(mark).where(_OF).order_by(_row.kind, _row.what)
_QUARANTINED = select(_row.group_names).where(
    _OF, _row.kind == STATUS, _row.value == QUARANTINED_STATUS
)
_REMOVED = select(removed_upload).where(
    _removed.repository_id == parameter("of_repository", _removed.repository_id),
    _removed.group_name.in_(listed("names")),
)
_MARK = replacing(mark, *(column.name for column in mark.columns))
_UNMARK = Bulk(
    lambda _: delete(mark).where(
        _OF, _row.kind == parameter("of_kind", _row.kind), _row.what == parameter("of", _row.what)
    ),
    *("of_repository", "of_kind", "of"),
)
_REMOVE = replacing(removed_upload, *(column.name for column in removed_upload.columns))
_RETURN = Bulk(
    lambda _: delete(removed_upload).where(
        _removed.repository_id == parameter("of_repository", _removed.repository_id),
        _removed.group_name == parameter("of_group", _removed.group_name),
        _removed.type == parameter("of_type", _removed.type),
        _removed.key == parameter("of_key", _removed.key),
    ),
    *("of_repository", "of_group", "of_type", "of_key"),
)


class ManualReads(Reading):
    """Marks, and uploads that were removed."""

    def marks(self, repository_id: int) -> list[MarkRecord]:
        """Return the marks that were made by hand, by kind and content."""
        with self._reading.connect() as connection:
            rows = connection.execute(_MARKS, {"of_repository": repository_id})
            return [
                MarkRecord(
                    Mark(
                        row.kind,
                        row.what,
                        tuple(json.loads(row.group_names)),
                        row.value,
                        row.reason,
                    ),
                    row.principal,
                    row.made_at,
                )
                for row in rows
            ]

    def quarantined_by_hand(self, repository_id: int) -> set[str]:
        """Return the groups that people have put into quarantine."""
        with self._reading.connect() as connection:
            rows = connection.execute(_QUARANTINED, {"of_repository": repository_id}).scalars()
            return {name for groups in rows for name in json.loads(groups)}

    def removed_uploads(self, repository_id: int, names: Iterable[str]) -> list[RemovedUpload]:
        """Return the uploads of these groups that were removed and did not come back."""
        with self._reading.connect() as connection:
            return [
                RemovedUpload(
                    row.group_name, row.type, row.key, row.body, row.principal, row.removed_at
                )
                for batch in batches(names)
                for row in connection.execute(
                    _REMOVED, {"of_repository": repository_id, "names": batch}
                )
            ]


def write_manual_changes(
    connection: Connection, repository_id: int, changes: ManualChanges
) -> None:
    """Record what was done by hand, in the transaction of its version."""
    _UNMARK(connection, [(repository_id, *each) for each in changes.unmarked])
    _MARK(connection, [(repository_id, *_mark_row(each)) for each in changes.marks])
    _RETURN(connection, [(repository_id, *each) for each in changes.returned])
    _REMOVE(
        connection,
        [
            (
                *(repository_id, each.group, each.type, each.key),
                *(each.body, each.principal, each.removed_at),
            )
            for each in changes.removed
        ],
    )


def _mark_row(record: MarkRecord) -> tuple[object, ...]:
    made = record.mark
    groups = json.dumps(list(made.groups))
    about = (made.kind, made.what, groups, made.value, made.reason)
    return (*about, record.principal, record.made_at)
