"""Faults of publishers that emit one path twice."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.database.records import Entry
from reconciler.errors import PluginFault


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
    names = sorted(f"by the group `{group}`" for group in groups if group is not None)
    if None in groups:
        names.append("outside of any group")
    return PluginFault(
        f"`{path}` is emitted twice as `{media_type}`: {' and '.join(names)}",
        hint="emit one body for each path and media type",
    )
