"""Units of a version that a plan makes: what is recorded, changed as planned."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from reconciler.database import SourcedUnit
from reconciler.model import Digest, StoredUnit, stored_unit
from reconciler.plan import REFUSE, REMOVE, ContentChanges, GroupChange


def planned_rows(
    recorded: Iterable[tuple[str, Sequence[SourcedUnit]]],
    groups: Iterable[str],
    content: ContentChanges | None,
) -> Iterator[tuple[str, Sequence[SourcedUnit]]]:
    """Yield groups with the units that they hold once `content` has changed them.

    Args:
        recorded: Groups as they are recorded.
        groups: Names of all groups that are asked for.
        content: The planned changes; None where there are none.
    """
    touched = content.spool.names() if content is not None else frozenset()
    left = touched.intersection(groups)
    for name, rows in recorded:
        if content is not None and name in touched:
            left -= {name}
            yield name, _changed(rows, content.spool.of(name))
        else:
            yield name, rows
    if content is not None:
        for name in sorted(left):
            yield name, _changed((), content.spool.of(name))


def planned_units(
    content: ContentChanges | None, groups: Collection[str]
) -> dict[Digest, StoredUnit]:
    """Return the units that come into these groups by a plan, by digest."""
    if content is None:
        return {}
    return {
        line.digest: stored_unit(bytes(line.body))
        for name in groups
        for change in content.spool.of(name)
        for line in change.lines
        if line.op not in (REMOVE, REFUSE) and line.digest is not None and line.body
    }


def _changed(rows: Iterable[SourcedUnit], changes: Iterable[GroupChange]) -> list[SourcedUnit]:
    units = {(row.digest, row.source): row for row in rows}
    for change in changes:
        source = change.head.source
        for line in change.lines:
            leaving = line.digest if line.op == REMOVE else line.before
            if line.op != REFUSE and leaving is not None:
                units.pop((leaving, source), None)
            if line.op not in (REMOVE, REFUSE) and line.digest is not None and line.body:
                unit = stored_unit(bytes(line.body))
                units[line.digest, source] = SourcedUnit(line.digest, unit, source)
    return list(units.values())
