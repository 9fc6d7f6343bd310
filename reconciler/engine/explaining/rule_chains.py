"""The chains of rules behind decisions, each rule with the place where it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_resolver import RepositoryResolution
from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.model import DesiredState, Source, StoredUnit, Unit
from reconciler.plugin import Decision, Step
from reconciler.redaction import sanitize

FEW = (
    10  # units whose chains are told, each; of more, one for every rule that keeps some of them out
)
MOST = 100  # such rules

Chain = list[dict[str, Any]]


class Chains:
    """What the rules of one source and of the filters in force say. Raises PluginFault naming what
    a content type failed in.
    """

    def __init__(
        self,
        resolution: RepositoryResolution,
        desired: DesiredState,
        source: Source,
        selection: Selection,
    ) -> None:
        self._resolution = resolution
        self._selection = selection
        self._written = {
            one.meta.name: one.written for one in desired.filters_of(resolution.repository)
        } | {"": source.written}

    def of_units(
        self, answer: SourceResponse, meant: Sequence[Decision], *, every: bool
    ) -> Mapping[int, Chain]:
        """By the identity of units. Of many units, unless `every` one is asked for, those are told
        that show a rule which none did before.
        """
        chosen = meant if every or len(meant) <= FEW else _first_of_each_rule(meant)
        with self._calling("trace", answer.name):
            chains = self._selection.trace(answer.name, answer.units, [one.unit for one in chosen])
        return {
            id(one.unit): self._of_unit(one, steps)
            for one, steps in zip(chosen, chains, strict=True)
        }

    def _of_unit(self, one: Decision, steps: list[Step]) -> Chain:
        if not one.accepted and all(
            step.passed for step in steps
        ):  # no rule keeps it out, but what is held already
            steps.append(Step(False, sanitize(one.reason)))
        return self._chain(steps)

    def of_group(self, name: str) -> Chain:
        """Of the rules that keep out all of it."""
        with self._calling("trace_group", name):
            return self._chain(self._selection.trace_group(name))

    def summary(self, unit: Unit) -> tuple[str | None, str]:
        """The version and the label of a unit."""
        with self._calling("summary", unit.key):
            return self._selection.summary(unit)

    def refusal(self, before: StoredUnit, after: Unit) -> str | None:
        """Why one unit must not replace another."""
        with self._calling("refusal", after.key):
            return self._selection.refusal(before, after)

    @contextmanager
    def _calling(self, method: str, about: str) -> Iterator[None]:
        call = self._resolution.call(method, about)
        with self._resolution.session.call_timeouts.named(call), plugin_faults(call):
            yield

    def _chain(self, steps: Sequence[Step]) -> Chain:
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

    def _place(self, step: Step) -> str | None:
        written = self._written.get(step.filter)
        return (
            written.place(step.key) if written is not None and (step.key or step.filter) else None
        )


def _first_of_each_rule(meant: Sequence[Decision]) -> list[Decision]:
    first: dict[str, Decision] = {}
    for decision in meant:
        if not decision.accepted and len(first) < MOST:
            first.setdefault(decision.rule or decision.reason, decision)
    return list(first.values())
