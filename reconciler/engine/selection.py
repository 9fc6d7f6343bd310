"""What one source lets in: content types, the source's options and the filters in force, bound together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.errors import PluginFault
from reconciler.model import Digest, Filter, Sealed, StoredUnit, Unit, sealed
from reconciler.plan import Refusal
from reconciler.plugin import ActiveFilter, ContentType, Decision


@dataclass(frozen=True, slots=True)
class Selected:
    """A group decided: what is in, what is out and why, and when time alone will change an answer."""

    wanted: list[Sealed]
    refusals: list[Refusal]
    reconsider_at: datetime | None


class Selection:
    """Decides groups, and speaks about units in the words of their content types."""

    def __init__(self, types: Mapping[str, type[ContentType]], options: Any, filters: Sequence[Filter], now: datetime) -> None:
        self._types = types
        self._options = options
        self._filters = [ActiveFilter(one.meta.name, one.options, str(one.meta.origin)) for one in filters]
        self._now = now
        self.digest = Digest.of_value(
            [
                plain_options(options),
                [[one.meta.name, plain_options(one.options)] for one in filters],
                [[name, types[name].revision] for name in sorted(types)],
            ]
        )

    def decide(self, group: str, units: Iterable[Unit]) -> list[Decision]:
        """Decide a whole group. Raises PluginFault where the content type does not decide each unit once."""
        by_type: dict[str, list[Unit]] = {}
        for unit in units:
            by_type.setdefault(self._type_of(unit).id, []).append(unit)
        decided = {name: self._select(name, group, members) for name, members in by_type.items()}
        accepted = {name for name, decisions in decided.items() if any(one.accepted for one in decisions)}
        return [
            one
            for name, decisions in decided.items()
            for one in decisions
            if self._types[name].beside is None or self._types[name].beside in accepted
        ]

    def seal(self, group: str, decisions: Sequence[Decision], kept_out: Sequence[tuple[str, str]]) -> Selected:
        """Give what is in its identity. `kept_out`: (key, reason) of what the importer could not make a unit of."""
        wanted = [sealed(one.unit, group) for one in decisions if one.accepted]
        if len({(one.unit.type, one.unit.key) for one in wanted}) != len(wanted):
            twice = next(key for key, number in Counter((one.unit.type, one.unit.key) for one in wanted).items() if number > 1)
            raise PluginFault(f"group `{group}` holds two units under the key `{twice[1]}`")
        refusals = [self._refusal(one) for one in decisions if not one.accepted]
        main = next(iter(self._types), "")
        refusals.extend(Refusal(main, key, reason) for key, reason in kept_out)
        times = [one.reconsider_at for one in decisions if one.reconsider_at is not None]
        return Selected(wanted, refusals, min(times, default=None))

    def summary(self, unit: Unit | StoredUnit) -> tuple[str | None, str]:
        summary = self._type_of(unit).summary(unit)
        return summary.version, summary.label

    def removal(self, unit: StoredUnit, refused: str) -> str:
        return self._type_of(unit).removal(unit, self._options, refused)

    def change(self, before: StoredUnit, after: Unit) -> str:
        return self._type_of(after).describe_change(before, after)

    def refusal(self, before: StoredUnit, after: Unit) -> str | None:
        return self._type_of(after).refusal(before, after, self._options)

    def _select(self, type: str, group: str, units: list[Unit]) -> list[Decision]:
        decisions = list(self._types[type].select(group, units, self._options, self._filters, self._now))
        if [id(one) for one in units] != [id(one.unit) for one in decisions]:  # the order in which they came, as nearly every author writes it
            counted = Counter(id(one.unit) for one in decisions)
            if len(decisions) != len(units) or counted.keys() != {id(one) for one in units}:
                raise PluginFault(
                    f"`select` of `{type}` must decide each unit of group `{group}` once: {len(units)} units, {len(decisions)} decisions"
                )
        return decisions

    def _refusal(self, decision: Decision) -> Refusal:
        version, label = self.summary(decision.unit)
        sizes = [artifact.size for artifact in decision.unit.artifacts if artifact.size is not None]
        return Refusal(decision.unit.type, decision.unit.key, decision.reason, version, label, sum(sizes) if sizes else None)

    def _type_of(self, unit: Unit | StoredUnit) -> type[ContentType]:
        found = self._types.get(unit.type)
        if found is None:
            raise PluginFault(f"unit `{unit.key}` has the type `{unit.type}`, which its importer does not name in its metadata")
        return found


def plain_options(options: Any) -> Any:
    """An option model as plain data: what a digest can be taken of."""
    return None if options is None else options.model_dump(mode="json", by_alias=True, exclude_defaults=True)
