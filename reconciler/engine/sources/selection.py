"""What one source lets in: content types, the source's options and the filters in force, bound
together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from reconciler.engine.plugin_calls.plugin_errors import is_unawaited
from reconciler.errors import PluginFault
from reconciler.model import (
    Digest,
    Filter,
    IdentifiedUnit,
    StoredUnit,
    Unit,
    acceptable,
    identify,
    usable_name,
)
from reconciler.plan import Refusal
from reconciler.plugin import ActiveFilter, ContentType, Decision, Step, Summary
from reconciler.plugin.registry import Registry
from reconciler.plugin.validation import Plugin
from reconciler.redaction import sanitize

LONGEST = 500  # characters that a content type says of one unit
MOST_STEPS = 1000  # that it tells of one unit


@dataclass(frozen=True, slots=True)
class Selected:
    """A decided group: what is in, what is out and why, and when time alone changes that."""

    wanted: list[IdentifiedUnit]
    refusals: list[Refusal]
    reconsider_at: datetime | None


class Selection:
    """Decides groups, and speaks about units in the words of their content types."""

    def __init__(
        self,
        types: Mapping[str, type[ContentType]],
        options: Any,
        filters: Sequence[Filter],
        now: datetime,
    ) -> None:
        self._types = types
        self._options = options
        self._filters = [
            ActiveFilter(filter_.meta.name, filter_.options, str(filter_.meta.origin))
            for filter_ in filters
        ]
        self.now = now
        self.digest = Digest.of_value(
            [
                plain_options(options),
                [[filter_.meta.name, plain_options(filter_.options)] for filter_ in filters],
                [[name, types[name].revision] for name in sorted(types)],
            ]
        )

    @classmethod
    def of(
        cls,
        registry: Registry,
        importer: Plugin,
        *,
        options: Any,
        filters: Sequence[Filter],
        now: datetime,
    ) -> Selection:
        """Return the selection of what `importer` brings: its content types, bound.

        `options`: of the source, None where no source in particular is meant.
        """
        assert importer.metadata is not None
        types = {name: registry.content_type(name) for name in importer.metadata.types}
        return cls(types, options, filters, now)

    @property
    def filters(self) -> Sequence[ActiveFilter]:
        """Those in force, by name."""
        return tuple(sorted(self._filters, key=lambda filter_: filter_.name))

    def recalls(self, type: str) -> bool:
        """Has its content type something to add to units that were stored before?"""
        found = self._types.get(type)
        return (
            found is not None
            and bool(self._filters)
            and found.recall.__func__ is not ContentType.recall.__func__  # type: ignore[attr-defined]
        )

    def recalled(self, unit: Unit, read: Callable[[str], bytes | None]) -> Unit:
        """A unit that was stored before, fit to be decided. `read`: the bytes of one of its
        artifacts by path, None where they are not here.
        """
        if not self.recalls(unit.type):
            return unit
        found: Any = self._types[unit.type].recall(unit, self._filters, read)
        if not isinstance(found, Unit) or (found.type, found.key) != (unit.type, unit.key):
            raise PluginFault(
                f"`recall` of `{unit.type}` returns the unit that it was given: of `{unit.key}`"
                f" came {found!r:.80}"
            )
        return found

    def reason(self, decision: Decision) -> str:
        """Why a unit is kept out, fit to be shown."""
        return _words(decision.reason, "select", decision.unit)

    def decide(self, group: str, units: Iterable[Unit]) -> list[Decision]:
        """Decide a whole group. Raises PluginFault where the content type does not decide each unit
        once.
        """
        by_type: dict[str, list[Unit]] = {}
        for unit in units:
            by_type.setdefault(self._type_of(unit).id, []).append(unit)
        decided = {name: self._select(name, group, members) for name, members in by_type.items()}
        accepted = {
            name
            for name, decisions in decided.items()
            if any(decision.accepted for decision in decisions)
        }
        return [
            decision
            for name, decisions in decided.items()
            for decision in decisions
            if self._types[name].beside is None or self._types[name].beside in accepted
        ]

    def seal(
        self, group: str, decisions: Sequence[Decision], kept_out: Sequence[tuple[str, str]]
    ) -> Selected:
        """Give what is in its identity. `kept_out`: (key, reason) of what the importer could not
        make a unit of.
        """
        wanted = [identify(decision.unit, group) for decision in decisions if decision.accepted]
        if len({(unit.unit.type, unit.unit.key) for unit in wanted}) != len(wanted):
            twice = next(
                key
                for key, number in Counter(
                    (unit.unit.type, unit.unit.key) for unit in wanted
                ).items()
                if number > 1
            )
            raise PluginFault(f"group `{group}` holds two units under the key `{twice[1]}`")
        refusals = [self._refusal(decision) for decision in decisions if not decision.accepted]
        main = next(iter(self._types), "")
        refusals.extend(Refusal(main, key, reason) for key, reason in kept_out)
        times = [
            reconsider_time(decision)
            for decision in decisions
            if decision.reconsider_at is not None
        ]
        return Selected(wanted, refusals, min(times, default=None))

    def trace(self, group: str, units: Sequence[Unit], traced: Sequence[Unit]) -> list[list[Step]]:
        """Return what each rule says of each of `traced`, which are some `units` of the group."""
        found: dict[int, list[Step]] = {}
        for type in dict.fromkeys(map(self._type_of, traced)):
            same, told_of = (
                [unit for unit in some if unit.type == type.id] for some in (units, traced)
            )
            chains: Any = type.trace(group, same, told_of, self._options, self._filters, self.now)
            method = f"`trace` of `{type.id}`"
            listed = (
                None
                if is_unawaited(chains) or not isinstance(chains, Iterable)
                else list(islice(chains, len(told_of) + 1))
            )
            if listed is None or len(listed) != len(told_of):
                raise PluginFault(
                    f"{method} returns a chain of steps for each unit that it is asked about, and"
                    f" not as of group `{group}`"
                )
            found |= {
                id(unit): _steps(chain, method, unit.key)
                for unit, chain in zip(told_of, listed, strict=True)
            }
        return [found[id(unit)] for unit in traced]

    def trace_group(self, group: str) -> list[Step]:
        """Rules that keep out all of a group."""
        type = next(iter(self._types.values()), ContentType)
        return _steps(
            type.trace_group(group, self._options, self._filters),
            f"`trace_group` of `{type.id}`",
            group,
        )

    def summary(self, unit: Unit | StoredUnit) -> tuple[str | None, str]:
        summary: Any = self._type_of(unit).summary(unit)
        if not isinstance(summary, Summary):
            raise PluginFault(
                f"`summary` of `{unit.type}` returns a Summary, not {type(summary).__name__} as for"
                f" unit `{unit.key}`"
            )
        return (
            None if summary.version is None else _words(summary.version, "summary", unit)
        ), _words(summary.label, "summary", unit)

    def removal(self, unit: StoredUnit, refused: str) -> str:
        return _words(self._type_of(unit).removal(unit, self._options, refused), "removal", unit)

    def change(self, before: StoredUnit, after: Unit) -> str:
        return _words(self._type_of(after).describe_change(before, after), "describe_change", after)

    def refusal(self, before: StoredUnit, after: Unit) -> str | None:
        reason = self._type_of(after).refusal(before, after, self._options)
        return None if reason is None else _words(reason, "refusal", after)

    def _select(self, type: str, group: str, units: list[Unit]) -> list[Decision]:
        decided: Any = self._types[type].select(
            group, units, self._options, self._filters, self.now
        )
        if is_unawaited(decided) or not isinstance(decided, Iterable):
            raise PluginFault(
                f"`select` of `{type}` returns decisions, not {decided.__class__.__name__}"
            )
        decisions = list(islice(decided, len(units) + 1))
        _check_decisions(type, group, decisions)
        if [id(unit) for unit in units] != [
            id(decision.unit) for decision in decisions
        ]:  # the order in which they came, as nearly every author writes it
            counted = Counter(id(decision.unit) for decision in decisions)
            if len(decisions) != len(units) or counted.keys() != {id(unit) for unit in units}:
                raise PluginFault(
                    f"`select` of `{type}` must decide each unit of group `{group}` once:"
                    f" {_undecided(units, decisions)}"
                )
        return decisions

    def _refusal(self, decision: Decision) -> Refusal:
        unit = decision.unit
        if not usable_name(unit.key):
            acceptable(unit)
        version, label = self.summary(unit)
        sizes = [artifact.size for artifact in unit.artifacts if artifact.size is not None]
        size = sum(sizes) if sizes else None
        if size is not None and not 0 <= size < 2**63:
            acceptable(unit)
        reason, rule = (_words(text, "select", unit) for text in (decision.reason, decision.rule))
        return Refusal(unit.type, unit.key, reason, version, label, size, rule)

    def _type_of(self, unit: Unit | StoredUnit) -> type[ContentType]:
        found = self._types.get(unit.type)
        if found is None:
            raise PluginFault(
                f"unit `{unit.key}` has the type `{unit.type}`, which its importer does not name in"
                " its metadata"
            )
        return found


def _steps(steps: Any, method: str, about: str) -> list[Step]:
    found = (
        None
        if is_unawaited(steps) or not isinstance(steps, Iterable)
        else list(islice(steps, MOST_STEPS))
    )
    if found is None or not all(
        isinstance(one, Step) and isinstance(one.text, str) for one in found
    ):
        raise PluginFault(f"{method} returns steps, and not as of `{about}`")
    return [
        Step(bool(one.passed), sanitize(one.text, LONGEST), one.filter, tuple(one.key))
        for one in found
    ]


def _check_decisions(type: str, group: str, decisions: Sequence[Any]) -> None:
    stranger = next(
        (decision for decision in decisions if not isinstance(decision, Decision)), None
    )
    if stranger is not None:
        raise PluginFault(
            f"`select` of `{type}` returns decisions: for group `{group}` came {stranger!r:.80}"
        )


def _undecided(units: Sequence[Unit], decisions: Sequence[Decision]) -> str:
    """Which one is not decided, or decided more than once, or not of the group."""
    counted = Counter(id(decision.unit) for decision in decisions)
    wrong = next((unit for unit in units if counted[id(unit)] != 1), None)
    if wrong is not None:
        return (
            f"`{wrong.key}` is decided"
            f" {'not at all' if not counted[id(wrong)] else 'more than once'}"
        )
    return f"{len(units)} units, {len(decisions)} decisions or more"


def reconsider_time(decision: Decision) -> datetime:
    """When a decision that names a time is to be taken again, in UTC."""
    when: Any = decision.reconsider_at
    if not isinstance(when, datetime) or when.utcoffset() is None:
        raise PluginFault(
            f"`select` decides unit `{decision.unit.key}` again at {when!r:.80}, which is no time"
            " with a time zone"
        )
    return when.astimezone(UTC)


def _words(text: Any, method: str, unit: Unit | StoredUnit) -> str:
    """What a content type says, fit for one line of a plan."""
    if not isinstance(text, str):
        raise PluginFault(
            f"`{method}` of `{unit.type}` says a text, not {type(text).__name__} as of unit"
            f" `{unit.key}`"
        )
    return sanitize(text, LONGEST)


def plain_options(options: Any) -> Any:
    """An option model as plain data: what a digest can be taken of."""
    return (
        None
        if options is None
        else options.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    )
