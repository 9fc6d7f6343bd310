"""The brakes: they live in the plan, not in the command line.

Each guard looks at one change and either lets it pass or returns what stops it, naming the setting that decides and
the flag that overrides it. `--allow-destroy` overrides every guard but `preventDestroy`.
"""

from __future__ import annotations

from reconciler.model import Guard, Kind
from reconciler.plan.changes import Action, ContentChanges, ResourceChange


def guarded(change: ResourceChange, guard: Guard, *, allow_destroy: bool) -> ResourceChange:
    """The same change, or the change with its refusal."""
    refusal = _refusal(change, guard, allow_destroy=allow_destroy)
    return change.refused(*refusal) if refusal else change


def _refusal(change: ResourceChange, guard: Guard, *, allow_destroy: bool) -> tuple[str, str] | None:
    if change.ref.kind is not Kind.REPOSITORY:
        return None
    name = change.ref.name
    deleted = change.action is Action.DELETE
    emptied = change.content is not None and _empties(change.content)
    if guard.prevent_destroy and (deleted or emptied):
        what = "be removed" if deleted else "become empty"
        return f"repository `{name}` would {what}, and its `guard.preventDestroy` forbids that", "set `guard.preventDestroy: false` first"
    if allow_destroy:
        return None
    if deleted:
        return f"repository `{name}` would be removed with all its versions", "pass `--allow-destroy` if that is meant"
    if emptied and change.content is not None:
        message = f"repository `{name}` would lose all of its {change.content.units} {change.content.plural}"
        return message, "pass `--allow-destroy` if that is meant"
    if change.content is not None and _too_many(change.content, guard):
        return _mass_removal(name, change.content, guard)
    return None


def _empties(content: ContentChanges) -> bool:
    counts = content.counts
    return content.units > 0 and counts.removed >= content.units and counts.added == 0


def _too_many(content: ContentChanges, guard: Guard) -> bool:
    removed, limit = content.counts.removed, guard.max_removals
    if isinstance(limit, int):
        return removed > limit
    return content.units >= guard.floor and removed > limit * content.units


def _mass_removal(name: str, content: ContentChanges, guard: Guard) -> tuple[str, str]:
    limit = guard.max_removals
    allowed = f"{limit}" if isinstance(limit, int) else f"{limit * 100:g}%"
    share = 100 * content.counts.removed / content.units if content.units else 100
    message = (
        f"repository `{name}` would lose {content.counts.removed} of its {content.units} {content.plural} ({share:.0f}%),"
        f" more than `guard.maxRemovals` ({allowed}) lets pass"
    )
    return message, "pass `--allow-destroy` for this run, or raise `guard.maxRemovals`"
