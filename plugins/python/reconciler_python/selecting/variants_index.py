"""Files that list the wheel variants of a release (PEP 825): they go with the variant wheels.

`{name}-{version}-variants.json` is linked on a project's page like a distribution, and is none: no
rule asks about it, it counts for no release, and upstream may replace its bytes as variants come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from reconciler.plugin import Decision, TraceStep, Unit
from reconciler_python.matching.wheel_tags import variant_label
from reconciler_python.reading.units import is_variants_index
from reconciler_python.selecting.checks import SOURCE

_TAKEN: Final = "a wheel variant of its release is taken"
_NOT_TAKEN: Final = "no wheel variant of its release is taken"


def variants_decisions(
    indexes: Sequence[Unit], decisions: Iterable[Decision]
) -> Sequence[Decision]:
    """Return the decisions on files that list variants. `decisions`: on all other files."""
    versions = {
        decision.unit.metadata["version"]
        for decision in decisions
        if decision.accepted and variant_label(decision.unit.key)
    }
    return [
        Decision(unit, True)
        if unit.metadata["version"] in versions
        else Decision(unit, False, _NOT_TAKEN)
        for unit in indexes
    ]


def variants_steps(decision: Decision) -> Sequence[TraceStep]:
    """Return the only step of such a file."""
    return [SOURCE.step(decision.accepted, _TAKEN if decision.accepted else _NOT_TAKEN)]


def split_variants(units: Iterable[Unit]) -> tuple[list[Unit], list[Unit]]:
    """Return the files that rules decide about, and those that list variants."""
    files: list[Unit] = []
    indexes: list[Unit] = []
    for unit in units:
        (indexes if is_variants_index(unit) else files).append(unit)
    return files, indexes
