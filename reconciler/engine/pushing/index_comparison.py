"""Everything that a publication shows, compared with an index: several pages at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message
from reconciler.engine.pushing.comparison import Comparison
from reconciler.engine.pushing.index_target import IndexTarget
from reconciler.engine.pushing.shown_units import ShownUnits
from reconciler.engine.run.task_groups import task_group
from reconciler.errors import NotCached, Temporary
from reconciler.model import pluralize
from reconciler.plan import Failure

AT_ONCE = 16  # groups whose pages are read at the same time
PATIENCE = 3  # pages that are not answered, each after its retries; then no more is asked for


@dataclass(slots=True)
class IndexComparison:
    """Outcome for an index.

    Attributes:
        outcome: Of all groups whose page was read.
        groups: Names of groups that are not known to be whole there.
        unknown: Groups of which an offline run has no page.
        failures: Groups whose page could not be read.
        unanswered: Number of pages that brought no answer.
        unasked: Groups that were not asked for after that.
    """

    outcome: Comparison = field(default_factory=Comparison)
    groups: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    unanswered: int = 0
    unasked: set[str] = field(default_factory=set)


async def compare_index(
    target: IndexTarget,
    shown: ShownUnits,
    *,
    only: Collection[str] | None = None,
    looked_at: Callable[[], None] = lambda: None,
) -> IndexComparison:
    """Compare what is shown with what an index lists.

    Args:
        only: Names of the groups to look at; None: all.
        looked_at: Called for each group that was compared.
    """
    result = IndexComparison()
    names: Iterable[str] = sorted(only) if only is not None else await _names(shown)
    waiting = iter(names)

    async def work() -> None:
        for name in waiting:
            if result.unanswered >= PATIENCE:
                result.unasked.add(name)
                continue
            await _compare(target, shown, name, result=result)
            looked_at()

    async with task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work())
    outcome = result.outcome
    if result.unasked:
        text = f"{pluralize(len(result.unasked), 'more page')} not asked for"
        result.failures.append(Failure(target.title, None, text))
        result.groups |= result.unasked
    outcome.missing.sort(key=lambda unit: (unit.group, unit.type, unit.key))
    outcome.different.sort(key=lambda difference: (difference.group, difference.key))
    result.failures.sort(key=lambda failure: (failure.group is None, failure.group or ""))
    return result


async def _names(shown: ShownUnits) -> list[str]:
    return await asyncio.to_thread(lambda: list(shown.groups()))


async def _compare(
    target: IndexTarget, shown: ShownUnits, name: str, *, result: IndexComparison
) -> None:
    units = await asyncio.to_thread(shown.units, name)
    try:
        outcome = await target.compare(name, units)
    except NotCached:
        result.unknown.append(name)
    except Exception as error:  # of a page, or of plugin code
        result.unanswered += isinstance(error, Temporary)
        result.failures.append(Failure(target.title, name, error_message(error), error_hint(error)))
    else:
        result.outcome.add(outcome)
        if not outcome.missing and not outcome.different:
            return
    result.groups.add(name)
