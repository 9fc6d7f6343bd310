"""The plan of a run. Reads only; the session cannot write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.engine.planning.planned_deletions import planned_deletions, undeclared
from reconciler.engine.planning.publication_changes import PublicationPlanner
from reconciler.engine.planning.repository_changes import RepositoryPlanner
from reconciler.engine.plugin_lifecycle.validation import validate_configurations
from reconciler.engine.session.session import Session
from reconciler.model import ActualState, DesiredState, Kind, Publication, Ref, Repository
from reconciler.plan import Plan, ResourceChange, resource_change
from reconciler.plugin.registry import Registry

Fingerprints = Mapping[Ref, Mapping[str, str]]
Refusals = Mapping[Ref, tuple[str, str]]
"""(message, hint) of resources that must stay as they are."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """Limits that the user sets for a plan.

    Attributes:
        prune: Delete resources that no manifest declares any more.
        allow_destroy: Let removals pass that a guard would refuse.
    """

    prune: bool = False
    allow_destroy: bool = False


async def make_plan(
    session: Session,
    desired: DesiredState,
    actual: ActualState,
    *,
    fingerprints: Fingerprints,
    options: PlanOptions,
    refusals: Refusals,
    former: DesiredState | None = None,
) -> Plan:
    """Return what an apply would do.

    Args:
        desired: What manifests declare, with what rules beside it (`recorded`).
        fingerprints: Keyed fingerprints of the secrets of each resource, by path in its spec.
        refusals: Of declared resources whose rules are not known.
        former: What earlier runs recorded, where that is known.
    """
    specs = await _spec_changes(session, desired, actual, fingerprints=fingerprints)
    specs |= {ref: specs[ref].refused(*refusal) for ref, refusal in refusals.items()}
    repositories = await RepositoryPlanner(
        session,
        desired,
        actual,
        changes=specs,
        allow_destroy=options.allow_destroy,
        former=former,
    ).plan_all()
    publications = PublicationPlanner(
        session,
        desired,
        actual,
        repositories=repositories,
        allow_destroy=options.allow_destroy,
    )
    changes: dict[Ref, ResourceChange] = {}
    for resource in desired:
        ref = resource.meta.ref
        if isinstance(resource, Repository):
            changes[ref] = repositories[ref.name]
        elif isinstance(resource, Publication):
            repository = Ref(Kind.REPOSITORY, resource.repository)
            change = await publications.plan(resource, specs[ref], changes[repository])
            if not options.prune:
                change = publications.refuse_served_path(change, resource)
            changes[ref] = change
        else:
            changes[ref] = specs[ref]
        _log_change(changes[ref])
    deletions: list[ResourceChange] = []
    if options.prune:
        deletions = await planned_deletions(
            session, desired, actual, changes=changes, allow_destroy=options.allow_destroy
        )
    gone = {deletion.ref for deletion in deletions if not deletion.refusal}
    return Plan(
        manifest_digest=desired.digest,
        changes=(*deletions, *changes.values()),
        plugins=_plugin_versions(session.registry, desired),
        unowned=() if options.prune else tuple(undeclared(desired, actual)),
        ruling=_ruling(desired),
        unowned_changes=await publications.plan_undeclared(changes, gone=gone),
        damaged=len(await asyncio.to_thread(session.reader.damage)),
    )


def _ruling(desired: DesiredState) -> frozenset[Ref]:
    """Return the global filters that rule although no manifest declares them."""
    filters = desired.recorded.filters.values() if desired.recorded is not None else ()
    return frozenset(filter_.meta.ref for filter_ in filters if filter_.is_global)


async def _spec_changes(
    session: Session, desired: DesiredState, actual: ActualState, *, fingerprints: Fingerprints
) -> dict[Ref, ResourceChange]:
    """Return the changes of all specifications; those that a plugin refuses are refused."""
    refusals = await validate_configurations(session, desired, actual)
    changes = {}
    for resource in desired:
        ref = resource.meta.ref
        change = resource_change(resource, actual.resources.get(ref), fingerprints.get(ref, {}))
        changes[ref] = change.refused(*refusals[ref]) if ref in refusals else change
    return changes


def _log_change(change: ResourceChange) -> None:
    logger.debug("%s: %s%s", change.ref, change.action.value, ", refused" if change.refusal else "")


def _plugin_versions(registry: Registry, desired: DesiredState) -> dict[str, str]:
    used = {repository.type for repository in desired.repositories.values()}
    return {name: registry.importer(name).distribution_version for name in sorted(used)}
