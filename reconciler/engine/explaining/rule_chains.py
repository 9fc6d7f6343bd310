"""The chains of rules behind decisions, each rule with the place where it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.model import DesiredState, Source, StoredUnit, Unit
from reconciler.plugin import Decision, TraceStep
from reconciler.redaction import sanitize

MAX_CHAINS = 10  # of more units, one chain is given for each rule that keeps some of them out
MAX_RULES = 100  # such rules

Chain = list[dict[str, Any]]


class Chains:
    """Traces the rules of one source and of the filters in force.

    Every method raises PluginFault, naming the call, where a content type fails.
    """

    def __init__(
        self,
        resolution: RepositoryResolution,
        desired: DesiredState,
        source: Source,
        *,
        selection: Selection,
    ) -> None:
        self._resolution = resolution
        self._selection = selection
        self._written = {
            filter_.meta.name: filter_.locations
            for filter_ in desired.filters_of(resolution.repository)
        } | {"": source.locations}

    def of_units(
        self, response: SourceResponse, meant: Sequence[Decision], *, every: bool
    ) -> Mapping[int, Chain]:
        """Return the chains of units, by the identity (`id`) of each unit.

        Of many units, unless `every` one is asked for, only those that show a new rule.
        """
        chosen = meant if every or len(meant) <= MAX_CHAINS else _first_of_each_rule(meant)
        with self._calling("trace", response.name):
            chains = self._selection.trace(
                response.name, response.units, [decision.unit for decision in chosen]
            )
        return {
            id(decision.unit): self._of_unit(decision, steps)
            for decision, steps in zip(chosen, chains, strict=True)
        }

    def _of_unit(self, decision: Decision, steps: list[TraceStep]) -> Chain:
        # Where every rule lets a refused unit pass, what is held already keeps it out.
        if not decision.accepted and all(step.passed for step in steps):
            steps.append(TraceStep(False, sanitize(decision.reason)))
        return self._chain(steps)

    def of_group(self, name: str) -> Chain:
        """Return the rules that keep out all of a group."""
        with self._calling("trace_group", name):
            return self._chain(self._selection.trace_group(name))

    def summary(self, unit: Unit) -> tuple[str | None, str]:
        """Return the version and the label of a unit."""
        with self._calling("summary", unit.key):
            return self._selection.summary(unit)

    def refuse_replacement(self, before: StoredUnit, after: Unit) -> str | None:
        """Return why one unit must not replace another, or None."""
        with self._calling("refuse_replacement", after.key):
            return self._selection.refuse_replacement(before, after)

    @contextmanager
    def _calling(self, method: str, about: str) -> Iterator[None]:
        call = self._resolution.call(method, about)
        with self._resolution.session.call_timeouts.named(call), plugin_faults(call):
            yield

    def _chain(self, steps: Sequence[TraceStep]) -> Chain:
        return [
            {
                "passed": step.passed,
                "text": step.text,
                "filter": step.filter,
                "key": list(step.key),
                "place": self._place(step),
            }
            for step in steps
        ]

    def _place(self, step: TraceStep) -> str | None:
        written = self._written.get(step.filter)
        return written.find(step.key) if written is not None and (step.key or step.filter) else None


def _first_of_each_rule(meant: Sequence[Decision]) -> list[Decision]:
    first: dict[str, Decision] = {}
    for decision in meant:
        if not decision.accepted and len(first) < MAX_RULES:
            first.setdefault(decision.rule or decision.reason, decision)
    return list(first.values())
