"""What filters will keep out of a publication, beside what they keep out of it now: the rows of a
plan, and what its guard counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from reconciler.database import Reader, WithheldUnit
from reconciler.engine.publishing.withheld import Judge, Judgement
from reconciler.engine.sources.spool import SpoolWriter
from reconciler.model import ActualPublication, Digest, StoredUnit, stored_unit
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


def leaving(content: ContentChanges | None, groups: Collection[str]) -> set[Digest]:
    """Units that a plan takes out of these groups of a repository."""
    if content is None:
        return set()
    lines = (line for name in groups for change in content.spool.of(name) for line in change.lines)
    gone = {
        line.digest if line.op == REMOVE else line.before
        for line in lines
        if line.op in (REMOVE, CHANGE)
    }
    return {Digest.parse(text) for text in gone if text}


def withholding(
    reader: Reader,
    judge: Judge,
    current: ActualPublication,
    judgement: Judgement,
    repository_id: int,
    number: int,
    content: ContentChanges | None = None,
) -> Withholding | None:
    """What differs; None where nothing does. `number`: the version that was judged; `content`: what
    the plan does to it before it is shown.
    """
    if judgement.units is None or judgement.judged.withheld == current.judged.withheld:
        return None
    before = reader.withheld(current.id, current.number) if current.judged.units else {}
    differing = {
        digest: one
        for digest, one in {**before, **judgement.units}.items()
        if (digest in before) != (digest in judgement.units)
    }
    groups = sorted({one.group for one in differing.values()})
    bodies = _bodies(reader, repository_id, number, groups)
    for digest in leaving(content, groups):
        bodies.pop(digest, None)
    rows = {digest: one for digest, one in differing.items() if digest in bodies}
    if not rows:
        return None
    found = _withholding(judge, judgement, rows, bodies)
    taken = _taken(
        reader, current, repository_id, {digest for digest in rows if digest not in before}, groups
    )
    if not taken:
        return found
    assert current.version is not None
    coming = content.counts.added - content.counts.removed if content else 0
    served = _units(reader, repository_id, current.version) - current.judged.units
    return replace(
        found,
        taken=taken,
        served=served,
        left=_units(reader, repository_id, number) + coming - judgement.judged.units,
    )


def _withholding(
    judge: Judge, judgement: Judgement, rows: Mapping[Digest, WithheldUnit], bodies: Bodies
) -> Withholding:
    """The rows alone."""
    writer, words = SpoolWriter(), judge.selection()
    assert judgement.units is not None
    by_group: dict[str, list[ChangeLine]] = {}
    for digest, one in rows.items():
        version, label = words.summary(bodies[digest])
        now = judgement.units.get(digest)
        op, reason = (ADD, "") if now is None else (REMOVE, now.reason)
        line = ChangeLine(
            op,
            one.type,
            one.key,
            digest=digest.hex,
            version=version,
            label=label,
            size=_size(bodies[digest]),
            reason=reason,
        )
        by_group.setdefault(one.group, []).append(line)
    for name in sorted(by_group):
        writer.add(
            [
                GroupChange(
                    GroupLine(name, ""),
                    sorted(by_group[name], key=lambda line: (line.type, line.key, line.op)),
                )
            ]
        )
    spool, counts = writer.close()
    return Withholding(
        spool=spool,
        counts=counts,
        total=judgement.judged.units,
        plural=judge.main_type.plural,
        buckets=judge.importer_class.shared_groups,
    )


def _bodies(
    reader: Reader, repository_id: int, number: int, groups: Collection[str]
) -> dict[Digest, StoredUnit]:
    held = reader.members(repository_id, number, groups)
    return {digest: stored_unit(body) for members in held.values() for digest, body in members}


def _taken(
    reader: Reader,
    current: ActualPublication,
    repository_id: int,
    units: set[Digest],
    groups: Collection[str],
) -> int:
    """How many of these units the publication shows now."""
    if current.version is None or not units:
        return 0
    record = reader.version(repository_id, current.version)
    if (
        record is None or record.digest != current.version_digest
    ):  # it shows another repository until now
        return 0
    held = reader.members(repository_id, current.version, groups)
    return len(units & {digest for members in held.values() for digest, _ in members})


def _units(reader: Reader, repository_id: int, number: int) -> int:
    return sum(reader.counts(repository_id, number).values())


def _size(unit: StoredUnit) -> int | None:
    sizes = [artifact.size for artifact in unit.artifacts if artifact.size is not None]
    return sum(sizes) if sizes else None
