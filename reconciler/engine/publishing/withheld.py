"""What filters keep out of a publication today although its version holds it.

Versions never change, and what is served obeys today's rules. So what a publication shows is asked
about again: all of it when the rules have changed or time alone may change an answer, else the
groups that differ from those that were judged last. What the sources of a mirror brought need not
be asked about where this very run has decided it by the same filters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reconciler.database import Reader, SourcedUnit, WithheldUnit
from reconciler.engine.plugin_calls.conduits import CallWatch, plugin_faults, unwatched
from reconciler.engine.sources.members import declared
from reconciler.engine.sources.selection import Selection, moment
from reconciler.engine.transfer.metadata_recovery import stored_bytes_reader
from reconciler.model import (
    ActualPublication,
    DesiredState,
    Digest,
    Filter,
    Judged,
    Publication,
    SourceKind,
    Unit,
)
from reconciler.plugin import ContentType, Importer
from reconciler.plugin.registry import Registry
from reconciler.store import Store

BATCH = 50  # groups whose units are read at once
BESIDE = "nothing that it belongs to is shown"

Units = Mapping[Digest, WithheldUnit]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What filters say of a publication. `units`: all that they keep out of it; None: the very ones
    that are recorded.
    """

    judged: Judged
    units: Units | None = None

    def without(self, leaving: Iterable[Digest]) -> Judgement:
        """The same where some units are no longer there."""
        gone = set(leaving)
        if not gone or self.units is None:
            return self
        return _judgement(
            {digest: one for digest, one in self.units.items() if digest not in gone},
            self.judged.rules,
            self.judged.reconsider_at,
        )


@dataclass(slots=True)
class _Found:
    """What the judging of groups has yielded."""

    units: dict[Digest, WithheldUnit] = field(default_factory=dict)
    reconsider_at: datetime | None = None

    def again(self, when: datetime) -> None:
        """An answer may be another one then."""
        self.reconsider_at = min(when, self.reconsider_at or when)


class Judge:
    """Judges what one publication shows. Runs plugin code: call it in a worker thread. `now`:
    aware.
    """

    def __init__(
        self,
        reader: Reader,
        store: Store,
        registry: Registry,
        desired: DesiredState,
        publication: Publication,
        now: datetime,
        watch: CallWatch = unwatched,
    ) -> None:
        self._reader = reader
        self._store = store
        self._registry = registry
        self._repository = desired.repositories[publication.repository]
        self._filters: Sequence[Filter] = desired.filters_on(publication)
        self._ours = {one.meta.name for one in desired.filters_of(self._repository)}
        self._now = now.astimezone(UTC)
        self._watch = watch
        self._call = f"`select` for {publication.meta.ref}"

    def judge(
        self,
        current: ActualPublication,
        repository_id: int,
        number: int,
        version_digest: Digest,
        *,
        decided: bool,
    ) -> Judgement:
        """Of a version of the repository. `decided`: it is the latest, and this run has asked all
        sources of the repository, by today's filters; what the plan takes out of it is nobody's
        business here.

        Raises PluginFault where a content type does not answer as it should.
        """
        if not self._filters:
            return Judgement(Judged(), {})
        before, rules = current.judged, self._rules(repository_id)
        known = before.rules == rules and (
            before.reconsider_at is None or before.reconsider_at > self._now
        )
        if known and current.version_digest == version_digest:
            return Judgement(before)
        found, names = _Found(), None
        if known and current.version is not None:
            names = list(self._reader.changed_groups(repository_id, current.version, number))
            among = set(names)
            held = self._reader.withheld(current.id, current.number) if before.units else {}
            found = _Found(
                {digest: one for digest, one in held.items() if one.group not in among},
                before.reconsider_at,
            )
        trusted = self._trusted(decided)
        self._judge(
            found,
            repository_id,
            number,
            self._doubtful(repository_id, number, names, trusted),
            trusted,
        )
        return _judgement(found.units, rules, found.reconsider_at)

    def selection(self, options: Any = None, *, filters: bool = True) -> Selection:
        """What decides. `options`: of a source."""
        return Selection.of(
            self._registry,
            self._registry.importer(self._repository.type),
            options=options,
            filters=self._filters if filters else (),
            now=self._now,
        )

    @property
    def importer_class(self) -> type[Importer]:
        cls: Any = self._registry.importer(self._repository.type).cls
        return cls  # type: ignore[no-any-return]

    @property
    def main_type(self) -> type[ContentType]:
        """Which names what is counted."""
        plugin = self._registry.importer(self._repository.type)
        assert plugin.metadata is not None
        return self._registry.content_type(plugin.metadata.types[0])

    def _rules(self, repository_id: int) -> Digest:
        return Digest.of_value([repository_id, self.selection().digest.hex])

    def _trusted(self, decided: bool) -> frozenset[str]:
        """Sources whose units today's filters have let in already, all of them."""
        if (
            not decided
            or self._repository.mode != "mirror"
            or any(filter_.meta.name not in self._ours for filter_ in self._filters)
        ):
            return frozenset()
        return frozenset(
            source.id for source in self._repository.sources if source.kind is not SourceKind.UPLOAD
        )

    def _doubtful(
        self, repository_id: int, number: int, names: list[str] | None, trusted: frozenset[str]
    ) -> list[str]:
        """Groups that hold something that is to be judged."""
        if trusted:
            return self._reader.groups_of_others(repository_id, number, trusted, names)
        return list(self._reader.group_names(repository_id, number)) if names is None else names

    def _judge(
        self,
        found: _Found,
        repository_id: int,
        number: int,
        names: Sequence[str],
        trusted: frozenset[str],
    ) -> None:
        with self._watch(self._call) as alive, plugin_faults(self._call):
            ways = self._ways()
            for start in range(0, len(names), BATCH):
                for name, rows in self._reader.sourced_units(
                    repository_id, number, names[start : start + BATCH]
                ).items():
                    alive()
                    self._judge_group(found, name, rows, trusted, ways)

    def _ways(self) -> Mapping[bool, _Way]:
        """How to ask about what was uploaded (True), and about what a source brought.

        A source's own keys have decided when it did: here they keep their defaults, which let
        everything in. Where a default does not, that is no filter's doing.
        """
        uploaded = _Way(self.selection())
        try:
            options = self.importer_class.options()
        except ValueError:  # a key without which there is no source
            return {True: uploaded, False: uploaded}
        return {
            True: uploaded,
            False: _Way(
                self.selection(options), self.selection(options, filters=False), uploaded.selection
            ),
        }

    def _judge_group(
        self,
        found: _Found,
        name: str,
        rows: Sequence[SourcedUnit],
        trusted: frozenset[str],
        ways: Mapping[bool, _Way],
    ) -> None:
        """Each source is asked about by itself, as when it brought the units; what passes as one
        source's is shown.
        """
        passed = {row.digest for row in rows if row.source in trusted}
        refused: dict[Digest, WithheldUnit] = {}
        for source in sorted({row.source for row in rows} - trusted):
            mine = [row for row in rows if row.source == source]
            reasons = ways[source == SourceKind.UPLOAD].reasons(
                name, [self._recalled(one, ways) for one in mine], found, self._now
            )
            for one, reason in zip(mine, reasons, strict=True):
                if reason is None:
                    passed.add(one.digest)
                else:
                    refused[one.digest] = WithheldUnit(
                        name, one.unit.type, one.unit.key, one.digest, reason
                    )
        found.units.update((digest, one) for digest, one in refused.items() if digest not in passed)

    def _recalled(self, one: SourcedUnit, ways: Mapping[bool, _Way]) -> Unit:
        selection, unit = ways[True].selection, declared(one.unit)
        return (
            selection.recalled(unit, stored_bytes_reader(self._store, unit.artifacts))
            if selection.recalls(unit.type)
            else unit
        )


@dataclass(frozen=True, slots=True)
class _Way:
    """How to ask about units. `bare`: the same without any filter; what that one keeps out is
    decided by `otherwise`.
    """

    selection: Selection
    bare: Selection | None = None
    otherwise: Selection | None = None

    def reasons(
        self, group: str, units: Sequence[Unit], found: _Found, now: datetime
    ) -> list[str | None]:
        """Why each unit is kept out, None where it is let in."""
        reasons = _reasons(self.selection, group, units, found, now)
        if self.bare is None or self.otherwise is None or all(reason is None for reason in reasons):
            return reasons
        bare = _reasons(self.bare, group, units, found, now)
        if all(reason is None for reason in bare):
            return reasons
        otherwise = _reasons(self.otherwise, group, units, found, now)
        return [
            other if plain is not None else reason
            for reason, plain, other in zip(reasons, bare, otherwise, strict=True)
        ]


def _reasons(
    selection: Selection, group: str, units: Sequence[Unit], found: _Found, now: datetime
) -> list[str | None]:
    decisions = {id(one.unit): one for one in selection.decide(group, units)}
    for decision in decisions.values():
        if decision.reconsider_at is not None and (when := moment(decision)) > now:
            found.again(when)
    said = [decisions.get(id(unit)) for unit in units]
    return [
        BESIDE if one is None else None if one.accepted else selection.reason(one) for one in said
    ]


def _judgement(units: Units, rules: Digest | None, reconsider_at: datetime | None) -> Judgement:
    withheld = Digest.of_value(sorted(str(digest) for digest in units)) if units else None
    return Judgement(Judged(rules, withheld, len(units), reconsider_at), units)
