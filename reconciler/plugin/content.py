"""Content types: what is stored, and how their units are selected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import BinaryIO, ClassVar, Generic

import msgspec

from reconciler.model import Artifact, StoredUnit, Unit
from reconciler.plugin.options import Options
from reconciler.plugin.people import Details
from reconciler.plugin.type_arguments import Filter, Filter_co, Source, take_models


class ActiveFilter(msgspec.Struct, Generic[Filter_co], frozen=True):
    """Filter that applies to the call.

    `name`: of the `Filter` resource. `options`: validated. `place`: where it is written.
    """

    name: str
    options: Filter_co
    place: str


class Decision(msgspec.Struct, frozen=True):
    """Decision on one unit: accepted, or refused for `reason`.

    The reason of an accepted unit is a remark, which a plan says as a warning about its group.
    `reconsider_at`: when time alone will change the answer. `rule`: the rule that refuses the unit,
    in words that are the same for all units that it refuses (`house-rules.minAge 7d`, where the
    reason names dates): a plan counts refusals by it. Empty: by the reason.
    """

    unit: Unit
    accepted: bool
    reason: str = ""
    reconsider_at: datetime | None = None
    rule: str = ""


class TraceStep(msgspec.Struct, frozen=True):
    """Verdict of one rule on one unit, for `reconciler explain`.

    `passed`: True if it accepts the unit. `text`: the verdict in words. `filter`: name of the
    Filter that the rule stands in, empty for the source's own keys. `key`: where it stands below
    the Filter's `spec` or the source's entry, as steps (`("deny", 2)`); empty where no single place
    says it.
    """

    passed: bool
    text: str
    filter: str = ""
    key: tuple[str | int, ...] = ()


class Summary(msgspec.Struct, frozen=True):
    """Short description of a unit for people.

    `version`: None where the type knows none. `label`: of its variety (`wheel`).
    """

    version: str | None = None
    label: str = ""


class ContentType(Generic[Source, Filter]):
    """Type of stored content. Type arguments: the option models of its sources and filters.

    An importer that handles the type has these models, or models that derive from them.
    Class methods only, pure: they are called from any thread, in any order, any number of times.
    """

    id: ClassVar[str]
    plural: ClassVar[str] = "units"
    # Raise it when `select` decides differently: everything is decided again.
    revision: ClassVar[int] = 1
    # Units of this type are kept only in groups that keep a unit of that type.
    kept_with: ClassVar[str | None] = None
    # The type arguments.
    options: ClassVar[type[Options]] = Options
    filter_options: ClassVar[type[Options]] = Options

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        take_models(cls, ContentType, "options", "filter_options")

    @classmethod
    def select(  # noqa: PLR0917  # plugin API 1.x
        cls,
        group: str,
        units: Sequence[Unit],
        options: Source | None,
        filters: Sequence[ActiveFilter[Filter]],
        now: datetime,
    ) -> Iterable[Decision]:
        """Decide for each unit of `group`: accepted, or refused with a reason.

        The order of units and filters must not matter. `options`: of the source; None for uploads.
        Default: all are accepted.
        """
        return [Decision(unit, accepted=True) for unit in units]

    @classmethod
    def trace(  # noqa: PLR0917  # plugin API 1.x
        cls,
        group: str,
        units: Sequence[Unit],
        traced: Sequence[Unit],
        options: Source | None,
        filters: Sequence[ActiveFilter[Filter]],
        now: datetime,
    ) -> Iterable[Iterable[TraceStep]]:
        """Return the verdict of each rule on each unit of `traced`, in their order. Pure.

        All units of `traced` are among `units`. The verdicts must agree with the decision of
        `select`. Default: the decision alone.
        """
        decided = {
            id(decision.unit): decision
            for decision in cls.select(group, units, options, filters, now)
        }
        for decision in (decided[id(unit)] for unit in traced):
            yield [TraceStep(decision.accepted, decision.reason or "nothing keeps it out")]

    @classmethod
    def trace_group(
        cls, group: str, options: Source | None, filters: Sequence[ActiveFilter[Filter]]
    ) -> Iterable[TraceStep]:
        """Return the rules that keep out all of `group`, whatever it holds. Pure.

        They explain a group that is refused or not declared at all. Only an importer's first
        content type is asked. Default: none.
        """
        return ()

    @classmethod
    def matches(cls, group: str, unit: Unit | StoredUnit, subject: str) -> bool:
        """Return True if `subject`, as given to `explain`, means this unit of `group`. Pure.

        Also called for keys that could not become units: their `metadata` is empty. Default: the
        unit's key, or the group's name for all of its units.
        """
        return subject == unit.key or group in (subject, subject.casefold())

    @classmethod
    def load_metadata(
        cls,
        unit: Unit,
        filters: Sequence[ActiveFilter[Filter]],
        read: Callable[[str], bytes | None],
    ) -> Unit:
        """Return a stored unit with the metadata that `select` needs for these filters.

        `read(path)` returns the bytes of one of its artifacts, or None if they are not available.
        Keys that are added should have a leading `_`. Default: the unit as it is.
        """
        return unit

    @classmethod
    def needs_first_seen(
        cls, units: Sequence[Unit], options: Source | None, filters: Sequence[ActiveFilter[Filter]]
    ) -> Iterable[Unit]:
        """Return those units of a group that `select` dates by when they were first seen. Pure.

        They get `_firstSeen` in their `metadata`, a time in ISO 8601 in UTC: when an apply first
        read of the artifact under the unit's key (else of its first), in any repository, or `now`.
        It is no part of a unit's identity, and absent where an artifact has no sha256 yet. Default:
        none.
        """
        return ()

    @classmethod
    def pinning_options(cls, options: Source) -> Source | None:
        """Return those options of a source that name releases or files one by one. Pure.

        None where there are none. Where filters decide again about what the source brought, as for
        a publication, units that `select` accepts by these options alone have `_pinned` in their
        `metadata`, which is True: a rule that counts, such as the newest N, does not drop them.
        Default: None.
        """
        return None

    @classmethod
    def refuse_replacement(
        cls, before: StoredUnit, after: Unit, options: Source | None
    ) -> str | None:
        """Return why `after` must not replace `before`, or None to allow it. Default: None.

        Both have the same type, group and key, but differ in identity.
        """
        return None

    @classmethod
    def removal_reason(cls, unit: StoredUnit, options: Source | None, refused: str) -> str:
        """Return why a unit is removed; the words after `-` in a plan.

        `refused`: why `select` refuses it now, empty where upstream no longer lists it.
        """
        return refused or "gone upstream"

    @classmethod
    def summary(cls, unit: Unit | StoredUnit) -> Summary:
        """Return how a plan shows the unit."""
        version = unit.metadata.get("version")
        return Summary(version if isinstance(version, str) else None)

    @classmethod
    def details(cls, unit: StoredUnit) -> Details:
        """Return how pages for people show the unit. Pure. Default: by its key alone."""
        return Details(order=unit.key)

    @classmethod
    def describe_change(cls, before: StoredUnit, after: Unit) -> str:
        """Return the difference between two states of one unit; the words after `~` in a plan."""
        names = sorted({*before.metadata, *after.metadata})
        return (
            ", ".join(
                f"{name} changed"
                for name in names
                if before.metadata.get(name) != after.metadata.get(name)
            )
            or "artifacts changed"
        )

    @classmethod
    def extractable(cls, unit: StoredUnit) -> Sequence[Artifact]:
        """Return artifacts that `extract` can make out of the unit's own files. Pure.

        Each has a `path` and, as `within`, the path of the artifact that holds it. The unit may
        declare an artifact of the same path: then it is help and no condition, and a unit comes in
        without it. What is declared is shown if it is stored, else what `extract` makes. Default:
        none.
        """
        return ()

    @classmethod
    def extract(cls, unit: Unit, artifact: Artifact, container: BinaryIO) -> bytes | None:
        """Return the bytes of `artifact` out of the open file named by `artifact.within`, or None.

        The core compares their digest; on None or a mismatch it asks `artifact.url`. Hostile input:
        never raise for it.
        """
        return None
