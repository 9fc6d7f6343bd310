"""A plan for people: one line per resource that changes, details indented below it.

Nothing is relative to the clock, so the same plan always has the same text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import nsmallest
from itertools import islice

from reconciler.model import Kind, Ref, counted_noun, pluralize, size_text
from reconciler.plan.changes import (
    ADD,
    CHANGE,
    REFUSE,
    REMOVE,
    Action,
    ContentChanges,
    Counts,
    DelistedShown,
    GroupChange,
    Plan,
    ResourceChange,
    Withholding,
)
from reconciler.plan.fields import field_lines
from reconciler.plan.order import Key, natural_sort_key, version_sort_key
from reconciler.plan.push_text import is_worth_saying, push_lines

SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-", Action.NO_OP: " "}
ROWS = 40  # content rows per repository and sign, unless verbose
REFUSED_ROWS = 10

_REFUSED = {REFUSE: "refused: {}"}
_WITHHELD = {REMOVE: "withheld: {}", ADD: "no longer withheld"}


def render_text(plan: Plan, *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines of a plan, without line ends."""
    for change in plan.all_changes:
        if (
            change.action is not Action.NO_OP
            or change.refusal
            or change.still_shown
            or change.delisted.total
            or any(map(is_worth_saying, change.pushes))
            or (change.content and _has_reports(change.content))
        ):
            yield from _resource(change, verbose)
    for ref in plan.unowned:
        rules = "it rules until " if ref in plan.ruling else ""
        yield f"? {_title(ref)}   no manifest declares it any more; {rules}`--prune` removes it"
    yield _last_line(plan)


def _has_reports(content: ContentChanges) -> bool:
    """Return True if unchanged content has failures, warnings, unknowns or refusals to report."""
    refused = content.counts.refused or content.counts.refused_names
    return bool(content.failures or content.warnings or content.unknown or refused)


def counts_text(counts: Counts, plural: str) -> str:
    """Return `+12 -3 ~1 distributions, 48.1 MiB to download`; empty where nothing changes.

    Files of unknown size are said by their number.
    """
    numbers = [
        f"{sign}{n}"
        for sign, n in (("+", counts.added), ("-", counts.removed), ("~", counts.changed))
        if n
    ]
    parts = [f"{' '.join(numbers)} {counted_noun(counts.total, plural)}"] if numbers else []
    if to_download := _to_download(counts):
        parts.append(to_download)
    if left := _left_upstream(counts):
        parts.append(left)
    return ", ".join(parts)


def _to_download(counts: Counts) -> str:
    """Return `48.1 MiB to download (size unknown: 2 files)`, or an empty text."""
    unknown = f"size unknown: {pluralize(counts.unsized, 'file')}" if counts.unsized else ""
    if not counts.download:
        return f"to download, {unknown}" if unknown else ""
    text = f"{size_text(counts.download)} to download"
    return f"{text} ({unknown})" if unknown else text


def _left_upstream(counts: Counts) -> str:
    """Return `1.2 GiB left upstream (size unknown: 2 files)`, or an empty text."""
    number = counts.upstream_unsized
    unknown = f"size unknown: {pluralize(number, 'file')}" if number else ""
    if not counts.upstream:
        return f"left upstream, {unknown}" if unknown else ""
    text = f"{size_text(counts.upstream)} left upstream"
    return f"{text} ({unknown})" if unknown else text


def _resource(change: ResourceChange, verbose: bool) -> Iterator[str]:
    parts = [f"{SIGNS[change.action]} {_title(change.ref)}", _versions(change)]
    if change.content is not None:
        parts.append(counts_text(change.content.counts, change.content.plural))
    if change.withheld is not None:
        parts.append(_withheld_text(change.withheld))
    parts.append(change.reason)
    yield "   ".join(part for part in parts if part)
    yield from _fields(change, verbose)
    if change.content is not None:
        yield from _content(change.content, change.ref.name, verbose)
    if change.withheld is not None:
        yield from _capped(change.withheld, None if verbose else ROWS)
    for group in change.still_shown:
        yield f"    ! {group:<28} quarantined upstream, and still shown: `quarantined: keep`"
    yield from _delisted(change.delisted, REFUSED_ROWS if not verbose else None)
    for push in change.pushes:
        yield from push_lines(push, None if verbose else ROWS)
    if change.refusal:
        yield f"    guard: {change.refusal}"
        yield f"    hint: {change.hint}"


def _delisted(delisted: DelistedShown, limit: int | None) -> Iterator[str]:
    """Yield a row for each of the first units that upstream no longer lists."""
    shown = delisted.first[:limit]
    for _, group, key in shown:
        name = key if delisted.buckets else f"{group}/{key}"
        yield f"    ! {name:<28} no longer listed upstream, and still shown"
    if left := delisted.total - len(shown):
        more = pluralize(
            left, f"more {counted_noun(1, delisted.plural)}", f"more {delisted.plural}"
        )
        verb = "is" if left == 1 else "are"
        hint = "" if limit is None else "; `--verbose` names them"
        yield f"    ! {more} {verb} no longer listed upstream, and still shown{hint}"


def _fields(change: ResourceChange, verbose: bool) -> Iterator[str]:
    """Yield what changes of the specification, one line for each path and item."""
    lines = [line for field in change.fields for line in field_lines(field)]
    shown = lines if verbose else lines[:ROWS]
    yield from (f"    {line}" for line in shown)
    if left := len(lines) - len(shown):
        yield f"    ... {pluralize(left, 'more change')} of the manifest; `--verbose` shows all"


def _withheld_text(withheld: Withholding) -> str:
    """Return `3 distributions withheld, 1 no longer`."""
    numbers = [(withheld.counts.removed, "withheld"), (withheld.counts.added, "no longer withheld")]
    noun = counted_noun(1, withheld.plural)
    return ", ".join(
        f"{pluralize(number, noun, withheld.plural)} {verb}" for number, verb in numbers if number
    )


def _content(content: ContentChanges, repository: str, verbose: bool) -> Iterator[str]:
    yield from _capped(content, None if verbose else ROWS)
    yield from _refused(content, repository, verbose)
    yield from _refused_names(content)
    for source in content.unknown:
        yield f"    ? {source}   unknown: no cached page, and this plan asks no remote"
    for kind, failures in (("error", content.failures), ("warning", content.warnings)):
        for failure in failures:
            yield f"    {kind}: {failure}"
            if failure.hint:
                yield f"    hint: {failure.hint}"


Row = tuple[Key, str, int]  # sort key, text, number of units that it stands for


def _rows(
    content: ContentChanges | Withholding, signs: Iterable[str], limit: int | None = None
) -> Iterator[tuple[str, int]]:
    """Yield rows, each with the number of units that it stands for.

    Groups and paths come in natural order, versions newest last. Buckets of paths mean nothing to
    a reader: there the whole spool is in one order, of which `limit` rows are held at most.
    """
    spool = content.spool
    if content.buckets:
        rows = (row for change in spool for row in _rows_of(content, change, signs))
        first = sorted(rows) if limit is None else nsmallest(limit, rows)
        yield from ((text, units) for _, text, units in first)
        return
    for name in sorted(spool.names(), key=natural_sort_key):
        for change in spool.of(name):
            for _, text, units in sorted(_rows_of(content, change, signs)):
                yield text, units


def _rows_of(
    content: ContentChanges | Withholding, change: GroupChange, signs: Iterable[str]
) -> Iterator[Row]:
    """Yield the rows of one group: files of a version with the same reason are one."""
    templates = _WITHHELD if isinstance(content, Withholding) else _REFUSED
    table: dict[tuple[str, str, str], list[str]] = {}
    for line in change.lines:
        if line.op in signs:
            name = line.version or ("" if line.key == change.head.name else line.key)
            table.setdefault((line.op, name, line.reason), []).append(line.label)
    for (sign, name, reason), labels in table.items():
        title = name if content.buckets and name else f"{change.head.name} {name}".strip()
        text = _row(sign, title, labels, reason=templates.get(sign, "{}").format(reason))
        yield (version_sort_key(name), sign), text, len(labels)


def _row(sign: str, name: str, labels: list[str], *, reason: str) -> str:
    kinds = ", ".join(sorted({label for label in labels if label}))
    files = f"{len(labels)} files" if len(labels) > 1 else ""
    return (
        f"    {sign} {name:<28} " + "   ".join(part for part in (kinds, files, reason) if part)
    ).rstrip()


def _refused(content: ContentChanges, repository: str, verbose: bool) -> Iterator[str]:
    """Yield a row for each refusal if there are few or `verbose`, else one for each rule.

    Refusals without a rule are grouped by reason.
    """
    if not content.counts.refused:
        return
    if verbose or sum(content.counts.refused.values()) <= REFUSED_ROWS:
        yield from (row for row, _ in _rows(content, (REFUSE,)))
        return
    yield from _reasons(content.counts.refused, "refused")
    yield (
        "    ! ... each of them: `--verbose`; why one of them: `reconciler explain"
        f" repository/{repository} NAME`"
    )


def _refused_names(content: ContentChanges) -> Iterator[str]:
    """Yield a row for each reason for which groups were refused by their names alone."""
    yield from _reasons(content.counts.refused_names, "refused by name")


def _reasons(counts: Mapping[str, int], verb: str) -> Iterator[str]:
    """Yield a row for each reason, the most frequent ones first."""
    counted = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for reason, number in counted[:REFUSED_ROWS]:
        yield f"    ! {number:,} {verb}: {reason}"
    hidden = counted[REFUSED_ROWS:]
    if hidden:
        more = sum(number for _, number in hidden)
        yield f"    ! {more:,} {verb} for {pluralize(len(hidden), 'more reason')}"


def _capped(content: ContentChanges | Withholding, limit: int | None) -> Iterator[str]:
    """Yield the first rows only.

    A list of a million changes is of no use to a reader.
    """
    left = content.counts.total
    for row, units in islice(_rows(content, (ADD, REMOVE, CHANGE), limit), limit):
        left -= units
        yield row
    if left:
        yield f"    ... {pluralize(left, 'more content change')}; `--verbose` shows all"


def _last_line(plan: Plan) -> str:
    totals = plan.totals()
    text = f"Plan: {totals.add} to add, {totals.change} to change, {totals.destroy} to destroy."
    if plan.empty:
        text = _nothing_to_do(plan)
    refused = sum(bool(change.refusal) for change in plan.all_changes)
    if refused:
        text += f" {refused} refused."
    counts = totals.content
    to_download = ", ".join(filter(None, (_to_download(counts), _left_upstream(counts))))
    if counts.total:
        text += f" {counts.total} content {'change' if counts.total == 1 else 'changes'}"
        text += f", {to_download}." if to_download else "."
    elif to_download:
        text += f" {to_download[0].upper()}{to_download[1:]}."
    if plan.damaged:
        text += (
            f" {pluralize(plan.damaged, 'file')} of the store"
            f" {'is' if plan.damaged == 1 else 'are'} missing or damaged: fetched again"
            " where a source has what is to be there."
        )
    withheld = [
        f"{number} {verb}"
        for number, verb in (
            (totals.withheld, "withheld"),
            (totals.released, "no longer withheld"),
        )
        if number
    ]
    return f"{text} {', '.join(withheld)}." if withheld else text


def _nothing_to_do(plan: Plan) -> str:
    if plan.failed:
        return "No changes, but see the errors above."
    if plan.damaged:
        return "No changes, but repairs."
    if any(
        (change.content and change.content.unknown) or any(push.unknown for push in change.pushes)
        for change in plan.changes
    ):
        return "No changes as far as is known: what is marked `unknown` was not asked for."
    if not plan.changes and not plan.unowned:
        return "No changes: nothing is declared here."
    if plan.unowned:
        return _undeclared(plan)
    return "No changes: what is served is what the manifests say."


def _undeclared(plan: Plan) -> str:
    """Return that nothing changes, and that more is there than the manifests say."""
    number = len(plan.unowned)
    is_served = any(ref.kind is Kind.PUBLICATION for ref in plan.unowned)
    return (
        f"No changes. {pluralize(number, 'undeclared resource')} {'is' if number == 1 else 'are'}"
        f" still {'served' if is_served else 'recorded'}: --prune removes"
        f" {'it' if number == 1 else 'them'}."
    )


def _versions(change: ResourceChange) -> str:
    before, after = change.version
    if change.ref.kind is Kind.PUBLICATION and after is not None:
        return (
            f"-> version {after}"
            if before is None
            else f"version {before} -> {after}"
            if before != after
            else f"version {after}"
        )
    return f"version {before} -> {after}" if after is not None and before != after else ""


def _title(ref: Ref) -> str:
    return f"{ref.kind.value} {ref.name}"
