"""Selection by a source: `include`, `files`, `requirements` and dependencies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.plugin import StoredUnit, TraceStep, Unit
from reconciler_python.matching.rules import Matcher
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.reading.pins import pins_version
from reconciler_python.selecting.checks import SOURCE, Check

NO_MATCH = "matches no "
PINNED: Final = "_pinned"  # as the core says it of units that a source pins
PULLED_BY: Final = "_pulledBy"
"""Transient key of a distribution's metadata: the requirements that depend on it, as text."""


class SelectedCheck(Check):
    """In by any of the keys; where none of them is written, everything is in.

    `prereleases`: specifiers of `include` mean them, too.
    """

    def __init__(self, project: str, options: SelectionOptions, *, prereleases: bool) -> None:
        super().__init__(SOURCE, "include")
        self.rule = ""  # the reason names no value
        self._include = (
            Matcher(options.included, project, prereleases=prereleases)
            if options.included
            else None
        )
        self._files = options.single_files.for_project(project) if options.files else ()
        self._wanted = options.required.for_project(project) if options.requirements else ()
        self._refusal, self._refusing = no_match_text(options), selecting_key(options)
        self.silent = self._include is not None and self._include.always

    def reason(self, unit: Unit | StoredUnit) -> str | None:
        version, filename = unit.metadata["version"], unit.key
        if self._include is not None and self._include.find(version, filename) is not None:
            return None
        if any(file.matches(version, filename) for file in self._files):
            return None
        if any(
            requirement.matches(version, filename, unit.artifacts) for requirement in self._wanted
        ):
            return None
        return None if unit.metadata.get(PULLED_BY) else self._refusal

    def pins(self, unit: Unit) -> bool:
        """Return True if a lock, a pin or an entry of `files` names the file or its release."""
        version, filename = unit.metadata["version"], unit.key
        included = self._include.find_all(version, filename) if self._include is not None else ()
        return (
            any(rule.filename or pins_version(rule.specifiers) for rule in included)
            or any(file.is_pin and file.matches(version, filename) for file in self._files)
            or any(
                requirement.is_pin and requirement.matches(version, filename, unit.artifacts)
                for requirement in self._wanted
            )
        )

    def steps(self, unit: Unit) -> Iterator[TraceStep]:
        version, filename, passed = unit.metadata["version"], unit.key, False
        for step in self._passing(version, filename, unit):
            passed = True
            yield step
        if not passed:
            yield SOURCE.step(False, self._refusal, self._refusing)

    def _passing(self, version: str, filename: str, unit: Unit) -> Iterator[TraceStep]:
        for rule in self._include.find_all(version, filename) if self._include is not None else ():
            yield SOURCE.step(True, f'included by "{rule.text}"', "include", rule.index)
        for file in self._files:
            if file.matches(version, filename):
                yield SOURCE.step(True, f'one of the files: "{file.text}"', "files", file.index)
        for requirement in self._wanted:
            if requirement.matches(version, filename, unit.artifacts):
                yield SOURCE.step(
                    True, f'required by "{requirement.text}" ({requirement.place})', "requirements"
                )
        for text in unit.metadata.get(PULLED_BY) or ():
            yield SOURCE.step(True, f"depended on: {text}", "dependencies")


def is_pinned(unit: Unit) -> bool:
    """Return True if the core says that a source pins the file, whose options do not count here."""
    return PINNED in unit.metadata


def no_match_text(options: SelectionOptions) -> str:
    """Return the reason of a file that none of the keys means: `matches no include`."""
    written = {
        "include": options.included,
        "file": options.files,
        "requirement": options.requirements,
        "dependency": options.dependencies,
    }
    return NO_MATCH + " or ".join(word for word, value in written.items() if value)


def selecting_key(options: SelectionOptions) -> str:
    """Return the first written key that selects something.

    That is where to look when none of them means a file.
    """
    return next(
        (key for key in ("include", "files", "requirements") if getattr(options, key)), "include"
    )


def selects_part(options: SelectionOptions) -> bool:
    """Return True if the source takes less than everything."""
    return bool(options.included or options.files or options.requirements)
