"""Selection: content types, the options of a source and the filters in force, bound together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import msgspec

from reconciler.engine.plugin_calls.plugin_errors import is_unawaited
from reconciler.engine.session.session import Session
from reconciler.errors import PluginFault
from reconciler.model import (
    NAMES_REVISION,
    Artifact,
    Digest,
    Filter,
    IdentifiedUnit,
    StoredArtifact,
    StoredUnit,
    Unit,
    check_unit,
    declared_size,
    identify,
    is_usable_name,
    name_fault,
    pluralize,
)
from reconciler.plan import GroupMember, RefusedUnit
from reconciler.plugin import ActiveFilter, ContentType, Decision, Summary, TraceStep
from reconciler.plugin.validation import Plugin
from reconciler.redaction import sanitize

MAX_TEXT = 500  # characters of a content type's text about one unit
MAX_STEPS = 1000  # steps in the trace of one unit
FIRST_SEEN = "_firstSeen"  # metadata that `select` is given: no part of a unit's identity
Seen = TypeVar("Seen", Unit, StoredUnit)
Moments = Callable[[Collection[Digest]], Mapping[Digest, datetime]]


@dataclass(frozen=True, slots=True)
class Selected:
    """A decided group: what is in, what is out and why, and when time alone changes that.

    `remarks`: what a plan should say of the group as warnings.
    """

    wanted: list[IdentifiedUnit]
    refusals: list[RefusedUnit]
    reconsider_at: datetime | None
    remarks: tuple[str, ...] = ()


class Selection:
    """Decides about the units of groups, and describes them by their content types."""

    def __init__(
        self,
        types: Mapping[str, type[ContentType]],
        options: Any,
        filters: Sequence[Filter],
        *,
        now: datetime,
        moments: Moments | None = None,
    ) -> None:
        """`moments`: when artifacts were first seen; without it nothing was before `now`."""
        self._types = types
        self._options = options
        self._moments = moments
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
                NAMES_REVISION,
            ]
        )

    @classmethod
    def of(
        cls,
        session: Session,
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
        types = {name: session.registry.content_type(name) for name in importer.metadata.types}
        moments = partial(session.first_sights.moments, session.reader, now=now)
        return cls(types, options, filters, now=now, moments=moments)

    @property
    def filters(self) -> Sequence[ActiveFilter]:
        """The filters in force, sorted by name."""
        return tuple(sorted(self._filters, key=lambda filter_: filter_.name))

    @property
    def options(self) -> Any:
        """The options of the source."""
        return self._options

    def is_main(self, type: str) -> bool:
        """Return True for a type of content, False for one that only stands beside another."""
        content_type = self._types.get(type)
        return content_type is None or content_type.kept_with is None

    @property
    def plural(self) -> str:
        """The plural of the main content type."""
        return next(
            (type.plural for type in self._types.values() if type.kept_with is None), "units"
        )

    def restores_metadata(self, type: str) -> bool:
        """Return True if a content type adds metadata to units that were stored before."""
        content_type = self._types.get(type)
        return (
            content_type is not None
            and bool(self._filters)
            and content_type.load_metadata.__func__ is not ContentType.load_metadata.__func__  # type: ignore[attr-defined]
        )

    def restore_metadata(self, unit: Unit, read: Callable[[str], bytes | None]) -> Unit:
        """Return a stored unit with the metadata that filters ask for.

        `read`: the bytes of an artifact by its path, None where they are not in the store.
        """
        if not self.restores_metadata(unit.type):
            return unit
        restored: Any = self._types[unit.type].load_metadata(unit, self._filters, read)
        if not isinstance(restored, Unit) or (restored.type, restored.key) != (unit.type, unit.key):
            raise PluginFault(
                f"`load_metadata` of `{unit.type}` returns the unit that it was given: of"
                f" `{unit.key}`"
                f" came {restored!r:.80}"
            )
        return restored

    def reason(self, decision: Decision) -> str:
        """Return why a unit is kept out, sanitized."""
        return _sanitized_text(decision.reason, "select", decision.unit)

    def decide(self, group: str, units: Iterable[Unit]) -> list[Decision]:
        """Decide a whole group. No unit comes in under a name that a file system cannot hold.

        Raises:
            PluginFault: The content type does not decide each unit once.
        """
        given = list(units)
        dated = self.with_first_seen(given)
        if dated is given:
            return self._decided(group, given)
        asked = {id(after): before for before, after in zip(given, dated, strict=True)}
        return [
            msgspec.structs.replace(decision, unit=asked[id(decision.unit)])
            for decision in self._decided(group, dated)
        ]

    def with_first_seen(self, units: list[Unit]) -> list[Unit]:
        """Return the units in their order, with first sights on those that are dated by them.

        The same list where there are none.
        """
        digests = {
            id(unit): digest
            for unit in self.needs_first_seen(units)
            if (digest := sight_digest(unit)) is not None
        }
        if not digests or self._moments is None:
            return units
        moments = self._moments(set(digests.values()))
        return [
            with_first_seen(unit, moments[digests[id(unit)]]) if id(unit) in digests else unit
            for unit in units
        ]

    def needs_first_seen(self, units: Sequence[Unit]) -> list[Unit]:
        """Return those of some units of a group that rules date by when they were first seen."""
        undated: list[Unit] = []
        for name, type in self._types.items():
            if type.needs_first_seen.__func__ is ContentType.needs_first_seen.__func__:  # type: ignore[attr-defined]
                continue
            of_type = [unit for unit in units if unit.type == name]
            asked = {
                id(unit) for unit in type.needs_first_seen(of_type, self._options, self._filters)
            }
            undated += [unit for unit in of_type if id(unit) in asked]
        return undated

    def _decided(self, group: str, units: Sequence[Unit]) -> list[Decision]:
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
            if self._types[name].kept_with is None or self._types[name].kept_with in accepted
        ]

    def selected(
        self,
        group: str,
        decisions: Sequence[Decision],
        kept_out: Sequence[tuple[str, str]],
        *,
        members: Iterable[GroupMember] = (),
    ) -> Selected:
        """Identify the units that are in, and word why others are out.

        `kept_out`: (key, reason) of what the importer could not make a unit of. `members`: what
        the group holds: most of it is what comes in again.
        """
        held = {(member.unit.type, member.unit.key): member for member in members}
        wanted = [
            identify(decision.unit, group, held.get(_unit_key(decision.unit)))
            for decision in decisions
            if decision.accepted
        ]
        counts = Counter((unit.unit.type, unit.unit.key) for unit in wanted)
        if len(counts) != len(wanted):
            twice = next(key for (_, key), number in counts.items() if number > 1)
            raise PluginFault(
                f"group `{group}` holds two units under the key `{twice}`",
                hint="a key is unique within its group and type: put what differs into it",
            )
        refusals = [self._refusal(decision) for decision in decisions if not decision.accepted]
        main = next(iter(self._types), "")
        refusals.extend(
            RefusedUnit(main, key, reason, rule=counted_rule(reason)) for key, reason in kept_out
        )
        times = [
            reconsider_time(decision)
            for decision in decisions
            if decision.reconsider_at is not None
        ]
        remarks = {self.reason(decision) for decision in decisions if decision.accepted} - {""}
        return Selected(wanted, refusals, min(times, default=None), tuple(sorted(remarks)))

    def trace(
        self, group: str, units: Sequence[Unit], traced: Sequence[Unit]
    ) -> list[list[TraceStep]]:
        """Return what each rule says of each of `traced`, which are some `units` of the group."""
        dated = self.with_first_seen(list(units))
        after = {id(unit): new for unit, new in zip(units, dated, strict=True)}
        units, traced = dated, [after[id(unit)] for unit in traced]
        by_unit: dict[int, list[TraceStep]] = {}
        for type in dict.fromkeys(map(self._type_of, traced)):
            of_type = [unit for unit in units if unit.type == type.id]
            asked = [unit for unit in traced if unit.type == type.id]
            chains: Any = type.trace(group, of_type, asked, self._options, self._filters, self.now)
            method = f"`trace` of `{type.id}`"
            listed = (
                None
                if is_unawaited(chains) or not isinstance(chains, Iterable)
                else list(islice(chains, len(asked) + 1))
            )
            if listed is None or len(listed) != len(asked):
                raise PluginFault(
                    f"{method} returns a chain of steps for each unit that it is asked about, and"
                    f" not as of group `{group}`"
                )
            by_unit |= {
                id(unit): _steps(chain, method, unit.key)
                for unit, chain in zip(asked, listed, strict=True)
            }
        return [by_unit[id(unit)] for unit in traced]

    def trace_group(self, group: str) -> list[TraceStep]:
        """Return the rules that keep out all of a group."""
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
            None if summary.version is None else _sanitized_text(summary.version, "summary", unit)
        ), _sanitized_text(summary.label, "summary", unit)

    def removal_reason(self, unit: StoredUnit, refused: str) -> str:
        return _sanitized_text(
            self._type_of(unit).removal_reason(unit, self._options, refused), "removal_reason", unit
        )

    def change(self, before: StoredUnit, after: Unit) -> str:
        return _sanitized_text(
            self._type_of(after).describe_change(before, after), "describe_change", after
        )

    def refuse_replacement(self, before: StoredUnit, after: Unit) -> str | None:
        reason = self._type_of(after).refuse_replacement(before, after, self._options)
        return None if reason is None else _sanitized_text(reason, "refuse_replacement", after)

    def _select(self, type: str, group: str, units: list[Unit]) -> list[Decision]:
        decided: Any = self._types[type].select(
            group, units, self._options, self._filters, self.now
        )
        if is_unawaited(decided) or not isinstance(decided, Iterable):
            raise PluginFault(
                f"`select` of `{type}` returns decisions, not {decided.__class__.__name__}",
                hint=_DECISIONS_HINT,
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
                    f" {_undecided(units, decisions)}",
                    hint="a Decision for every unit, with the unit itself in it, not a copy",
                )
        return [_with_name_rule(decision, group) for decision in decisions]

    def _refusal(self, decision: Decision) -> RefusedUnit:
        unit = decision.unit
        if not is_usable_name(unit.key):
            check_unit(unit)
        version, label = self.summary(unit)
        size = declared_size(unit)
        if size is not None and not 0 <= size < 2**63:
            check_unit(unit)
        reason, rule = (
            _sanitized_text(text, "select", unit) for text in (decision.reason, decision.rule)
        )
        if not reason:
            raise PluginFault(
                f"`select` of `{unit.type}` refuses unit `{unit.key}` without a reason",
                hint="Decision(unit, accepted=False, reason=...): users are shown it",
            )
        rule = counted_rule(reason, rule)
        return RefusedUnit(unit.type, unit.key, reason, version, label, size, rule)

    def _type_of(self, unit: Unit | StoredUnit) -> type[ContentType]:
        content_type = self._types.get(unit.type)
        if content_type is None:
            raise PluginFault(
                f"unit `{unit.key}` has the type `{unit.type}`, which its importer does not name in"
                " its metadata",
                hint="add it to `types` of its Metadata",
            )
        return content_type


def _unit_key(unit: Unit) -> tuple[str, str]:
    """Return by what a unit is found; nothing is found for a key that is no text."""
    return unit.type, unit.key if isinstance(unit.key, str) else ""


def _with_name_rule(decision: Decision, group: str) -> Decision:
    """Return a decision that refuses the unit if its name is one that no file system holds."""
    fault = name_fault(decision.unit, group) if decision.accepted else None
    return (
        decision if fault is None else Decision(decision.unit, False, fault.reason, rule=fault.rule)
    )


def sight_digest(unit: Unit | StoredUnit) -> Digest | None:
    """Return the digest by which a unit is seen: of the artifact under its key, or its first."""
    listed: list[Artifact | StoredArtifact] = [*unit.artifacts]
    artifacts = sorted(listed, key=lambda artifact: artifact.path != unit.key)
    return Digest.parse(artifacts[0].sha256) if artifacts and artifacts[0].sha256 else None


def with_first_seen(unit: Seen, moment: datetime) -> Seen:
    """Return the unit with the moment in its metadata."""
    text = moment.astimezone(UTC).isoformat()
    return msgspec.structs.replace(unit, metadata={**unit.metadata, FIRST_SEEN: text})


def _steps(steps: Any, method: str, about: str) -> list[TraceStep]:
    listed = (
        None
        if is_unawaited(steps) or not isinstance(steps, Iterable)
        else list(islice(steps, MAX_STEPS))
    )
    if listed is None or not all(
        isinstance(step, TraceStep) and isinstance(step.text, str) for step in listed
    ):
        raise PluginFault(f"{method} returns steps, and not as of `{about}`")
    return [
        TraceStep(bool(step.passed), sanitize(step.text, MAX_TEXT), step.filter, tuple(step.key))
        for step in listed
    ]


_DECISIONS_HINT = "a list of Decision(unit, accepted=...), one for each unit"


def _check_decisions(type: str, group: str, decisions: Sequence[Any]) -> None:
    stranger = next(
        (decision for decision in decisions if not isinstance(decision, Decision)), None
    )
    if stranger is not None:
        raise PluginFault(
            f"`select` of `{type}` returns decisions: for group `{group}` came {stranger!r:.80}",
            hint=_DECISIONS_HINT,
        )


def _undecided(units: Sequence[Unit], decisions: Sequence[Decision]) -> str:
    """Name a unit that is not decided once, or count the decisions."""
    counted = Counter(id(decision.unit) for decision in decisions)
    wrong = next((unit for unit in units if counted[id(unit)] != 1), None)
    if wrong is not None:
        return (
            f"`{wrong.key}` is decided"
            f" {'not at all' if not counted[id(wrong)] else 'more than once'}"
        )
    return f"{pluralize(len(units), 'unit')}, {pluralize(len(decisions), 'decision')} or more"


def reconsider_time(decision: Decision) -> datetime:
    """Return the time, in UTC, at which a decision that names one has to be taken again."""
    when: Any = decision.reconsider_at
    if not isinstance(when, datetime) or when.utcoffset() is None:
        raise PluginFault(
            f"`select` decides unit `{decision.unit.key}` again at {when!r:.80}, which is no time"
            " with a time zone",
            hint="make it aware: `tzinfo=UTC`, or add to `now`",
        )
    return when.astimezone(UTC)


def _sanitized_text(text: Any, method: str, unit: Unit | StoredUnit) -> str:
    """Return a text of a content type, sanitized for one line of a plan."""
    if not isinstance(text, str):
        raise PluginFault(
            f"`{method}` of `{unit.type}` says a text, not {type(text).__name__} as of unit"
            f" `{unit.key}`"
        )
    return sanitize(text, MAX_TEXT)


def counted_rule(reason: str, rule: str = "") -> str:
    """Return the text by which a refusal is counted: its rule, else its reason without values.

    What comes after a colon in a reason is a value (`not a PEP 440 version: ...`), unless the colon
    stands within backticks. Empty where the reason is that text already.
    """
    if rule:
        return rule
    text, _, value = reason.partition(": ")
    return text if value and text.count("`") % 2 == 0 else ""


def plain_options(options: Any) -> Any:
    """Return an option model as plain data, of which a digest can be taken."""
    return (
        None
        if options is None
        else options.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    )
