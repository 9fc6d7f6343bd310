"""A plan for machines: one canonical JSON document (sorted keys, no white space), streamed.

`formatVersion` 1: keys may be added, never removed or changed in meaning. `digest` identifies the
plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from reconciler.model import Ref, canonical
from reconciler.plan.changes import (
    ADD,
    CHANGE,
    MOVE,
    REFUSE,
    REMOVE,
    ChangeLine,
    ContentChanges,
    DelistedShown,
    FieldChange,
    Plan,
    ResourceChange,
    Spool,
    Withholding,
)
from reconciler.plan.failure import Failure
from reconciler.plan.planned_push import PlannedPush

FORMAT_VERSION = 1
REFUSED_ENTRIES = 1000


def render_json(plan: Plan, *, verbose: bool = False) -> Iterator[bytes]:
    """Yield the document in pieces; joined they are canonical JSON."""
    yield b'{"changes":['
    for number, change in enumerate(plan.all_changes):
        yield b"," if number else b""
        yield from _change(change, verbose)
    yield b"]"
    if plan.damaged:
        yield b',"damaged":' + canonical(plan.damaged)
    yield b',"digest":' + canonical(str(plan.digest))
    yield b',"formatVersion":' + canonical(FORMAT_VERSION)
    yield b',"manifestDigest":' + canonical(str(plan.manifest_digest))
    yield b',"plugins":' + canonical(dict(plan.plugins))
    yield b',"summary":' + canonical(_summary(plan))
    yield (b',"unowned":' + canonical([_unowned(plan, ref) for ref in plan.unowned]) + b"}")


def _unowned(plan: Plan, ref: Ref) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": ref.kind.value, "name": ref.name}
    return {**entry, "rules": True} if ref in plan.ruling else entry


def content_entry(line: ChangeLine, group: str) -> dict[str, Any]:
    """Return the entry `{type, group, key, version?, digest?, size?, reason?, rule?}` of a line."""
    fields = {
        "type": line.type,
        "group": group,
        "key": line.key,
        "version": line.version,
        "digest": str(line.digest) if line.digest else None,
        "size": line.size,
        "reason": line.reason or None,
        "rule": line.rule or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _change(change: ResourceChange, verbose: bool) -> Iterator[bytes]:
    yield b'{"action":' + canonical(change.action.value)
    if change.content is not None:
        yield b',"content":'
        yield from _content(change.content, verbose)
    if change.delisted.total:
        yield b',"delistedShown":' + canonical(delisted_document(change.delisted))
    yield b',"fields":' + canonical([_field(field) for field in change.fields])
    if change.refusal:
        yield b',"guard":' + canonical({"hint": change.hint, "message": change.refusal})
    yield b',"kind":' + canonical(change.ref.kind.value) + b',"name":' + canonical(change.ref.name)
    if change.pushes:
        yield b',"pushes":' + canonical([_push(push) for push in change.pushes])
    yield b',"reason":' + canonical(change.reason)
    if change.still_shown:
        yield b',"stillShown":' + canonical(list(change.still_shown))
    yield b',"version":' + canonical({"from": change.version[0], "to": change.version[1]})
    if change.withheld is not None:
        yield b',"withheld":'
        yield from _withheld(change.withheld)
    yield b"}"


def _push(push: PlannedPush) -> dict[str, Any]:
    """Return what an index lacks; the first entries."""
    return {
        "index": push.index,
        "files": push.files,
        "size": push.size,
        "entries": [{"group": group, "key": key} for group, key in push.first],
        "different": list(push.different),
        "leftOut": dict(push.left_out),
        "unproven": push.unproven,
        "unknown": push.unknown,
        "failures": [_failure(failure) for failure in push.failures],
    }


def delisted_document(delisted: DelistedShown) -> dict[str, Any]:
    """Return `{total, entries}` of what upstream no longer lists; the first entries."""
    entries = [{"type": type_, "group": group, "key": key} for type_, group, key in delisted.first]
    return {"total": delisted.total, "entries": entries}


def _field(change: FieldChange) -> dict[str, Any]:
    field = {"path": change.path, "before": change.before, "after": change.after}
    if change.op != CHANGE:
        field["op"] = {ADD: "add", REMOVE: "remove", MOVE: "move"}[change.op]
    return field | ({"item": change.item} if change.op == MOVE else {})


def _withheld(withheld: Withholding) -> Iterator[bytes]:
    types = sorted({line.type for change in withheld.spool for line in change.lines})
    yield b'{"added":'
    yield from _array(_entries(withheld.spool, types, REMOVE))
    yield b',"released":'
    yield from _array(_entries(withheld.spool, types, ADD))
    yield b',"total":' + canonical(withheld.total) + b"}"


def _content(content: ContentChanges, verbose: bool) -> Iterator[bytes]:
    types = sorted({line.type for change in content.spool for line in change.lines})
    yield b'{"added":'
    yield from _array(_entries(content.spool, types, ADD))
    yield b',"changed":'
    yield from _array(_entries(content.spool, types, CHANGE))
    yield b',"failures":' + canonical([_failure(failure) for failure in content.failures])
    counts = content.counts
    yield b',"refused":{"counts":' + canonical(dict(counts.refused))
    yield b',"entries":'
    yield from _array(
        _limited(_entries(content.spool, types, REFUSE), None if verbose else REFUSED_ENTRIES)
    )
    yield b',"names":' + canonical(dict(counts.refused_names)) if counts.refused_names else b""
    yield b'},"removed":'
    yield from _array(_entries(content.spool, types, REMOVE))
    yield b',"unknown":' + canonical(list(content.unknown))
    yield b',"warnings":' + canonical([_failure(warning) for warning in content.warnings]) + b"}"


def _entries(spool: Spool, types: Iterable[str], op: str) -> Iterator[dict[str, Any]]:
    """Yield entries in (type, group, key) order, holding no more than a group."""
    for type_ in types:
        for name, changes in groupby(
            spool, key=lambda change: change.head.name
        ):  # several sources may touch one group
            lines = [
                line
                for change in changes
                for line in change.lines
                if line.op == op and line.type == type_
            ]
            for line in sorted(lines, key=lambda line: line.key):
                yield content_entry(line, name)


def _array(entries: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    yield b"["
    for number, entry in enumerate(entries):
        yield (b"," if number else b"") + canonical(entry)
    yield b"]"


def _limited(entries: Iterator[dict[str, Any]], limit: int | None) -> Iterator[dict[str, Any]]:
    for number, entry in enumerate(entries):
        if limit is not None and number >= limit:
            return
        yield entry


def _failure(failure: Failure) -> dict[str, Any]:
    fields = {"group": failure.group, "message": failure.message, "source": failure.source}
    return fields | ({"cause": failure.cause} if failure.cause else {})


def _summary(plan: Plan) -> dict[str, int]:
    totals = plan.totals()
    return {
        "add": totals.add,
        "change": totals.change,
        "destroy": totals.destroy,
        "contentAdded": totals.content.added,
        "contentRemoved": totals.content.removed,
        "contentChanged": totals.content.changed,
        "bytesToDownload": totals.content.download,
        "filesOfUnknownSize": totals.content.unsized,
        "bytesLeftUpstream": totals.content.upstream,
        "withheld": totals.withheld,
        "released": totals.released,
    }
