"""Paths that publishers emit twice: how they are found, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, exists, select

from reconciler.database.bulk import batches, listed, parameter
from reconciler.database.records import Entry, group_label
from reconciler.database.schema import publication_entry
from reconciler.errors import PluginFault

_rows = publication_entry.c
_NEWER = (
    (_rows.publication_id == parameter("of_publication", _rows.publication_id))
    & _rows.removed.is_(None)
    & (_rows.added == parameter("of_number", _rows.added))
)

CLAIMED = select(_rows.path, _rows.media_type, _rows.group_name).where(
    _NEWER, _rows.path.in_(listed("paths", _rows.path))
)
"""Entries that a publication in preparation has written under some paths."""


def _twice() -> Any:
    """Return the query for paths and media types that a new and an older entry both claim.

    The two belong to different groups, whose names are selected as well.
    """
    older = publication_entry.alias()
    same = (
        (older.c.publication_id == _rows.publication_id)
        & (older.c.path == _rows.path)
        & (older.c.media_type == _rows.media_type)
    )
    before = select(older.c.group_name).where(
        same, older.c.removed.is_(None), older.c.added < _rows.added
    )
    # A subquery and no join, which would begin with the older ones: nearly all that there is.
    both = select(
        _rows.path,
        _rows.media_type,
        before.limit(1).scalar_subquery(),
        _rows.group_name.label("newer"),
    )
    return both.where(_NEWER, exists(before))


TWICE = _twice()


def written_clash(
    connection: Connection,
    publication_id: int,
    number: int,
    *,
    pending: Mapping[str, Sequence[Entry]],
) -> PluginFault | None:
    """Return the fault for a path that a pending group emits and another has written before."""
    new = {
        (entry.path, entry.media_type): entry.group
        for entries in pending.values()
        for entry in entries
    }
    for batch in batches(sorted({path for path, _ in new})):
        values = {"of_publication": publication_id, "of_number": number, "paths": batch}
        for path, media_type, group in connection.execute(CLAIMED, values):
            if (group or "") not in pending and (path, media_type) in new:
                return path_clash(path, media_type, group, new[path, media_type])
    return None


def repeated_path(entries: Iterable[Entry]) -> PluginFault:
    """Return the fault for a path that is emitted twice among pending entries."""
    seen: dict[tuple[str, str], str | None] = {}
    for entry in entries:
        if (entry.path, entry.media_type) in seen:
            older = seen[entry.path, entry.media_type]
            return path_clash(entry.path, entry.media_type, older, entry.group)
        seen[entry.path, entry.media_type] = entry.group
    raise ValueError("nothing is emitted twice")


def path_clash(path: str, media_type: str, *groups: str | None) -> PluginFault:
    names = sorted(f"by {group_label(group)}" for group in groups if group is not None)
    if None in groups:
        names.append("outside of any group")
    return PluginFault(
        f"`{path}` is emitted twice as `{media_type}`: {' and '.join(names)}",
        hint="emit one body for each path and media type",
    )
