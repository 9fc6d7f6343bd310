"""Deletions in a plan: resources that no manifest declares any more, and those that must stay."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from reconciler.engine.planning.kept_resources import kept_by, needed_by, relations
from reconciler.engine.planning.single_source_artifacts import refuse_needed_remotes
from reconciler.engine.session.session import Session
from reconciler.model import ActualState, DesiredState, Guard, Kind, Ref
from reconciler.plan import Action, ResourceChange, apply_guards


def undeclared(desired: DesiredState, actual: ActualState) -> list[Ref]:
    """Return recorded resources that no manifest declares, in the order of deletion."""
    declared = {resource.meta.ref for resource in desired}
    return sorted(actual.resources.keys() - declared, key=_deletion_order)


async def planned_deletions(
    session: Session,
    desired: DesiredState,
    actual: ActualState,
    *,
    changes: Mapping[Ref, ResourceChange],
    allow_destroy: bool,
) -> list[ResourceChange]:
    """Plan the deletion of everything undeclared.

    A refusal keeps its own subject, what depends on it and what it depends on; all else goes.

    Args:
        changes: Of the declared resources; a remote that they still need is kept, and what the
            recorded state of a refused one depends on.
    """
    deletions = [
        _deletion(ref, actual, allow_destroy=allow_destroy) for ref in undeclared(desired, actual)
    ]
    if not allow_destroy:
        deletions = await asyncio.to_thread(
            refuse_needed_remotes,
            session.reader,
            deletions,
            desired,
            actual=actual,
            changes=changes,
        )
    if not any(desired):
        return _all_or_none(deletions)
    return _with_kept(deletions, actual, changes)


def _deletion(ref: Ref, actual: ActualState, *, allow_destroy: bool) -> ResourceChange:
    """Return the deletion of one resource, guarded as was recorded with it."""
    settings = actual.resources[ref].spec.get("guard", {})
    state = actual.repositories.get(ref.name) if ref.kind is Kind.REPOSITORY else None
    change = ResourceChange(
        Action.DELETE,
        ref,
        "no manifest declares it any more",
        version=(state.number if state else None, None),
    )
    guard = Guard(prevent_destroy=bool(settings.get("preventDestroy", False)))
    return apply_guards(change, guard, allow_destroy=allow_destroy)


def _with_kept(
    deletions: list[ResourceChange], actual: ActualState, changes: Mapping[Ref, ResourceChange]
) -> list[ResourceChange]:
    """Refuse the deletion of what is related to a refused change."""
    known = relations(actual)
    kept: dict[Ref, tuple[str, str]] = {}
    for refused in (change for change in deletions if change.refusal):
        for ref, reason in kept_by(refused.ref, known).items():
            kept.setdefault(ref, (reason, refused.hint))
    for refused in (change for change in changes.values() if change.refusal):
        for ref, reason in needed_by(refused.ref, known).items():
            kept.setdefault(ref, (reason, refused.hint))
    undeclared_refs = {deletion.ref for deletion in deletions}
    return [
        deletion
        if deletion.refusal or deletion.ref not in kept
        else _kept(deletion, *kept[deletion.ref], actual=actual, undeclared_refs=undeclared_refs)
        for deletion in deletions
    ]


def _kept(
    deletion: ResourceChange,
    reason: str,
    hint: str,
    *,
    actual: ActualState,
    undeclared_refs: Collection[Ref],
) -> ResourceChange:
    """Return a deletion that is refused because of another one.

    A publication is kept for its clients. To let it go alone is a decision that a manifest states.
    """
    ref, spec = deletion.ref, actual.resources[deletion.ref].spec
    if ref.kind is Kind.PUBLICATION:
        reason += f"; without it, clients would find nothing at `/{spec.get('path', ref.name)}/`"
        shown = Ref(Kind.REPOSITORY, str(spec.get("repository")))
        if shown in undeclared_refs:
            hint += f"; to remove the publication alone, declare {shown} again"
    return deletion.refused(f"{ref} stays: {reason}", hint)


def _all_or_none(deletions: list[ResourceChange]) -> list[ResourceChange]:
    """Refuse all deletions where one is refused and nothing is declared: it may be a mistake."""
    refused = next((deletion for deletion in deletions if deletion.refusal), None)
    if refused is None:
        return deletions
    return [
        deletion
        if deletion.refusal
        else deletion.refused(
            f"{deletion.ref} stays: nothing at all is declared here, and {refused.ref} stays",
            "is this the right folder? Pass `--allow-destroy` if everything is to go",
        )
        for deletion in deletions
    ]


def _deletion_order(ref: Ref) -> tuple[int, str]:
    """Publications go before repositories, and those before filters and remotes."""
    return -list(Kind).index(ref.kind), ref.name
