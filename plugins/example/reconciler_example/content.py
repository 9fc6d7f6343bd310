"""The content type: a file, identified by its path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from reconciler.plugin import ActiveFilter, ContentType, Decision, Unit
from reconciler_example.manifests import unlistable
from reconciler_example.options import FilterOptions, SourceOptions, matching

EXAMPLE_FILE: Final = "example.file"


class ExampleFile(ContentType[SourceOptions, FilterOptions]):
    """A file. Key: its path; one artifact, under the same path; no metadata."""

    id = EXAMPLE_FILE
    plural = "files"

    @classmethod
    def select(  # noqa: PLR0917  # plugin API 1.x
        cls,
        group: str,
        units: Sequence[Unit],
        options: SourceOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
        now: datetime,
    ) -> Iterable[Decision]:
        rules = sorted(filters, key=lambda filter_: filter_.name)
        for unit in units:
            reason = (
                unlistable(unit.key)
                or _by_source(unit.key, options)
                or next(filter(None, (_by_filter(unit, rule) for rule in rules)), "")
            )
            yield Decision(unit, accepted=not reason, reason=reason)


def _by_source(path: str, options: SourceOptions | None) -> str:
    if options is None:  # a publication decides by filters alone
        return ""
    rule = matching(options.exclude, path)
    if rule:
        return f'excluded by "{rule}"'
    return "" if not options.include or matching(options.include, path) else "matches no include"


def _by_filter(unit: Unit, rule: ActiveFilter[FilterOptions]) -> str:
    [file] = unit.artifacts
    denied = matching(rule.options.deny, unit.key)
    if denied:
        return f'denied by "{denied}" ({rule.name}.deny)'
    limit = rule.options.max_size
    if limit is None or (file.size is not None and file.size <= limit):
        return ""
    return (
        f"size unknown ({rule.name}.maxSize)"
        if file.size is None
        else f"{file.size:,} bytes, more than {limit:,} ({rule.name}.maxSize)"
    )
