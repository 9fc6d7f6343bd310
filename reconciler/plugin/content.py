"""What is stored: content types, and the decisions that they take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import BinaryIO, ClassVar

import msgspec

from reconciler.model import Artifact, StoredUnit, Unit
from reconciler.plugin.options import Options


class ActiveFilter(msgspec.Struct, frozen=True):
    """A filter that governs the call: the `Filter` resource's name, its validated options, and
    where it is written.
    """

    name: str
    options: Options
    place: str


class Decision(msgspec.Struct, frozen=True):
    """One unit is in, or out because `reason`. `reconsider_at`: when time alone will change the
    answer.

    `rule`: what keeps it out, in words that are the same for every unit that it keeps out
    (`house-rules.minAge 7d`, where the reason names dates): by it a plan counts what is refused.
    Empty: by the reason.
    """

    unit: Unit
    accepted: bool
    reason: str = ""
    reconsider_at: datetime | None = None
    rule: str = ""


class Step(msgspec.Struct, frozen=True):
    """One rule's word on one unit, for `reconciler explain`.

    `passed`: it lets the unit in; `text`: in words. `filter`: name of the Filter that the rule
    stands in, empty for the source's own keys. `key`: where it stands below the Filter's `spec` or
    the source's entry, as steps (`("deny", 2)`); empty where no single place says it.
    """

    passed: bool
    text: str
    filter: str = ""
    key: tuple[str | int, ...] = ()


class Summary(msgspec.Struct, frozen=True):
    """A unit for people: its `version` (None where the type knows none) and a `label` of its
    variety (`wheel`).
    """

    version: str | None = None
    label: str = ""


class ContentType:
    """What is stored. Class methods only, pure: they are called from any thread, in any order, any
    number of times.
    """

    id: ClassVar[str]
    plural: ClassVar[str] = "units"
    revision: ClassVar[int] = (
        1  # raise it when `select` decides differently: everything is decided again
    )
    beside: ClassVar[str | None] = (
        None  # units of this type are kept only in groups that keep a unit of that type
    )

    @classmethod
    def select(
        cls,
        group: str,
        units: Sequence[Unit],
        options: Options | None,
        filters: Sequence[ActiveFilter],
        now: datetime,
    ) -> Iterable[Decision]:
        """Decide for each unit of `group`: in, or out because. The order of units and filters must
        not matter. Default: all in.

        `options`: of the source; None for what was uploaded.
        """
        return [Decision(unit, accepted=True) for unit in units]

    @classmethod
    def trace(
        cls,
        group: str,
        units: Sequence[Unit],
        traced: Sequence[Unit],
        options: Options | None,
        filters: Sequence[ActiveFilter],
        now: datetime,
    ) -> Iterable[Iterable[Step]]:
        """What each rule says of each unit of `traced`, all of them among `units`: a chain for
        each, in their order. Pure.

        It is the chain behind the decision of `select`, and must agree with it. Default: the
        decision alone.
        """
        decided = {id(one.unit): one for one in cls.select(group, units, options, filters, now)}
        for one in (decided[id(unit)] for unit in traced):
            yield [Step(one.accepted, one.reason or "nothing keeps it out")]

    @classmethod
    def trace_group(
        cls, group: str, options: Options | None, filters: Sequence[ActiveFilter]
    ) -> Iterable[Step]:
        """Rules that keep out all of `group`, whatever it holds: the chain behind a group that is
        refused, or not declared at all. Pure.

        Asked of an importer's first content type. Default: none.
        """
        return ()

    @classmethod
    def meant(cls, group: str, unit: Unit | StoredUnit, subject: str) -> bool:
        """Does somebody who asks `explain` for `subject` mean this unit of `group`? Pure. Default:
        its key, or all of the group by its name.

        What could not become a unit is asked about as well: its `metadata` is empty.
        """
        return subject == unit.key or group in (subject, subject.casefold())

    @classmethod
    def recall(
        cls, unit: Unit, filters: Sequence[ActiveFilter], read: Callable[[str], bytes | None]
    ) -> Unit:
        """A unit that was stored before, made fit for `select`: with what these filters ask about
        and only its artifacts tell.

        `read(path)` gives the bytes of one of its artifacts, None where they are not here. What is
        added belongs under keys with a leading `_`. Default: the unit as it is.
        """
        return unit

    @classmethod
    def refusal(cls, before: StoredUnit, after: Unit, options: Options | None) -> str | None:
        """Why `after` must not replace `before` (same type, group and key, other identity); None
        lets it. Default: None.
        """
        return None

    @classmethod
    def removal(cls, unit: StoredUnit, options: Options | None, refused: str) -> str:
        """Why a unit goes; the words after `-` in a plan. `refused`: why `select` keeps it out now,
        empty where upstream no longer lists it.
        """
        return refused or "gone upstream"

    @classmethod
    def summary(cls, unit: Unit | StoredUnit) -> Summary:
        """How a plan shows the unit."""
        version = unit.metadata.get("version")
        return Summary(version if isinstance(version, str) else None)

    @classmethod
    def describe_change(cls, before: StoredUnit, after: Unit) -> str:
        """What differs between two states of one unit; the words after `~` in a plan."""
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
    def extract(cls, unit: Unit, artifact: Artifact, container: BinaryIO) -> bytes | None:
        """The bytes of `artifact` out of the open file named by `artifact.within`, or None when
        they cannot be found there.

        The core compares their digest; on None or a mismatch it asks `artifact.url`. Hostile input:
        never raise for it.
        """
        return None
