"""The rules: each says why a unit stays out, and which key says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from reconciler.plugin import Unit
from reconciler_deb.options.filter_options import FilterOptions
from reconciler_deb.options.source_options import SourceOptions
from reconciler_deb.selecting.facts import REQUIRED_BY, field_of, name_of, size_of


class Refusal(NamedTuple):
    """Refusal of a unit. `key`: the key that says so; `rule`: what a plan counts by."""

    reason: str
    key: str
    rule: str = ""
    reconsider_at: datetime | None = None


def source_refusal(unit: Unit, options: SourceOptions) -> Refusal | None:
    """Return why the keys of a source leave a unit out; None if they take it.

    What a package taken depends on is taken whatever `include`, `sections` and `priorities` say.
    """
    name, version = name_of(unit), unit.metadata["version"]
    rule = options.excluded.find(name, version)
    if rule:
        return Refusal(f'excluded by "{rule}"', "exclude")
    if unit.metadata.get(REQUIRED_BY):
        return None
    if options.included and not options.included.find(name, version):
        return Refusal("matches no include", "include")
    if options.sections and not _in_words(section := field_of(unit, "Section"), options.sections):
        return Refusal(f"section `{section or '-'}` is not asked for", "sections")
    priority = field_of(unit, "Priority")
    if options.priorities and priority not in options.priorities:
        return Refusal(f"priority `{priority or '-'}` is not asked for", "priorities")
    return None


def filter_refusal(unit: Unit, options: FilterOptions, now: datetime) -> Refusal | None:
    """Return why a Filter keeps a unit out; None if it lets it pass."""
    refusals = (refusal for check in FILTER_CHECKS for refusal in check(unit, options, now))
    return next(refusals, None)


def _denied(unit: Unit, options: FilterOptions, now: datetime) -> Iterator[Refusal]:
    rule = options.denied.find(name_of(unit), unit.metadata["version"])
    if rule:
        yield Refusal(f'denied by "{rule}"', "deny")


def _not_allowed(unit: Unit, options: FilterOptions, now: datetime) -> Iterator[Refusal]:
    if options.allow and not options.allowed.find(name_of(unit), unit.metadata["version"]):
        yield Refusal("matches nothing that is allowed", "allow")


def _denied_section(unit: Unit, options: FilterOptions, now: datetime) -> Iterator[Refusal]:
    if options.deny_sections and _in_words(
        section := field_of(unit, "Section"), options.deny_sections
    ):
        yield Refusal(f"section `{section}` is denied", "denySections")


def _denied_priority(unit: Unit, options: FilterOptions, now: datetime) -> Iterator[Refusal]:
    if options.deny_priorities and (
        (priority := field_of(unit, "Priority")) in options.deny_priorities
    ):
        yield Refusal(f"priority `{priority}` is denied", "denyPriorities")


def _too_large(unit: Unit, options: FilterOptions, now: datetime) -> Iterator[Refusal]:
    if options.max_size is None:
        return
    size = size_of(unit)
    if size is None:
        yield Refusal("size unknown", "maxSize")
    elif size > options.max_size:
        reason = f"{size:,} bytes, more than {options.max_size:,}"
        yield Refusal(reason, "maxSize", "maxSize")


def _too_young(unit: Unit, options: FilterOptions, now: datetime) -> Iterator[Refusal]:
    seen = unit.metadata.get("_firstSeen")
    if options.min_age is None or seen is None:
        return
    first = datetime.fromisoformat(seen)
    eligible = first + options.min_age
    if now < eligible:
        reason = f"first seen {first:%Y-%m-%d}, eligible {eligible:%Y-%m-%d}"
        yield Refusal(reason, "minAge", "minAge", eligible)


def _in_words(section: str, words: Sequence[str]) -> bool:
    """Return True for a section that is named, whole or without its component (`non-free/libs`)."""
    return section in words or section.rpartition("/")[2] in words


FILTER_CHECKS: Final[Sequence[Callable[[Unit, FilterOptions, datetime], Iterator[Refusal]]]] = (
    _denied,
    _not_allowed,
    _denied_section,
    _denied_priority,
    _too_large,
    _too_young,
)
