"""Changes of what filters keep out of a publication: rows of a plan, and what its guard counts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from reconciler.database import Reader, WithheldUnit
from reconciler.engine.publishing.filter_evaluation import FilterEvaluator, FilterResult, Units
from reconciler.engine.publishing.planned_units import planned_units
from reconciler.engine.publishing.version_view import RepositoryVersion
from reconciler.engine.sources.spool import SpoolWriter
from reconciler.engine.sources.withdrawals import QUARANTINED
from reconciler.model import ActualPublication, Digest, StoredUnit, declared_size, stored_unit
from reconciler.plan import (
    ADD,
    CHANGE,
    REMOVE,
    ChangeLine,
    ContentChanges,
    GroupChange,
    GroupLine,
    Withholding,
)

Bodies = Mapping[Digest, StoredUnit]


def removed_units(content: ContentChanges | None, groups: Collection[str]) -> set[Digest]:
    """Return the units that a plan removes from these groups of a repository."""
    if content is None:
        return set()
    lines = (line for name in groups for change in content.spool.of(name) for line in change.lines)
    removed = {
        line.digest if line.op == REMOVE else line.before
        for line in lines
        if line.op in (REMOVE, CHANGE)
    }
    return {digest for digest in removed if digest is not None}


def withheld_changes(
    evaluator: FilterEvaluator,
    result: FilterResult,
    *,
    current: ActualPublication,
    version: RepositoryVersion,
    content: ContentChanges | None = None,
) -> Withholding | None:
    """Compare what filters withhold now with what is recorded.

    Args:
        evaluator: Made `result`; its content types describe the units.
        result: What filters decide about `version`.
        current: The publication as recorded.
        version: The version that was evaluated.
        content: What the plan changes before the version is shown.

    Returns:
        The changes; None where nothing differs.
    """
    if result.units is None or result.summary.withheld == current.verdict.withheld:
        return None
    reader = evaluator.reader
    before = evaluator.recorded(current)
    differing = _symmetric_difference(before, result.units)
    groups = sorted({unit.group for unit in differing.values()})
    bodies = _bodies(reader, version, groups)
    for digest in removed_units(content, groups):
        bodies.pop(digest, None)
    bodies.update(planned_units(content, groups))
    rows = {digest: unit for digest, unit in differing.items() if digest in bodies}
    if not rows:
        return None
    changes = _rows(evaluator, result, rows, bodies=bodies)
    newly_withheld = rows.keys() - before.keys()
    taken = _served_among(reader, current, version.repository_id, units=newly_withheld, of=groups)
    if not taken:
        return changes
    assert current.version is not None
    in_quarantine = {digest for digest in newly_withheld if rows[digest].reason == QUARANTINED}
    growth = content.counts.added - content.counts.removed if content else 0
    return replace(
        changes,
        newly_withheld=taken,
        quarantined=_served_among(
            reader, current, version.repository_id, units=in_quarantine, of=groups
        ),
        served_before=_unit_count(reader, version.repository_id, current.version)
        - current.verdict.units,
        served_after=_unit_count(reader, version.repository_id, version.number)
        + growth
        - result.summary.units,
    )


def _symmetric_difference(before: Units, after: Units) -> dict[Digest, WithheldUnit]:
    return {
        digest: unit
        for digest, unit in {**before, **after}.items()
        if (digest in before) != (digest in after)
    }


def _rows(
    evaluator: FilterEvaluator, result: FilterResult, rows: Units, *, bodies: Bodies
) -> Withholding:
    """Write the spool: `-` for units that are withheld from now on, `+` for those that are not."""
    writer = SpoolWriter()
    by_group: dict[str, list[ChangeLine]] = {}
    for group, line in _lines(evaluator, result, rows, bodies=bodies):
        by_group.setdefault(group, []).append(line)
    for name in sorted(by_group):
        lines = sorted(by_group[name], key=lambda line: (line.type, line.key, line.op))
        writer.add([GroupChange(GroupLine(name, ""), lines)])
    spool, counts = writer.close()
    return Withholding(
        spool=spool,
        counts=counts,
        total=result.summary.units,
        plural=evaluator.main_type.plural,
        buckets=evaluator.importer_class.shared_groups,
    )


def _lines(
    evaluator: FilterEvaluator, result: FilterResult, rows: Units, *, bodies: Bodies
) -> Iterator[tuple[str, ChangeLine]]:
    selection = evaluator.selection()
    assert result.units is not None
    for digest, unit in rows.items():
        version, label = selection.summary(bodies[digest])
        withheld = result.units.get(digest)
        op, reason = (ADD, "") if withheld is None else (REMOVE, withheld.reason)
        yield (
            unit.group,
            ChangeLine(
                op,
                unit.type,
                unit.key,
                digest=digest,
                version=version,
                label=label,
                size=declared_size(bodies[digest]),
                reason=reason,
            ),
        )


def _bodies(
    reader: Reader, version: RepositoryVersion, groups: Collection[str]
) -> dict[Digest, StoredUnit]:
    members = reader.members(version.repository_id, version.number, groups)
    return {digest: stored_unit(body) for rows in members.values() for digest, body in rows}


def _served_among(
    reader: Reader,
    current: ActualPublication,
    repository_id: int,
    *,
    units: Collection[Digest],
    of: Collection[str],
) -> int:
    """Count those of `units`, members of the groups `of`, that the publication shows now."""
    if current.version is None or not units:
        return 0
    record = reader.version(repository_id, current.version)
    if record is None or record.digest != current.version_digest:  # of another repository
        return 0
    members = reader.members(repository_id, current.version, of)
    return len(set(units) & {digest for rows in members.values() for digest, _ in rows})


def _unit_count(reader: Reader, repository_id: int, number: int) -> int:
    return sum(reader.counts(repository_id, number).values())
