"""Members, wanted units and words for tests of plans, without any plugin."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from reconciler.model import (
    Artifact,
    Digest,
    IdentifiedUnit,
    StoredUnit,
    Unit,
    identify,
    stored_unit,
)
from reconciler.plan import (
    ChangeLine,
    ContentChanges,
    Failure,
    GroupChange,
    GroupLine,
    GroupMember,
    counts_of,
    sum_counts,
)
from reconciler.plan.changes import with_hex_digests

GROUP = "alpha"


@dataclass(frozen=True, slots=True)
class PlainWords:
    """Says what it is asked about. `frozen`: keys whose change is refused."""

    frozen: frozenset[str] = frozenset()

    def summary(self, unit: Unit | StoredUnit) -> tuple[str | None, str]:
        return str(unit.metadata.get("version", "1.0")), "wheel"

    def removal_reason(self, unit: StoredUnit, refused: str) -> str:
        return refused or "gone upstream"

    def change(self, before: StoredUnit, after: Unit) -> str:
        return "metadata changed"

    def refuse_replacement(self, before: StoredUnit, after: Unit) -> str | None:
        return "may not change" if after.key in self.frozen else None


@dataclass
class Lines:
    """A spool in memory."""

    changes: Sequence[GroupChange] = field(default_factory=list)

    def __iter__(self) -> Iterator[GroupChange]:
        return iter(self.changes)

    def names(self) -> frozenset[str]:
        return frozenset(change.head.name for change in self.changes)

    def of(self, name: str) -> list[GroupChange]:
        return [change for change in self.changes if change.head.name == name]

    @property
    def digest(self) -> Digest:
        return Digest.of(
            msgspec.json.encode(
                [
                    {
                        "head": with_hex_digests(change.head),
                        "lines": [with_hex_digests(line) for line in change.lines],
                    }
                    for change in self.changes
                ]
            )
        )


def a_unit(key: str, note: int = 0, *, size: int = 100) -> IdentifiedUnit:
    artifact = Artifact(
        f"{key}.bin",
        hashlib.sha256(f"{key} {note}".encode()).hexdigest(),
        size,
        f"https://index.example.org/{key}",
    )
    return identify(
        Unit(
            "test.file", key, {"note": note, "version": key.partition("-")[2] or "1.0"}, [artifact]
        ),
        GROUP,
    )


def a_member(unit: IdentifiedUnit, source: str) -> GroupMember:
    return GroupMember(unit.digest, stored_unit(unit.body), source)


def changed(*lines: ChangeLine, name: str = GROUP, source: str = "remote:up") -> GroupChange:
    return GroupChange(GroupLine(name, source), list(lines))


def content(
    changes: Iterable[GroupChange],
    *,
    units: int = 0,
    failures: tuple[Failure, ...] = (),
    unknown: tuple[str, ...] = (),
) -> ContentChanges:
    spool = Lines(list(changes))
    counts = sum_counts(counts_of(change.lines) for change in spool)
    return ContentChanges(
        spool, counts, units=units, failures=failures, unknown=unknown, plural="distributions"
    )
