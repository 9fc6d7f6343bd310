"""Rules that go along with copied content: what its base withholds, a copy does not serve.

A unit that was copied obeys the filters of the repository that it came from as it does there: with
the options of a source where a source brought it, without where it was uploaded, and by the filters
of the repository behind that one where it was copied there as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cached_property

from reconciler.database import SourcedUnit
from reconciler.engine.session.session import Session
from reconciler.engine.sources.group_evaluation import Evaluation, SourceSelections
from reconciler.engine.sources.pins import Pins, pins_by_source, pins_digest
from reconciler.engine.sources.selection import plain_options
from reconciler.model import DesiredState, Digest, Filter, Repository, SourceKind

_COPIED = f"{SourceKind.REPOSITORY.value}:"


class CopiedRules:
    """The filters of one repository, on what was copied from it.

    Args:
        base: The repository that is copied from.
        applied: Names of filters that are applied to the copy in any case.
        behind: Names of the repositories between the copy and this one.
    """

    def __init__(
        self,
        session: Session,
        desired: DesiredState,
        base: Repository,
        *,
        applied: Collection[str],
        now: datetime,
        behind: Collection[str] = (),
    ) -> None:
        self._session = session
        self._desired = desired
        self._base = base
        self._now = now
        self._filters: Sequence[Filter] = [
            filter_ for filter_ in desired.filters_of(base) if filter_.meta.name not in applied
        ]
        self._applied = {*applied, *(filter_.meta.name for filter_ in self._filters)}
        self._behind = {*behind, base.meta.name}
        self._bases: dict[str, CopiedRules | None] = {}

    @cached_property
    def digest(self) -> Digest | None:
        """Digest of the filters that go along, here and behind; None where there are none."""
        own = [[filter_.meta.name, plain_options(filter_.options)] for filter_ in self._filters]
        pinned = pins_digest(self._pins)
        return rules_digest([*own, str(pinned)] if pinned else own, self._rules_behind)

    def refusals(
        self, evaluation: Evaluation, group: str, rows: Sequence[SourcedUnit]
    ) -> dict[Digest, str]:
        """Return which of these units of a group the repository withholds, with the reasons.

        A unit that passes as what one source of the repository brought is served there. One that
        this very run brings there has passed already.
        """
        if self.digest is None or self._repository_id is None:
            return {}
        digests = [row.digest for row in rows]
        by_source = self._session.reader.unit_sources(self._repository_id, digests)
        refused: dict[Digest, str] = {}
        accepted: set[Digest] = set()
        for source, of_source in sorted(by_source.items()):
            units = [row for row in rows if row.digest in of_source]
            reasons = self._of_source(evaluation, source, group, units=units)
            refused |= reasons
            accepted |= {row.digest for row in units} - reasons.keys()
        return {digest: reason for digest, reason in refused.items() if digest not in accepted}

    def _of_source(
        self, evaluation: Evaluation, source: str, group: str, *, units: Sequence[SourcedUnit]
    ) -> dict[Digest, str]:
        refused = self._by_filters(evaluation, source, group, units=units) if self._filters else {}
        behind = self._rules_of(source)
        if behind is not None:
            left = [row for row in units if row.digest not in refused]
            refused |= behind.refusals(evaluation, group, left)
        return refused

    def _by_filters(
        self, evaluation: Evaluation, source: str, group: str, *, units: Sequence[SourcedUnit]
    ) -> dict[Digest, str]:
        declared = [self._selections.with_metadata(self._session, row) for row in units]
        reasons = self._selections.reasons(evaluation, source, group, units=declared)
        return {
            row.digest: f"{reason}, as in repository {self._base.meta.name}"
            for row, reason in zip(units, reasons, strict=True)
            if reason is not None
        }

    def _rules_of(self, source: str) -> CopiedRules | None:
        if source not in self._bases:
            self._bases[source] = rules_of_source(
                self._session,
                self._desired,
                source,
                applied=self._applied,
                now=self._now,
                behind=self._behind,
            )
        return self._bases[source]

    @cached_property
    def _rules_behind(self) -> list[CopiedRules]:
        recorded = (
            self._session.reader.committed_sources(self._repository_id)
            if self._repository_id is not None
            else {}
        )
        sources = {*(source.id for source in self._base.sources), *recorded}
        return [rules for name in sorted(sources) if (rules := self._rules_of(name)) is not None]

    @cached_property
    def _repository_id(self) -> int | None:
        return self._session.reader.repository_ids().get(self._base.meta.name)

    @cached_property
    def _selections(self) -> SourceSelections:
        importer = self._session.registry.importer(self._base.type)
        return SourceSelections.of(
            self._session, importer, self._filters, now=self._now, pins=self._pins
        )

    @cached_property
    def _pins(self) -> Pins:
        """Pins of the sources of the repository, where its filters may drop anything."""
        if not self._filters:
            return {}
        return pins_by_source(self._session, self._desired, self._base, now=self._now)


def rules_of_source(
    session: Session,
    desired: DesiredState,
    source: str,
    *,
    applied: Collection[str],
    now: datetime,
    behind: Collection[str] = (),
) -> CopiedRules | None:
    """Return the rules that go along with what a source brings; None where none do.

    Args:
        source: The ID of the source.
        applied, behind: As of CopiedRules.
    """
    name = source.removeprefix(_COPIED)
    base = desired.repository(name) if source.startswith(_COPIED) else None
    if base is None or name in behind:
        return None
    rules = CopiedRules(session, desired, base, applied=applied, now=now, behind=behind)
    return rules if rules.digest is not None else None


def rules_digest(own: object, copied: Iterable[CopiedRules]) -> Digest | None:
    """Return the digest of rules with those behind them; None where there are none at all."""
    behind = [str(rules.digest) for rules in copied]
    return Digest.of_value([own, behind]) if own or behind else None
