"""Requirements of other projects on a project, and the files that they select."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from reconciler.plugin import Unit
from reconciler_python.matching.python_versions import Interpreters
from reconciler_python.matching.rules import parse_version
from reconciler_python.reading.units import DISTRIBUTION, is_installable
from reconciler_python.selecting.source_checks import PULLED_BY

_TOLD: Final = 20  # requirers that are named for one file


@dataclass(frozen=True, slots=True)
class DependencyRequirement:
    """A requirement on a project: `text` (`werkzeug>=3.0`).

    `by`: the releases that have it (`flask 3.0.3`), the newest of each project.
    """

    text: str
    specifiers: SpecifierSet
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClosureResult:
    """Result of the closure for one project; a group's `data`.

    `pythons`: of the declared environments, empty for all. `unreadable`: files whose dependencies
    are unknown, with the reason. `failure`: why the project cannot be read. `waits`: it depends on
    a project that the index lacks, so that nothing of it may leave.
    """

    demands: tuple[DependencyRequirement, ...] = ()
    pythons: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    failure: Exception | None = None
    waits: bool = False

    def digest(self, *more: str) -> str:
        """Return a digest that changes whenever other files may be pulled in or refused.

        It does not depend on the requiring projects.
        """
        content = [
            sorted({str(demand.specifiers) for demand in self.demands}),
            self.pythons,
            sorted(self.unreadable.items()),
            more,
        ]
        return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


class Releases:
    """The releases of one project that have a file for one of the Pythons."""

    def __init__(self, units: Sequence[Unit], pythons: Interpreters | None) -> None:
        self._pythons = pythons
        self._versions: dict[Version, set[str]] = {}
        for unit in units:
            if not is_installable(unit) or not self.runs(unit):
                continue
            version = parse_version(unit.metadata["version"])
            if version is not None:
                self._versions.setdefault(version, set()).add(unit.metadata["version"])

    def runs(self, unit: Unit) -> bool:
        """Return True if the file can run on one of the Pythons."""
        required = unit.metadata.get("requiresPython")
        return self._pythons is None or required is None or self._pythons.find(required) is not None

    def meeting(self, specifiers: SpecifierSet) -> frozenset[str]:
        """Return the versions that satisfy a dependency.

        As for pip, pre-releases count where the specifier names one, or where nothing else
        satisfies it.
        """
        return frozenset(
            text
            for version in specifiers.filter(self._versions)
            for text in self._versions[version]
        )


def annotate(
    units: Sequence[Unit], pulled: ClosureResult | None, refuse: Callable[[str, str], None]
) -> list[Unit]:
    """Return the units, those that are required with the requirements that they satisfy.

    The transient key `_pulledBy` holds them: `flask 3.0.3 requires werkzeug>=3.0`.
    `refuse(filename, reason)` is called for those that are left out because their own requirements
    are unknown.
    """
    if pulled is None:
        return list(units)
    for key in sorted(pulled.unreadable.keys() & {unit.key for unit in units}):
        refuse(key, pulled.unreadable[key])
    kept = [unit for unit in units if unit.key not in pulled.unreadable]
    if not pulled.demands:
        return kept
    releases = Releases(units, Interpreters(pulled.pythons) if pulled.pythons else None)
    reasons: dict[str, list[str]] = {}
    for demand in pulled.demands:
        texts = [f"{requirer} requires {demand.text}" for requirer in demand.by]
        for version in releases.meeting(demand.specifiers):
            reasons.setdefault(version, []).extend(texts)
    return [_explained(unit, reasons, releases) for unit in kept]


def mark_required(unit: Unit, reasons: Sequence[str]) -> Unit:
    """Return the unit with the transient key that dependencies require it."""
    return msgspec.structs.replace(unit, metadata={**unit.metadata, PULLED_BY: list(reasons)})


def _explained(unit: Unit, reasons: Mapping[str, Sequence[str]], releases: Releases) -> Unit:
    if (
        unit.type != DISTRIBUTION
        or unit.metadata["version"] not in reasons
        or not releases.runs(unit)
    ):
        return unit
    texts = reasons[unit.metadata["version"]]
    return mark_required(
        unit, texts if len(texts) <= _TOLD else [*texts[:_TOLD], f"and {len(texts) - _TOLD} more"]
    )
