"""Files that an index elsewhere lacks, as lines of a plan."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import pluralize, size_text
from reconciler.plan.planned_push import PlannedPush


def is_worth_saying(push: PlannedPush) -> bool:
    """Return True if a plan that changes nothing else has something to say of an index."""
    return bool(push.files or push.failed or push.unknown)


def push_lines(push: PlannedPush, limit: int | None) -> Iterator[str]:
    """Yield what is to be sent to an index, of files the first ones, and what keeps others back."""
    if push.files:
        size = f", {size_text(push.size)}" if push.size else ""
        yield f"    > {push.index}: {pluralize(push.files, 'file')} to send{size}"
    shown = push.first[:limit]
    for group, key in shown:
        yield f"      > {group} {key}"
    if left := push.files - len(shown):
        hint = "" if limit is None else "; `--format json` names more"
        yield f"      ... {pluralize(left, 'more file')} to send{hint}"
    yield from _notes(push)
    for failure in push.failures:
        yield f"    error: {failure}"
        if failure.hint:
            yield f"    hint: {failure.hint}"
    for text in push.different:
        yield f"    error: {push.index}: {text}"
    if push.different:
        yield "    hint: nothing there is overwritten: publish another version of the package"


def _notes(push: PlannedPush) -> Iterator[str]:
    if push.unknown:
        groups = pluralize(push.unknown, "project")
        yield f"    ? {push.index}   unknown for {groups}: no cached page, and no index is asked"
    if push.unproven:
        files = pluralize(push.unproven, "file")
        yield f"    ! {push.index}: taken for the same by name, as no digest is given: {files}"
    if is_worth_saying(push):
        for reason, number in sorted(push.left_out.items()):
            yield f"    ! {push.index}: {pluralize(number, 'file')} not sent: {reason}"
