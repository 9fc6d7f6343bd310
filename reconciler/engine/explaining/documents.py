"""Parts of the document that `explain` returns; see `docs/reference/machine-output.md`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from reconciler.engine.explaining.matching_units import format_instant
from reconciler.engine.explaining.rule_chains import Chain, Chains
from reconciler.engine.sources.marks import Marks
from reconciler.model import Source
from reconciler.plugin import Decision
from reconciler.redaction import sanitize

# Results of a source, and of a group in it:
ANSWERED: Final = "answered"
SILENT: Final = "silent"  # a source that is not asked for single groups
ABSENT: Final = "gone"
FAILED: Final = "failed"
UNKNOWN: Final = "unknown"
OWNED: Final = "owned"  # by an earlier source
REFUSED: Final = "refused"

_UNDECIDED: Final[Mapping[str, Any]] = {
    "type": None,
    "version": None,
    "label": "",
    "accepted": False,
    "rule": "",
    "reconsiderAt": None,
    "chain": None,
}


def source_document(
    source: Source, result: str, message: str, *, groups: Iterable[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Return what one source says."""
    return {"source": source.id, "result": result, "message": message, "groups": list(groups)}


def mark_documents(marks: Marks, group: str) -> list[dict[str, Any]]:
    """Return what the repository itself says of a group: its manifest, or people by hand."""
    declared = [(mark, None) for mark in marks.declared]
    recorded = [(record.mark, record) for record in marks.recorded]
    return [
        {
            "kind": mark.kind,
            "what": mark.what,
            "value": mark.value,
            "reason": sanitize(mark.reason),
            "by": record.principal if record is not None else None,
            "madeAt": format_instant(record.made_at) if record is not None else None,
        }
        for mark, record in [*declared, *recorded]
        if group in mark.groups
    ]


def group_document(
    name: str,
    result: str,
    message: str,
    *,
    units: Sequence[Mapping[str, Any]] = (),
    others: int = 0,
    whole: bool,
    chain: Chain,
) -> dict[str, Any]:
    """Return what one source says of one group.

    `units`: those that are meant; `others`: how many more there are; `whole`: the question is
    about the group as a whole.
    """
    return {
        "name": name,
        "result": result,
        "message": message,
        "units": list(units),
        "others": others,
        "whole": whole,
        "chain": chain,
    }


def decided_unit_document(
    decision: Decision, chains: Chains, chain: Chain | None
) -> dict[str, Any]:
    """Return what is decided about one unit, and by which rules."""
    version, label = chains.summary(decision.unit)
    due = decision.reconsider_at
    return {
        "key": decision.unit.key,
        "type": decision.unit.type,
        "version": version,
        "label": label,
        "accepted": decision.accepted,
        "reason": sanitize(decision.reason),
        "rule": sanitize(decision.rule),
        "reconsiderAt": format_instant(due) if due is not None else None,
        "chain": chain,
    }


def unreadable_unit_document(key: str, reason: str) -> dict[str, Any]:
    """Return why something of a group could not become a unit."""
    return {"key": key, "reason": sanitize(reason), **_UNDECIDED}
