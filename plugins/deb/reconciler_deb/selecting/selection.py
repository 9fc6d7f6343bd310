"""Decides on the units of one package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from reconciler.plugin import ActiveFilter, Decision, TraceStep, Unit
from reconciler_deb.control.versions import version_key
from reconciler_deb.options.filter_options import FilterOptions
from reconciler_deb.options.source_options import RemoteOptions, SourceOptions
from reconciler_deb.reading.index_files import ALL
from reconciler_deb.selecting.checks import Refusal, filter_refusal, source_refusal
from reconciler_deb.selecting.facts import REQUIRED_BY, UNMET


class PackageSelection:
    """Decisions of one set of keys on packages. `options`: of a source; None for uploads."""

    def __init__(
        self,
        options: SourceOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
        now: datetime,
    ) -> None:
        self._options = options
        self._filters = sorted(filters, key=lambda active: active.name)
        self._now = now

    def decide(self, units: Iterable[Unit]) -> list[Decision]:
        """Return a decision for each unit of a package."""
        refusals = {id(unit): self.refusal(unit) for unit in units}
        counted = self._too_old([unit for unit in units if refusals[id(unit)] is None])
        return [_decision(unit, refusals[id(unit)] or counted.get(id(unit))) for unit in units]

    def trace(self, units: Sequence[Unit], traced: Iterable[Unit]) -> list[list[TraceStep]]:
        """Return the verdict on each of `traced`, with the place of the key that says so."""
        decided = {id(decision.unit): decision for decision in self.decide(units)}
        return [[_step(decided[id(unit)])] for unit in traced]

    def refusal(self, unit: Unit) -> Refusal | None:
        """Return why a unit stays out whatever the others are; None if nothing keeps it out."""
        if self._options is not None and (refusal := source_refusal(unit, self._options)):
            return refusal
        for active in self._filters:
            if refusal := filter_refusal(unit, active.options, self._now):
                return _named(refusal, active.name)
        return None

    def _too_old(self, units: Sequence[Unit]) -> dict[int, Refusal]:
        """Return refusals, by id of the unit, of versions beyond the newest N.

        What a dependency asks for stays, whatever its version.
        """
        latest = self._options.latest if self._options is not None else None
        if latest is None:
            return {}
        kept = {id(unit) for unit in units if unit.metadata.get(REQUIRED_BY)}
        for beside in _lists(units):
            versions = sorted({unit.metadata["version"] for unit in beside}, key=version_key)
            newest = set(versions[-latest:])
            kept |= {id(unit) for unit in beside if unit.metadata["version"] in newest}
        refusal = Refusal(f"not among the latest {latest}", "latest", "latest")
        return {id(unit): refusal for unit in units if id(unit) not in kept}


def trace_package(name: str, options: SourceOptions | None) -> list[TraceStep]:
    """Return what keeps out every version of a package; nothing where one may come in."""
    if options is None or (isinstance(options, RemoteOptions) and options.dependencies):
        return []
    if options.included and not options.included.concern(name):
        return [TraceStep(False, "matches no include", "", ("include",))]
    return []


def _lists(units: Iterable[Unit]) -> list[list[Unit]]:
    """Return the units that a client sees beside each other: of one suite, for one architecture."""
    places: dict[tuple[str, str, str], list[Unit]] = {}
    general: list[Unit] = []
    for unit in units:
        place = (unit.type, unit.metadata["suite"], unit.metadata["architecture"])
        places.setdefault(place, []).append(unit)
        if unit.metadata["architecture"] == ALL:
            general.append(unit)
    for (type_, suite, architecture), beside in places.items():
        if architecture != ALL:
            beside += [
                unit for unit in general if (unit.type, unit.metadata["suite"]) == (type_, suite)
            ]
    return list(places.values())


def _decision(unit: Unit, refusal: Refusal | None) -> Decision:
    if refusal is None:
        return Decision(unit, accepted=True, reason=unit.metadata.get(UNMET, ""))
    return Decision(
        unit,
        accepted=False,
        reason=refusal.reason,
        reconsider_at=refusal.reconsider_at,
        rule=refusal.rule or refusal.key,
    )


def _named(refusal: Refusal, filter_: str) -> Refusal:
    rule = f"{filter_}.{refusal.key}"
    return refusal._replace(reason=f"{refusal.reason} ({rule})", rule=rule)


def _step(decision: Decision) -> TraceStep:
    if decision.accepted:
        return TraceStep(True, decision.reason or "nothing keeps it out")
    filter_, _, key = decision.rule.rpartition(".")
    return TraceStep(False, decision.reason, filter_, (key,))
