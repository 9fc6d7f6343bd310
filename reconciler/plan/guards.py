"""Guards of a plan: refusals that the plan itself holds.

Each guard checks one change and either lets it pass or returns a refusal that names the setting
that decides and the flag that overrides it. `--allow-destroy` overrides every guard but
`preventDestroy`.

What upstream has put in quarantine is protected by none of them, and counts nowhere: it may be
hostile, and to leave it out destroys nothing. Versions go on to hold it, and it is shown again when
upstream offers it again.
"""

from __future__ import annotations

from reconciler.model import Guard, Kind, counted_noun
from reconciler.plan.changes import Action, ContentChanges, ResourceChange, Withholding

_MEANT = "pass `--allow-destroy` if that is meant"
_OR_RAISE = "pass `--allow-destroy` for this run, or raise `guard.maxRemovals`"


def apply_guards(change: ResourceChange, guard: Guard, *, allow_destroy: bool) -> ResourceChange:
    """Return the change, with its refusal if a guard stops it.

    Going back to the content of an earlier version, by manifests alone, is no mass removal.
    """
    refusal = _refusal(change, guard, allow_destroy=allow_destroy)
    return change.refused(*refusal) if refusal else change


def apply_serving_guards(
    change: ResourceChange, repository: str, guard: Guard, *, allow_destroy: bool
) -> ResourceChange:
    """Return the change of a publication, with its refusal if a guard stops it.

    Units that filters withhold count as removals from `repository`.
    """
    if change.refusal or change.withheld is None:
        return change
    refusal = serving_refusal(
        change.ref.name, change.withheld, repository, guard=guard, allow_destroy=allow_destroy
    )
    return change.refused(*refusal) if refusal else change


def serving_refusal(
    name: str, withheld: Withholding, repository: str, *, guard: Guard, allow_destroy: bool
) -> tuple[str, str] | None:
    """Return why a publication must not lose what filters withhold, and a hint; None if it may."""
    lost = withheld.newly_withheld - withheld.quarantined
    units = withheld.served_before - withheld.quarantined
    emptied = lost > 0 and withheld.served_after <= 0
    if guard.prevent_destroy and emptied:
        message = (
            f"publication `{name}` would become empty, and `guard.preventDestroy` of repository"
            f" `{repository}` forbids that"
        )
        return message, "set `guard.preventDestroy: false` first"
    if allow_destroy:
        return None
    if emptied:
        everything = _all_of(units, withheld.plural)
        return f"publication `{name}` would lose {everything}: filters withhold them", _MEANT
    if not _beyond(lost, units, guard):
        return None
    message = (
        f"publication `{name}` would lose {lost} of its {units}"
        f" {counted_noun(units, withheld.plural)}"
        f" ({_share(lost, units):.0f}%), more than `guard.maxRemovals` ({_allowed(guard)}) of"
        f" repository `{repository}` lets pass: filters withhold them"
    )
    return message, _OR_RAISE


def _refusal(
    change: ResourceChange, guard: Guard, *, allow_destroy: bool
) -> tuple[str, str] | None:
    if change.ref.kind is not Kind.REPOSITORY:
        return None
    name = change.ref.name
    deleted = change.action is Action.DELETE
    emptied = change.content is not None and _empties(change.content)
    if guard.prevent_destroy and (deleted or emptied):
        what = "be removed" if deleted else "become empty"
        return (
            f"repository `{name}` would {what}, and its `guard.preventDestroy` forbids that",
            "set `guard.preventDestroy: false` first",
        )
    if allow_destroy:
        return None
    if deleted:
        return f"repository `{name}` would be removed with all its versions", _MEANT
    if emptied and change.content is not None:
        everything = _all_of(_lost(change.content)[1], change.content.plural)
        return f"repository `{name}` would lose {everything}", _MEANT
    if change.content is None or change.content.back_to is not None:
        return None
    if _beyond(*_lost(change.content), guard):
        return _mass_removal(name, change.content, guard)
    return None


def _empties(content: ContentChanges) -> bool:
    lost, units = _lost(content)
    return units > 0 and lost >= units and content.counts.added == 0


def _lost(content: ContentChanges) -> tuple[int, int]:
    """Return how many units leave, and of how many, without those in quarantine."""
    return content.counts.removed - content.quarantined, content.units - content.quarantined


def _beyond(removed: int, units: int, guard: Guard) -> bool:
    limit = guard.max_removals
    if isinstance(limit, int):
        return removed > limit
    return units >= guard.floor and removed > limit * units


def _mass_removal(name: str, content: ContentChanges, guard: Guard) -> tuple[str, str]:
    removed, units = _lost(content)
    message = (
        f"repository `{name}` would lose {removed} of its {units}"
        f" {counted_noun(units, content.plural)}"
        f" ({_share(removed, units):.0f}%), more than `guard.maxRemovals` ({_allowed(guard)}) lets"
        " pass"
    )
    return message, _OR_RAISE


def _all_of(units: int, plural: str) -> str:
    noun = counted_noun(units, plural)
    return f"its only {noun}" if units == 1 else f"all of its {units} {noun}"


def _allowed(guard: Guard) -> str:
    limit = guard.max_removals
    return f"{limit}" if isinstance(limit, int) else f"{limit * 100:g}%"


def _share(removed: int, units: int) -> float:
    return 100 * removed / units if units else 100
