"""The content types: a binary package and a source package, each in one suite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from reconciler.plugin import (
    ActiveFilter,
    ContentType,
    Decision,
    Malformed,
    StoredUnit,
    Summary,
    TraceStep,
    Unit,
)
from reconciler_deb.control.paragraphs import read_fields
from reconciler_deb.control.relations import parse_relation
from reconciler_deb.options.filter_options import FilterOptions
from reconciler_deb.options.source_options import SourceOptions
from reconciler_deb.reading.units import PACKAGE, SOURCE_PACKAGE
from reconciler_deb.selecting.selection import PackageSelection, trace_package


class Package(ContentType[SourceOptions, FilterOptions]):
    """A `.deb` in one suite. Key: `<suite>/<name>_<version>_<architecture>`; group: the name."""

    id = PACKAGE
    plural = "packages"

    @classmethod
    def select(  # noqa: PLR0917  # plugin API 1.x
        cls,
        group: str,
        units: Sequence[Unit],
        options: SourceOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
        now: datetime,
    ) -> Iterable[Decision]:
        return PackageSelection(options, filters, now).decide(units)

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
        return PackageSelection(options, filters, now).trace(units, traced)

    @classmethod
    def matches(cls, group: str, unit: Unit | StoredUnit, subject: str) -> bool:
        """Return True for a key, a file's name, or a relation (`nginx (>= 1.22)`) that fits."""
        if subject == unit.key or subject in {
            artifact.path.rpartition("/")[2] for artifact in unit.artifacts
        }:
            return True
        try:
            relation = parse_relation(subject)
            return relation.name == group and relation.allows(unit.metadata.get("version", ""))
        except Malformed:
            return False

    @classmethod
    def needs_first_seen(
        cls,
        units: Sequence[Unit],
        options: SourceOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
    ) -> Iterable[Unit]:
        """Return all units where a Filter asks for an age: an index says nothing of when."""
        asked = any(active.options.min_age is not None for active in filters)
        return units if asked else ()

    @classmethod
    def refuse_replacement(
        cls, before: StoredUnit, after: Unit, options: SourceOptions | None
    ) -> str | None:
        """Return why a file may not be replaced by other bytes under the same version."""
        if options is not None and options.substitution == "allow":
            return None
        old = {artifact.path: artifact.sha256 for artifact in before.artifacts}
        for artifact in after.artifacts:
            known = old.get(artifact.path)
            if known is not None and artifact.sha256 and known != artifact.sha256:
                return (
                    f"its bytes were replaced under the same version: sha256 {known[:12]} is now"
                    f" {artifact.sha256[:12]} (`substitution: allow` would follow)"
                )
        return None

    @classmethod
    def trace_group(
        cls,
        group: str,
        options: SourceOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
    ) -> Iterable[TraceStep]:
        return trace_package(group, options)

    @classmethod
    def removal_reason(cls, unit: StoredUnit, options: SourceOptions | None, refused: str) -> str:
        """Return why a unit leaves: a name that no key asks for is not looked at any more."""
        step = next(iter(trace_package(unit.group, options)), None)
        return refused or (step.text if step is not None else "gone upstream")

    @classmethod
    def summary(cls, unit: Unit | StoredUnit) -> Summary:
        return Summary(
            unit.metadata["version"], f"{unit.metadata['suite']} {unit.metadata['architecture']}"
        )

    @classmethod
    def describe_change(cls, before: StoredUnit, after: Unit) -> str:
        old, new = (read_fields(unit.metadata["paragraph"]) for unit in (before, after))
        changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        changed += [
            name for name in ("component",) if before.metadata.get(name) != after.metadata.get(name)
        ]
        return ", ".join(f"{name} changed" for name in changed) or "files changed"


class SourcePackage(Package):
    """A source package in one suite: its `.dsc` and the archives that this names."""

    id = SOURCE_PACKAGE
    plural = "source packages"
