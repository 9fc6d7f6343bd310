"""Evaluation of filters on a publication: the units that they withhold today.

Versions never change, and what is served obeys today's rules. The filters are therefore evaluated
again: on everything when the rules have changed or time alone may change a decision, else on the
groups that differ from the version that was evaluated last. Units that the sources of a mirror
brought are skipped where this very run has filtered them already by the same rules.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from reconciler.database import Reader, SourcedUnit, WithheldUnit
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.publishing.planned_units import planned_rows
from reconciler.engine.publishing.version_view import RepositoryVersion
from reconciler.engine.session.session import Session
from reconciler.engine.sources.copied_rules import CopiedRules, rules_digest, rules_of_source
from reconciler.engine.sources.group_evaluation import Evaluation, SourceSelections
from reconciler.engine.sources.pins import Pins, pins_by_source, pins_digest
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.withdrawals import QUARANTINED, Withdrawals
from reconciler.model import (
    MIRROR,
    WITHHOLD,
    ActualPublication,
    DesiredState,
    Digest,
    Filter,
    FilterVerdict,
    Publication,
    SourceKind,
    pluralize,
)
from reconciler.plan import ContentChanges, ResourceChange
from reconciler.plugin import ContentType, Importer
from reconciler.plugin.validation import Plugin

BATCH = 50  # groups whose units are read at once

Units = Mapping[Digest, WithheldUnit]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FilterResult:
    """Decision of the filters about one publication.

    Attributes:
        summary: Digests and counts, as they are recorded with the publication.
        units: All withheld units; None: the same ones that are recorded.
    """

    summary: FilterVerdict
    units: Units | None = None

    def without(self, removed: Iterable[Digest]) -> FilterResult:
        """Return the result for a version that no longer holds the units `removed`."""
        gone = set(removed)
        if not gone or self.units is None:
            return self
        left = {digest: unit for digest, unit in self.units.items() if digest not in gone}
        return _result(left, self.summary.rules, self.summary.reconsider_at)


def sources_filtered(change: ResourceChange) -> bool:
    """Return True if a repository's plan has filtered everything that its sources offer."""
    content = change.content
    return (
        content is not None and not change.refusal and not content.failures and not content.unknown
    )


class FilterEvaluator:
    """Evaluates the filters that govern one publication.

    Runs plugin code: call it in a worker thread. Decisions that depend on time use `now`, an aware
    datetime.
    """

    def __init__(
        self,
        session: Session,
        desired: DesiredState,
        publication: Publication,
        *,
        now: datetime,
        planned: Mapping[str, ContentChanges] | None = None,
    ) -> None:
        """`planned`: what a plan finds out about repositories, by name, before it is recorded."""
        self._session = session
        repository = desired.repository(publication.repository)
        assert repository is not None
        self._repository = repository
        self._filters: Sequence[Filter] = desired.filters_on(publication)
        self._of_repository = {
            filter_.meta.name for filter_ in desired.filters_of(self._repository)
        }
        self._desired = desired
        self.withdrawn = Withdrawals(session.reader, planned).of(repository.meta.name)
        self._withheld_groups = self.withdrawn if publication.quarantined == WITHHOLD else {}
        self._copied: Mapping[str, CopiedRules] = {}
        self._recorded: dict[tuple[int, int], Units] = {}
        self._planning = False
        self._now = now.astimezone(UTC)
        self._call = f"`select` for {publication.meta.ref}"

    @property
    def reader(self) -> Reader:
        return self._session.reader

    @property
    def repository_name(self) -> str:
        return self._repository.meta.name

    @property
    def importer_class(self) -> type[Importer]:
        cls: Any = self._importer.cls
        return cls  # type: ignore[no-any-return]

    @property
    def main_type(self) -> type[ContentType]:
        """The content type whose plural names what is counted."""
        assert self._importer.metadata is not None
        return self._session.registry.content_type(self._importer.metadata.types[0])

    def evaluate(
        self,
        current: ActualPublication,
        version: RepositoryVersion,
        *,
        sources_filtered: bool,
        content: ContentChanges | None = None,
    ) -> FilterResult:
        """Evaluate the filters on a version of the repository.

        Args:
            current: The publication as recorded; what filters decided last is reused if it holds.
            version: The version that should be served.
            sources_filtered: This run has read all sources of the repository by today's filters,
                and `version` is the latest, or becomes it by `content`.
            content: What a plan changes before the version is shown.

        Raises:
            PluginFault: A content type broke the contract of `select`.
        """
        self._copied = self._rules_of_copies(version.repository_id)
        if not self._filters and not self._copied and not self._withheld_groups:
            return FilterResult(FilterVerdict(), {})
        previous, rules = current.verdict, self._rules_digest(version.repository_id)
        reusable = previous.rules == rules and not self._due(previous)
        differing = self._differing_withdrawals(current)
        # What a plan brings has no bytes yet: a rule that asks for them decides once it is there.
        self._planning = content is not None
        touched = content.spool.names() if content is not None else frozenset()
        same_version = current.version_digest == version.digest and not touched
        if reusable and same_version and not differing:
            return FilterResult(previous)
        evaluation, changed = Evaluation(self._now), None
        if reusable and current.version is not None:
            names = self.reader.changed_groups(
                version.repository_id, current.version, version.number
            )
            changed = sorted(differing.union(names, touched))
            evaluation = self._evaluation_of_others(current, set(changed))
        skipped = self._skipped_sources() if sources_filtered else frozenset()
        groups = self._groups_to_evaluate(version, changed, skipped)
        if content is not None and not skipped and changed is None:
            groups = sorted(touched.union(groups))
        logger.debug("%s: %s to evaluate", self._call, pluralize(len(groups), "group"))
        rows = planned_rows(self._sourced_units(version, groups), groups, content)
        self._evaluate_groups(evaluation, rows, skipped=skipped)
        return _result(evaluation.units, rules, evaluation.reconsider_at)

    def recorded(self, current: ActualPublication) -> Units:
        """Return the units that a publication withholds as recorded; they are read once."""
        if not current.verdict.units:
            return {}
        key = (current.id, current.number)
        if key not in self._recorded:
            self._recorded[key] = self.reader.withheld(*key)
        return self._recorded[key]

    def refusals(
        self, repository_id: int, group: str, rows: Sequence[SourcedUnit]
    ) -> Mapping[Digest, WithheldUnit]:
        """Return those of some units of a group that the rules of today keep out.

        No version need hold them. Raises PluginFault as `evaluate`.
        """
        self._copied = self._rules_of_copies(repository_id)
        evaluation = Evaluation(self._now)
        with self._session.watch(self._call), plugin_faults(self._call):
            selections = self._selections()
            self._evaluate_group(evaluation, group, rows, skipped=frozenset(), by=selections)
        return evaluation.units

    def selection(self, options: Any = None, *, filters: bool = True) -> Selection:
        """Return a selection with these source options, with or without the filters."""
        return Selection.of(
            self._session,
            self._importer,
            options=options,
            filters=self._filters if filters else (),
            now=self._now,
        )

    def _selections(self) -> SourceSelections:
        return SourceSelections.of(
            self._session, self._importer, self._filters, now=self._now, pins=self._pins
        )

    @cached_property
    def _pins(self) -> Pins:
        """Pins of the sources of the repository, where filters may drop anything."""
        if not self._filters:
            return {}
        return pins_by_source(self._session, self._desired, self._repository, now=self._now)

    @property
    def _importer(self) -> Plugin:
        return self._session.registry.importer(self._repository.type)

    def _rules_digest(self, repository_id: int) -> Digest:
        copied, pinned = rules_digest([], self._copied.values()), pins_digest(self._pins)
        own = [repository_id, self.selection().digest.hex]
        if pinned is not None:
            own.append(f"pins {pinned}")
        return Digest.of_value([*own, str(copied)] if copied is not None else own)

    def _rules_of_copies(self, repository_id: int) -> dict[str, CopiedRules]:
        """Return the rules that go along with what was copied, by the source that copied it."""
        declared = {source.id for source in self._repository.sources}
        rules = {
            source: rules_of_source(
                self._session,
                self._desired,
                source,
                applied={filter_.meta.name for filter_ in self._filters},
                now=self._now,
                behind={self._repository.meta.name},
            )
            for source in sorted(declared | self.reader.committed_sources(repository_id).keys())
        }
        return {source: copied for source, copied in rules.items() if copied is not None}

    def _copied_refusals(
        self, evaluation: Evaluation, source: str, group: str, *, rows: Sequence[SourcedUnit]
    ) -> Mapping[Digest, str]:
        rules = self._copied.get(source)
        return rules.refusals(evaluation, group, rows) if rules is not None else {}

    def _differing_withdrawals(self, current: ActualPublication) -> set[str]:
        """Return groups that upstream withdrew, or gave back, since the last evaluation."""
        before: set[str] = set()
        if current.verdict.units:
            before = self.reader.quarantined_groups(current.id, current.number)
        return before ^ self._withdrawn_names

    @property
    def _withdrawn_names(self) -> set[str]:
        return set().union(*self._withheld_groups.values())

    def _due(self, previous: FilterVerdict) -> bool:
        """Return True if time may have changed what was decided."""
        return previous.reconsider_at is not None and previous.reconsider_at <= self._now

    def _evaluation_of_others(self, current: ActualPublication, changed: set[str]) -> Evaluation:
        """Start with what is recorded of the groups that did not change."""
        recorded = self.recorded(current)
        units = {digest: unit for digest, unit in recorded.items() if unit.group not in changed}
        return Evaluation(self._now, units, current.verdict.reconsider_at)

    def _skipped_sources(self) -> frozenset[str]:
        """Return the sources whose units the filters of the repository have let in already.

        Empty where the publication has filters of its own, or where the repository keeps what its
        sources no longer offer.
        """
        own_filters = any(filter_.meta.name not in self._of_repository for filter_ in self._filters)
        if self._repository.mode != MIRROR or own_filters:
            return frozenset()
        return frozenset(
            source.id for source in self._repository.sources if source.kind is not SourceKind.UPLOAD
        )

    def _groups_to_evaluate(
        self, version: RepositoryVersion, changed: list[str] | None, skipped: frozenset[str]
    ) -> list[str]:
        """Return the groups, of those that `changed` if known, with units of other sources."""
        if skipped:
            names = self._withdrawn_names
            others = self.reader.groups_of_others(
                version.repository_id, version.number, skipped, names=changed
            )
            return sorted(names.intersection(names if changed is None else changed).union(others))
        if changed is not None:
            return changed
        return list(self.reader.group_names(version.repository_id, version.number))

    def _evaluate_groups(
        self,
        evaluation: Evaluation,
        groups: Iterable[tuple[str, Sequence[SourcedUnit]]],
        *,
        skipped: frozenset[str],
    ) -> None:
        with self._session.watch(self._call) as alive, plugin_faults(self._call):
            selections = self._selections()
            for group, rows in groups:
                alive()
                self._evaluate_group(evaluation, group, rows, skipped=skipped, by=selections)

    def _sourced_units(
        self, version: RepositoryVersion, groups: Sequence[str]
    ) -> Iterator[tuple[str, list[SourcedUnit]]]:
        for start in range(0, len(groups), BATCH):
            batch = groups[start : start + BATCH]
            yield from self.reader.sourced_units(
                version.repository_id, version.number, batch
            ).items()

    def _evaluate_group(
        self,
        evaluation: Evaluation,
        group: str,
        rows: Sequence[SourcedUnit],
        *,
        skipped: frozenset[str],
        by: SourceSelections,
    ) -> None:
        """Evaluate each source by itself; a unit that passes as one source's is shown."""
        passed = {
            source for source in skipped if group not in self._withheld_groups.get(source, ())
        }
        accepted = {row.digest for row in rows if row.source in passed}
        refused: dict[Digest, WithheldUnit] = {}
        for source in sorted({row.source for row in rows} - passed):
            of_source = [row for row in rows if row.source == source]
            reasons = self._reasons(evaluation, source, group, rows=of_source, by=by)
            for row, reason in zip(of_source, reasons, strict=True):
                if reason is None:
                    accepted.add(row.digest)
                else:
                    refused[row.digest] = WithheldUnit(
                        group, row.unit.type, row.unit.key, row.digest, reason
                    )
        evaluation.units.update(
            (digest, unit) for digest, unit in refused.items() if digest not in accepted
        )

    def _reasons(
        self,
        evaluation: Evaluation,
        source: str,
        group: str,
        *,
        rows: Sequence[SourcedUnit],
        by: SourceSelections,
    ) -> list[str | None]:
        """Return why each unit that a source brought is withheld, None where it is shown."""
        if group in self._withheld_groups.get(source, ()):
            return [QUARANTINED] * len(rows)
        missing: list[list[str]] = [[] for _ in rows]
        units = [
            by.with_metadata(self._session, row, paths)
            for row, paths in zip(rows, missing, strict=True)
        ]
        reasons = by.reasons(evaluation, source, group, units=units)
        copied = self._copied_refusals(evaluation, source, group, rows=rows)
        return [
            copied.get(row.digest) or (None if self._planning and paths else reason)
            for row, reason, paths in zip(rows, reasons, missing, strict=True)
        ]


def _result(units: Units, rules: Digest | None, reconsider_at: datetime | None) -> FilterResult:
    withheld = Digest.of_value(sorted(str(digest) for digest in units)) if units else None
    return FilterResult(FilterVerdict(rules, withheld, len(units), reconsider_at), units)
