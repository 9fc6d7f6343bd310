"""Evaluation of filters on units that are recorded, by the sources that brought them.

A source's own options have decided when it was read; filters decide again whenever something is
copied or published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from reconciler.database import SourcedUnit, WithheldUnit
from reconciler.engine.session.session import Session
from reconciler.engine.sources.members import declared_unit
from reconciler.engine.sources.pins import Pins, with_pins
from reconciler.engine.sources.repository_resolution import importer_class_of
from reconciler.engine.sources.selection import Selection, reconsider_time
from reconciler.engine.transfer.metadata_recovery import stored_bytes_reader
from reconciler.model import Digest, Filter, SourceKind, Unit
from reconciler.plugin import Decision
from reconciler.plugin.validation import Plugin

BESIDE = "nothing that it belongs to is shown"


@dataclass(slots=True)
class Evaluation:
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
class SourceSelections:
    """The selections that decide units, by who brought them.

    Attributes:
        uploads: The filters alone, without options of a source.
        sources: Default options of a source with the filters; None where options have no default.
        unfiltered: The same options without filters.
        pins: What each source names one by one.
    """

    uploads: Selection
    sources: Selection | None = None
    unfiltered: Selection | None = None
    pins: Pins = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        session: Session,
        importer: Plugin,
        filters: Sequence[Filter],
        *,
        now: datetime,
        pins: Pins,
    ) -> SourceSelections:
        """Return the selections for uploads and for units that a source brought.

        A source's own options keep their defaults here, which let everything in, but for what they
        pin. Where a default does not, that is not a filter's decision.
        """
        select = partial(Selection.of, session, importer, now=now)
        uploads = select(options=None, filters=filters)
        try:
            options = importer_class_of(importer).options()
        except ValueError:  # an option without a default
            return cls(uploads, pins=pins)
        filtered = select(options=options, filters=filters)
        return cls(uploads, filtered, select(options=options, filters=()), pins)

    def reasons(
        self, evaluation: Evaluation, source: str, group: str, *, units: Sequence[Unit]
    ) -> list[str | None]:
        """Return why each unit of `source` is kept out, None where it is let in."""
        units = with_pins(self.pins.get(source, ()), group, units)
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

    def with_metadata(
        self, session: Session, row: SourcedUnit, missing: list[str] | None = None
    ) -> Unit:
        """Return the unit with metadata that its content type restores from stored files.

        `missing`: takes the paths that it asks for and that are not in the store.
        """
        unit = declared_unit(row.unit)
        if not self.uploads.restores_metadata(unit.type):
            return unit
        return self.uploads.restore_metadata(
            unit, stored_bytes_reader(session.store, unit.artifacts, missing)
        )


def _reason(selection: Selection, decision: Decision | None) -> str | None:
    if decision is None:
        return BESIDE
    return None if decision.accepted else selection.reason(decision)
