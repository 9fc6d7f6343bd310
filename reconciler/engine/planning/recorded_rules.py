"""Rules that earlier runs recorded: they rule until they are removed, whatever a run was given.

A run knows what its manifests declare, and what they do not declare is no decision. A global filter
that an earlier run recorded therefore goes on to rule, and what undeclared publications show obeys
the filters as well. Removing such a filter is a deletion, and guarded like one: the refusal names
what it lets in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from reconciler.engine.planning.planned_deletions import undeclared
from reconciler.engine.planning.planner import Fingerprints, PlanOptions, Refusals, make_plan
from reconciler.engine.session.session import Session
from reconciler.model import (
    ActualState,
    DesiredState,
    Kind,
    RecordedState,
    Ref,
    counted_noun,
)
from reconciler.plan import ADD, Action, Plan, ResourceChange, natural_sort_key
from reconciler.plugin.registry import Registry

ReadRecorded = Callable[[ActualState, Registry, Sequence[str]], RecordedState]
"""Turns recorded resources, with overrides, into a desired state."""

MAX_NAMED = 5  # units that a refusal names

HINT = "declare it again, or pass `--allow-destroy` if that is meant"
UNREADABLE_HINT = (
    "`reconciler plugins` says what is installed; declare the filter anew, or remove it with"
    " `--prune --allow-destroy`"
)


@dataclass(frozen=True, slots=True)
class RuledPlan:
    """A plan, and the desired state with the recorded rules that it was made by."""

    plan: Plan
    desired: DesiredState


async def plan_by_recorded_rules(
    session: Session,
    desired: DesiredState,
    actual: ActualState,
    *,
    recorded: RecordedState,
    fingerprints: Fingerprints,
    options: PlanOptions,
    former: DesiredState | None = None,
) -> RuledPlan:
    """Return what an apply would do, by the declared and the recorded rules.

    Args:
        recorded: What earlier runs recorded.
        former: All of that, where filters are others now.
    """
    ruled = desired.beside(recorded.desired)
    removable = _removable_filters(desired, actual)

    async def plan_without(removed: Collection[Ref], how: PlanOptions = options) -> RuledPlan:
        state = ruled.without_filters({ref.name for ref in removed})
        refusals = _refused_by_unreadable(
            desired, actual, recorded=recorded, ruling=removable.difference(removed)
        )
        plan = await make_plan(
            session,
            state,
            actual,
            fingerprints=fingerprints,
            options=how,
            refusals=refusals,
            former=former,
        )
        return RuledPlan(plan, state)

    if not removable or not options.prune:
        return await plan_without(())
    free = await plan_without(removable, replace(options, allow_destroy=True))
    if not options.allow_destroy:
        ruled_plan = await plan_without(())
        return replace(ruled_plan, plan=_guarded(removable, ruled_plan.plan, free.plan))
    gone = {
        change.ref
        for change in free.plan.changes
        if change.action is Action.DELETE and not change.refusal
    }
    return free if removable <= gone else await plan_without(removable & gone)


def has_other_filters(desired: DesiredState, actual: ActualState) -> bool:
    """Return True if filters, or those of a repository, are not those of the last run."""
    recorded = {
        ref.name: resource.spec
        for ref, resource in actual.resources.items()
        if ref.kind is Kind.FILTER
    }
    if recorded != {name: filter_.spec for name, filter_ in desired.filters.items()}:
        return True
    return any(
        known.spec.get("filters") != repository.spec.get("filters")
        for repository in desired.repositories.values()
        if (known := actual.resources.get(repository.meta.ref)) is not None
    )


def _removable_filters(desired: DesiredState, actual: ActualState) -> frozenset[Ref]:
    """Return the undeclared global filters that rule some declared repository.

    One that is declared under another name now is only renamed.
    """
    types = {repository.type for repository in desired.repositories.values()}
    declared = [filter_.spec for filter_ in desired.filters.values()]
    specs = {
        ref: actual.resources[ref].spec
        for ref in undeclared(desired, actual)
        if ref.kind is Kind.FILTER
    }
    return frozenset(
        ref
        for ref, spec in specs.items()
        if spec.get("global") is True and spec.get("type") in types and spec not in declared
    )


def _refused_by_unreadable(
    desired: DesiredState,
    actual: ActualState,
    *,
    recorded: RecordedState,
    ruling: Collection[Ref],
) -> Refusals:
    """Refuse what an unreadable recorded filter rules: it must not be treated as no rule."""
    lost = sorted(ref for ref in ruling if recorded.faults.get(ref))
    refusals: dict[Ref, tuple[str, str]] = {}
    for ref in lost:
        fault = recorded.faults[ref][0].message
        message = f"{ref}, which rules it and no manifest here declares, cannot be read: {fault}"
        for repository in desired.repositories.values():
            if repository.type == actual.resources[ref].spec.get("type"):
                refusals[repository.meta.ref] = (message, UNREADABLE_HINT)
        for publication in desired.publications.values():
            if Ref(Kind.REPOSITORY, publication.repository) in refusals:
                refusals[publication.meta.ref] = (message, UNREADABLE_HINT)
    return refusals


class Letting(NamedTuple):
    """A unit that comes in, or is shown again, without a filter."""

    resource: Ref
    group: str
    version: str
    key: str
    plural: str  # of what the plan counts

    @property
    def unit(self) -> tuple[str, str, str]:
        return self.group, self.version, self.key

    @property
    def title(self) -> str:
        return f"{self.group} {self.version}" if self.version else self.key


def _guarded(removed: frozenset[Ref], ruled: Plan, free: Plan) -> Plan:
    """Return the plan `ruled` with the deletions of filters refused, naming what they let in.

    Args:
        free: The same plan without the filters.
    """
    before = {letting for change in ruled.all_changes for letting in _lettings(change)}
    after = {letting for change in free.all_changes for letting in _lettings(change)}
    changes = (
        change.refused(removal_message(change.ref, removed, after - before), HINT)
        if change.ref in removed
        else change
        for change in ruled.changes
    )
    return replace(ruled, changes=tuple(changes))


def _lettings(change: ResourceChange) -> list[Letting]:
    """Return what comes into a repository, or back into a publication."""
    parts = [part for part in (change.content, change.withheld) if part is not None]
    return [
        Letting(change.ref, group.head.name, line.version or "", line.key, part.plural)
        for part in parts
        for group in part.spool
        for line in group.lines
        if line.op == ADD
    ]


def removal_message(ref: Ref, removed: frozenset[Ref], lettings: set[Letting]) -> str:
    """Return why the removal of a filter is refused: what it lets in, as the plan counts it."""
    others = f" (with {', '.join(map(str, sorted(removed - {ref})))})" if len(removed) > 1 else ""
    if not lettings:
        return f"{ref} rules until it is removed{others}; today it keeps nothing out"
    titles = sorted({letting.title for letting in lettings}, key=natural_sort_key)
    named = ", ".join(f"`{title}`" for title in titles[:MAX_NAMED])
    more = " and more" if len(titles) > MAX_NAMED else ""  # releases: of each, several units
    number = len({letting.unit for letting in lettings})
    noun = counted_noun(number, min(letting.plural for letting in lettings))
    where = ", ".join(map(str, sorted({letting.resource for letting in lettings})))
    return (
        f"removing {ref}{others} lets in {number:,} {noun} that it"
        f" keeps out today, in {where}: {named}{more}"
    )
