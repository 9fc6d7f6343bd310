"""Marks of a repository on what it holds: those of its manifest, and those made by hand.

A mark is a rule like a filter: it changes what a source offers before filters decide about it, so
that a version holds what the manifest and the record say, whichever was first. The importer knows
what a mark means; see `Importer.with_marks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from reconciler.database import Reader
from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.errors import PluginFault
from reconciler.model import ActualRepository, Mark, MarkRecord, Repository, Unit
from reconciler.plugin import Importer


class Marks:
    """The marks of one repository; those of the manifest come first."""

    def __init__(
        self, importer: type[Importer], declared: Sequence[Mark], recorded: Iterable[MarkRecord]
    ) -> None:
        self._importer = importer
        self.declared = tuple(declared)
        self.recorded = tuple(recorded)
        self._by_group: dict[str, list[Mark]] = {}
        for mark in (*self.declared, *(record.mark for record in self.recorded)):
            for group in mark.groups:
                self._by_group.setdefault(group, []).append(mark)

    def of(self, group: str) -> Sequence[Mark]:
        """Return the marks that may be about something in a group."""
        return self._by_group.get(group, ())

    def applied(self, group: str, units: Sequence[Unit]) -> Sequence[Unit]:
        """Return units of a group under its marks; the same ones where there are none."""
        marks = self.of(group)
        if not marks or not units:
            return units
        return _units(self._importer.with_marks(group, units, marks), "with_marks")

    def on(self, response: SourceResponse) -> SourceResponse:
        """Return what a source offers, under the marks of its group."""
        units = self.applied(response.name, response.units)
        return response if units is response.units else replace(response, units=units)

    def restored(self, group: str, units: Sequence[Unit]) -> Sequence[Unit]:
        """Return units of a group as they were before any mark."""
        return _units(self._importer.without_marks(group, units), "without_marks")


def marks_of(
    reader: Reader,
    importer: type[Importer],
    repository: Repository,
    *,
    actual: ActualRepository | None,
) -> Marks:
    """Return the marks of a repository as it is declared and recorded."""
    recorded = reader.marks(actual.id) if actual is not None else []
    return Marks(importer, repository.marks, recorded)


def _units(answer: Any, method: str) -> list[Unit]:
    units = list(answer) if isinstance(answer, Sequence) else None
    if units is None or not all(isinstance(unit, Unit) for unit in units):
        raise PluginFault(f"`{method}` returns the units of the group, not {answer!r:.80}")
    return units
