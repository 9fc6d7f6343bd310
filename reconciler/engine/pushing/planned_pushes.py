"""Pushes in a plan: pages of indexes are read, and nothing is sent."""

from __future__ import annotations

from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message
from reconciler.engine.pushing.index_comparison import compare_index
from reconciler.engine.pushing.index_target import IndexTarget
from reconciler.engine.pushing.shown_units import ShownUnits
from reconciler.engine.session.session import Session
from reconciler.model import IndexExport, Publication
from reconciler.plan import Failure, PlannedPush

FIRST = 1_000  # files that a plan names


async def planned_pushes(
    session: Session, publication: Publication, shown: ShownUnits
) -> tuple[PlannedPush, ...]:
    """Return what the indexes lack that a publication is sent to."""
    return tuple(
        [
            await _planned_push(session, publication, export, shown=shown)
            for export in publication.indexes
        ]
    )


async def _planned_push(
    session: Session, publication: Publication, export: IndexExport, *, shown: ShownUnits
) -> PlannedPush:
    where = export.where
    try:
        target = IndexTarget(session, publication, export)
        compared = await compare_index(target, shown)
    except Exception as error:  # a name that is not known, credentials that cannot be read
        name = export.connection.index or export.connection.url or where
        failure = Failure(name, None, error_message(error), error_hint(error))
        return PlannedPush(name, where, groups=None, failures=(failure,))
    outcome = compared.outcome
    files = [target.file_of(unit) for unit in outcome.missing]
    return PlannedPush(
        target.title,
        where,
        files=len(outcome.missing),
        size=sum(file.size or 0 for file in files),
        first=tuple((unit.group, unit.key) for unit in outcome.missing[:FIRST]),
        groups=frozenset(compared.groups),
        different=tuple(str(difference) for difference in outcome.different),
        left_out=outcome.left_out,
        unproven=outcome.unproven,
        unknown=len(compared.unknown),
        failures=tuple(compared.failures),
    )
