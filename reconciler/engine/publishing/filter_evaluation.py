"""Evaluation of filters on a publication: the units that they withhold today.

Versions never change, and what is served obeys today's rules. The filters are therefore evaluated
again: on everything when the rules have changed or time alone may change a decision, else on the
groups that differ from the version that was evaluated last. Units that the sources of a mirror
brought are skipped where this very run has filtered them already by the same rules.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reconciler.database import Reader, SourcedUnit, WithheldUnit
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.publishing.version_view import RepositoryVersion
from reconciler.engine.session.session import Session
from reconciler.engine.sources.members import declared_unit
from reconciler.engine.sources.selection import Selection, reconsider_time
from reconciler.engine.transfer.metadata_recovery import stored_bytes_reader
from reconciler.model import (
    MIRROR,
    ActualPublication,
    DesiredState,
    Digest,
    Filter,
    FilterVerdict,
    Publication,
    SourceKind,
    Unit,
    pluralize,
)
from reconciler.plan import ResourceChange
from reconciler.plugin import ContentType, Decision, Importer
from reconciler.plugin.validation import Plugin

BATCH = 50  # groups whose units are read at once
BESIDE = "nothing that it belongs to is shown"

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
        self, session: Session, desired: DesiredState, publication: Publication, *, now: datetime
    ) -> None:
        self._session = session
        repository = desired.repository(publication.repository)
        assert repository is not None
        self._repository = repository
        self._filters: Sequence[Filter] = desired.filters_on(publication)
        self._of_repository = {
            filter_.meta.name for filter_ in desired.filters_of(self._repository)
        }
        self._now = now.astimezone(UTC)
        self._call = f"`select` for {publication.meta.ref}"

    @property
    def reader(self) -> Reader:
        return self._session.reader

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
        self, current: ActualPublication, version: RepositoryVersion, *, sources_filtered: bool
    ) -> FilterResult:
        """Evaluate the filters on a version of the repository.

        Args:
            current: The publication as recorded; what filters decided last is reused if it holds.
            version: The version that should be served.
            sources_filtered: This run has read all sources of the repository by today's filters,
                and `version` is the latest. What the plan removes is not withheld.

        Raises:
            PluginFault: A content type broke the contract of `select`.
        """
        if not self._filters:
            return FilterResult(FilterVerdict(), {})
        previous, rules = current.verdict, self._rules_digest(version.repository_id)
        reusable = previous.rules == rules and not self._due(previous)
        if reusable and current.version_digest == version.digest:
            return FilterResult(previous)
        evaluation, changed = _Evaluation(self._now), None
        if reusable and current.version is not None:
            changed = list(
                self.reader.changed_groups(version.repository_id, current.version, version.number)
            )
            evaluation = self._evaluation_of_others(current, set(changed))
        skipped = self._skipped_sources() if sources_filtered else frozenset()
        groups = self._groups_to_evaluate(version, changed, skipped)
        logger.debug("%s: %s to evaluate", self._call, pluralize(len(groups), "group"))
        self._evaluate_groups(evaluation, version, groups, skipped=skipped)
        return _result(evaluation.units, rules, evaluation.reconsider_at)

    def selection(self, options: Any = None, *, filters: bool = True) -> Selection:
        """Return a selection with these source options, with or without the filters."""
        return Selection.of(
            self._session.registry,
            self._importer,
            options=options,
            filters=self._filters if filters else (),
            now=self._now,
        )

    @property
    def _importer(self) -> Plugin:
        return self._session.registry.importer(self._repository.type)

    def _rules_digest(self, repository_id: int) -> Digest:
        return Digest.of_value([repository_id, self.selection().digest.hex])

    def _due(self, previous: FilterVerdict) -> bool:
        """Return True if time may have changed what was decided."""
        return previous.reconsider_at is not None and previous.reconsider_at <= self._now

    def _evaluation_of_others(self, current: ActualPublication, changed: set[str]) -> _Evaluation:
        """Start with what is recorded of the groups that did not change."""
        recorded = self.reader.withheld(current.id, current.number) if current.verdict.units else {}
        units = {digest: unit for digest, unit in recorded.items() if unit.group not in changed}
        return _Evaluation(self._now, units, current.verdict.reconsider_at)

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
            return self.reader.groups_of_others(
                version.repository_id, version.number, skipped, names=changed
            )
        if changed is not None:
            return changed
        return list(self.reader.group_names(version.repository_id, version.number))

    def _evaluate_groups(
        self,
        evaluation: _Evaluation,
        version: RepositoryVersion,
        groups: Sequence[str],
        *,
        skipped: frozenset[str],
    ) -> None:
        with self._session.watch(self._call) as alive, plugin_faults(self._call):
            selections = self._selections()
            for group, rows in self._sourced_units(version, groups):
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

    def _selections(self) -> _Selections:
        """Return the selections for uploads and for units that a source brought.

        A source's own options have decided when it was read: here they keep their defaults, which
        let everything in. Where a default does not, that is not a filter's decision.
        """
        uploads = self.selection()
        try:
            options = self.importer_class.options()
        except ValueError:  # an option without a default
            return _Selections(uploads)
        return _Selections(uploads, self.selection(options), self.selection(options, filters=False))

    def _evaluate_group(
        self,
        evaluation: _Evaluation,
        group: str,
        rows: Sequence[SourcedUnit],
        *,
        skipped: frozenset[str],
        by: _Selections,
    ) -> None:
        """Evaluate each source by itself; a unit that passes as one source's is shown."""
        accepted = {row.digest for row in rows if row.source in skipped}
        refused: dict[Digest, WithheldUnit] = {}
        for source in sorted({row.source for row in rows} - skipped):
            of_source = [row for row in rows if row.source == source]
            units = [self._with_metadata(row, by.uploads) for row in of_source]
            reasons = by.reasons(evaluation, source, group, units=units)
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

    def _with_metadata(self, row: SourcedUnit, selection: Selection) -> Unit:
        """Return the unit with metadata that its content type restores from stored files."""
        unit = declared_unit(row.unit)
        if not selection.restores_metadata(unit.type):
            return unit
        return selection.restore_metadata(
            unit, stored_bytes_reader(self._session.store, unit.artifacts)
        )


@dataclass(slots=True)
class _Evaluation:
    """The state of one evaluation: withheld units, and when the earliest decision may change."""

    now: datetime
    units: dict[Digest, WithheldUnit] = field(default_factory=dict)
    reconsider_at: datetime | None = None

    def reasons(self, selection: Selection, group: str, units: Sequence[Unit]) -> list[str | None]:
        """Return why each unit is kept out, None where it is let in."""
        decisions = {id(decision.unit): decision for decision in selection.decide(group, units)}
        for decision in decisions.values():
            if (
                decision.reconsider_at is not None
                and (when := reconsider_time(decision)) > self.now
            ):
                self.reconsider_at = min(when, self.reconsider_at or when)
        return [_reason(selection, decisions.get(id(unit))) for unit in units]


@dataclass(frozen=True, slots=True)
class _Selections:
    """The selections that decide units, by who brought them.

    Attributes:
        uploads: The filters alone, without options of a source.
        sources: Default options of a source with the filters; None where options have no default.
        unfiltered: The same options without filters.
    """

    uploads: Selection
    sources: Selection | None = None
    unfiltered: Selection | None = None

    def reasons(
        self, evaluation: _Evaluation, source: str, group: str, *, units: Sequence[Unit]
    ) -> list[str | None]:
        """Return why each unit of `source` is kept out, None where it is let in."""
        if source == SourceKind.UPLOAD or self.sources is None or self.unfiltered is None:
            return evaluation.reasons(self.uploads, group, units)
        reasons = evaluation.reasons(self.sources, group, units)
        if all(reason is None for reason in reasons):
            return reasons
        unfiltered = evaluation.reasons(self.unfiltered, group, units)
        if all(reason is None for reason in unfiltered):
            return reasons
        filters_alone = evaluation.reasons(self.uploads, group, units)
        return [
            by_filters if by_options is not None else reason
            for reason, by_options, by_filters in zip(
                reasons, unfiltered, filters_alone, strict=True
            )
        ]


def _reason(selection: Selection, decision: Decision | None) -> str | None:
    if decision is None:
        return BESIDE
    return None if decision.accepted else selection.reason(decision)


def _result(units: Units, rules: Digest | None, reconsider_at: datetime | None) -> FilterResult:
    withheld = Digest.of_value(sorted(str(digest) for digest in units)) if units else None
    return FilterResult(FilterVerdict(rules, withheld, len(units), reconsider_at), units)
