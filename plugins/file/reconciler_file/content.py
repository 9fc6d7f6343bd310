"""The content type `file.file`: a file is its path and its bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from reconciler.plugin import (
    ActiveFilter,
    ContentType,
    Decision,
    StoredUnit,
    TraceStep,
    Unit,
)
from reconciler_file.manifests import unlistable
from reconciler_file.options import FilterOptions, SourceOptions

FILE: Final = "file.file"
NOT_INCLUDED = "matches no include"


class File(ContentType[SourceOptions, FilterOptions]):
    """One file. Key: its path within the tree; one artifact, under the same path; no metadata."""

    id = FILE
    plural = "files"
    revision = 1

    @classmethod
    def select(  # noqa: PLR0917  # plugin API 1.x
        cls,
        group: str,
        units: Sequence[Unit],
        options: SourceOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
        now: datetime,
    ) -> Iterable[Decision]:
        rules = sorted(filters, key=lambda active: active.name)
        decisions = []
        for unit in units:
            reason, rule = unlistable(unit.key), ""
            if not reason:
                reason, rule = _by_source(unit, options)
            if not reason:
                reason, rule = _by_filters(unit, rules)
            decisions.append(Decision(unit, accepted=not reason, reason=reason, rule=rule))
        return decisions

    @classmethod
    def trace(  # noqa: PLR0917  # plugin API 1.x
        cls,
        group: str,
        units: Sequence[Unit],
        traced: Sequence[Unit],
        options: SourceOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
        now: datetime,
    ) -> Iterable[Iterable[TraceStep]]:
        decisions = cls.select(group, units, options, filters, now)
        decided = {id(decision.unit): decision for decision in decisions}
        return [[_step(decided[id(unit)])] for unit in traced]

    @classmethod
    def describe_change(cls, before: StoredUnit, after: Unit) -> str:
        [old], [new] = before.artifacts, after.artifacts
        return (
            f"sha256 {old.sha256[:12]} -> {new.sha256[:12]}"
            if old.sha256 != new.sha256
            else "size declared otherwise"
        )


def _step(decision: Decision) -> TraceStep:
    """Return the decision with the key of the manifest that made it, where one did."""
    if decision.accepted:
        return TraceStep(True, "nothing keeps it out")
    filter_, _, key = decision.rule.rpartition(".")
    if decision.reason == NOT_INCLUDED:
        key = "include"
    return TraceStep(False, decision.reason, filter_, (key,) if key else ())


def _by_source(unit: Unit, options: SourceOptions | None) -> tuple[str, str]:
    """Return reason and rule of a refusal by the source's own keys; empty if there is none."""
    if options is None:
        return "", ""
    rule = options.excluded.find(unit.key)
    if rule:
        return f'excluded by "{rule}"', "exclude"
    is_included = not options.included or options.included.find(unit.key)
    return ("", "") if is_included else (NOT_INCLUDED, "")


def _by_filters(unit: Unit, filters: Sequence[ActiveFilter[FilterOptions]]) -> tuple[str, str]:
    """Return the first reason by the filters' names, and its rule; empty if there is none."""
    for active in filters:
        rule = active.options.denied.find(unit.key)
        if rule:
            return f'denied by "{rule}" ({active.name}.deny)', f"{active.name}.deny"
        if active.options.max_size is not None and (
            reason := _too_large(unit, active.options.max_size)
        ):
            return f"{reason} ({active.name}.maxSize)", f"{active.name}.maxSize"
    return "", ""


def _too_large(unit: Unit, limit: int) -> str:
    """Return why a file is too large; empty while its size is not measured yet.

    The core asks again once it has measured it.
    """
    [file] = unit.artifacts
    if file.size is None:
        return "size unknown" if file.sha256 else ""
    return f"{file.size:,} bytes, more than {limit:,}" if file.size > limit else ""
