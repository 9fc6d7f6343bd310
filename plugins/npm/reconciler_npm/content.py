"""The content type of a package's version: in, or out because."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from reconciler.plugin import ActiveFilter, ContentType, Decision, StoredUnit, Unit
from reconciler_npm.names import unit_key
from reconciler_npm.options import FilterOptions, SourceOptions
from reconciler_npm.packuments import PACKAGE
from reconciler_npm.ranges import parse_selector, version_key

__all__ = ["Package"]


class Package(ContentType[SourceOptions, FilterOptions]):
    """One version of a package. Key: `left-pad@1.2.0`; one artifact, the tarball."""

    id = PACKAGE
    plural = "packages"

    @classmethod
    def select(  # noqa: PLR0917
        cls,
        group: str,
        units: Sequence[Unit],
        options: SourceOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
        now: datetime,
    ) -> Iterable[Decision]:
        rules = sorted(filters, key=lambda each: each.name)
        decisions = [_decided(unit, group, options, rules=rules, now=now) for unit in units]
        if options is None or options.latest is None:
            return decisions
        newest = sorted(
            (decision.unit for decision in decisions if decision.accepted),
            key=lambda unit: version_key(unit.metadata["version"]),
        )[-options.latest :]
        taken = {unit.key for unit in newest}
        reason = f"not among the newest {options.latest} (latest)"
        return [
            decision
            if not decision.accepted or decision.unit.key in taken
            else Decision(decision.unit, False, reason)
            for decision in decisions
        ]

    @classmethod
    def needs_first_seen(
        cls,
        units: Sequence[Unit],
        options: SourceOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
    ) -> Iterable[Unit]:
        if all(rule.options.min_age is None for rule in filters):
            return ()
        return [unit for unit in units if "published" not in unit.metadata]

    @classmethod
    def refuse_replacement(
        cls, before: StoredUnit, after: Unit, options: SourceOptions | None
    ) -> str | None:
        digests = {file.sha256 for file in after.artifacts} - {""}
        if digests <= {file.sha256 for file in before.artifacts}:
            return None
        return "a version that was published never gets another file"

    @classmethod
    def matches(cls, group: str, unit: Unit | StoredUnit, subject: str) -> bool:
        try:
            asked = parse_selector(subject)
        except ValueError:
            return subject == unit.key
        version = unit.metadata.get("version")
        if asked.name != group or not isinstance(version, str):
            return asked.name == group and not asked.range
        known = unit_key(group, version) == subject
        return known or asked.takes(version, unit.metadata.get("tags", ()), prereleases=True)


def _decided(
    unit: Unit,
    group: str,
    options: SourceOptions | None,
    *,
    rules: Sequence[ActiveFilter[FilterOptions]],
    now: datetime,
) -> Decision:
    version, tags = unit.metadata["version"], unit.metadata["tags"]
    if options is not None and options.include:
        wanted = options.selectors.get(group, ())
        if not any(each.takes(version, tags, prereleases=options.prereleases) for each in wanted):
            return Decision(unit, False, "not what the source asks for (include)")
    for rule in rules:
        if decision := _kept_out(unit, group, rule, now=now):
            return decision
    return Decision(unit, accepted=True)


def _kept_out(
    unit: Unit, group: str, rule: ActiveFilter[FilterOptions], *, now: datetime
) -> Decision | None:
    """Return the refusal of one Filter, or None if it lets a unit pass."""
    said = unit.metadata
    if any(
        each.takes(said["version"], said["tags"], prereleases=True)
        for each in rule.options.denied.get(group, ())
    ):
        return Decision(unit, False, f"denied ({rule.name}.deny)")
    if not rule.options.deprecated and "deprecated" in said["manifest"]:
        return Decision(unit, False, f"deprecated ({rule.name}.deprecated)")
    if rule.options.min_age is None:
        return None
    known = said.get("published") or said.get("_firstSeen") or now.isoformat()
    eligible = datetime.fromisoformat(known) + rule.options.min_age
    if now >= eligible:
        return None
    reason = f"published {known[:10]}, eligible {eligible:%Y-%m-%d} ({rule.name}.minAge)"
    return Decision(unit, False, reason, eligible, f"{rule.name}.minAge")
