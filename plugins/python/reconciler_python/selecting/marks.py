"""Marks of a repository: yanked releases (PEP 592) and the status of projects (PEP 792).

A unit that a mark changes keeps under `marked` what it was before: the same keys, as upstream said
them. The filters decide about it as about one that upstream itself yanked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from reconciler.plugin import STATUS, YANK, Mark, OptionFault, Unit
from reconciler_python.matching.rules import parse_rule
from reconciler_python.matching.subjects import matches_subject
from reconciler_python.matching.subjects import projects as projects_of
from reconciler_python.reading.filenames import project_name
from reconciler_python.reading.units import DISTRIBUTION, PROJECT

__all__ = ["MARKED", "STATUSES", "read_mark", "with_marks", "without_marks"]

ACTIVE: Final = "active"
STATUSES: Final = (ACTIVE, "archived", "deprecated", "quarantined")
MARKED: Final = "marked"
_OF_PROJECT: Final = ("status", "reason")


def read_mark(mark: Mark) -> Mark:
    """Return a mark in its one spelling. Raises OptionFault."""
    what, groups = _release(mark.what) if mark.kind == YANK else _project(mark.what)
    if mark.kind == STATUS and mark.value not in STATUSES:
        raise OptionFault(
            f"`{mark.value}` is no status of a project", hint=f"one of {', '.join(STATUSES)}"
        )
    return Mark(mark.kind, what, groups, mark.value, mark.reason)


def with_marks(group: str, units: Sequence[Unit], marks: Iterable[Mark]) -> list[Unit]:
    """Return the units of a project under some marks."""
    kinds: dict[str, list[Mark]] = {YANK: [], STATUS: []}
    for mark in marks:
        kinds[mark.kind].append(mark)
    marked = [_yanked(group, unit, kinds[YANK]) for unit in units]
    if kinds[STATUS] and any(unit.type == DISTRIBUTION for unit in units):
        return _with_status(group, marked, kinds[STATUS][0])
    return marked


def without_marks(units: Iterable[Unit]) -> list[Unit]:
    """Return the units as they were before any mark."""
    restored = [_restored(unit) for unit in units]
    return [unit for unit in restored if not _says_nothing(unit)]


def _release(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the spelling of a release or a file, and its projects."""
    rule = parse_rule(text, filenames=True)
    if rule.filename:
        return rule.filename, tuple(projects_of(rule.filename))
    if rule.glob or rule.specifiers is None:
        raise OptionFault(
            f"`{text}` names no release",
            hint="a version (`django==5.0`, `django<5`) or a filename",
        )
    return f"{rule.project}{rule.specifiers}", (rule.project,)


def _project(text: str) -> tuple[str, tuple[str, ...]]:
    name = project_name(text.strip())
    if name is None:
        raise OptionFault(f"`{text}` is no project name", hint="`django`; it has no version here")
    return name, (name,)


def _yanked(group: str, unit: Unit, marks: Sequence[Mark]) -> Unit:
    mark = next((mark for mark in marks if matches_subject(group, unit, mark.what)), None)
    if mark is None or unit.type != DISTRIBUTION:
        return unit
    before = unit.metadata.get(MARKED) or {"yanked": unit.metadata.get("yanked", False)}
    return _with(unit, {**unit.metadata, "yanked": mark.reason or True, MARKED: before})


def _with_status(group: str, units: Sequence[Unit], mark: Mark) -> list[Unit]:
    """Return the units with the status of their project, where that is not plainly active."""
    project = next((unit for unit in units if unit.type == PROJECT), None)
    metadata = project.metadata if project is not None else {"status": ACTIVE}
    before = metadata.get(MARKED) or _said(metadata)
    said = {"status": mark.value, **({"reason": mark.reason} if mark.reason else {})}
    further = {key: value for key, value in metadata.items() if key not in (*_OF_PROJECT, MARKED)}
    kept = said if said == before else {**said, MARKED: before}
    changed = Unit(PROJECT, group, {**further, **kept})
    others = [unit for unit in units if unit.type != PROJECT]
    return others if _says_nothing(changed) else [changed, *others]


def _restored(unit: Unit) -> Unit:
    before = unit.metadata.get(MARKED)
    if before is None:
        return unit
    of_marks = {"yanked", MARKED} if unit.type == DISTRIBUTION else {*_OF_PROJECT, MARKED}
    further = {key: value for key, value in unit.metadata.items() if key not in of_marks}
    return _with(unit, {**further, **{key: value for key, value in before.items() if value}})


def _said(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {key: metadata[key] for key in _OF_PROJECT if key in metadata}


def _says_nothing(unit: Unit) -> bool:
    """Return True for a project that is plainly active: it has no unit."""
    return unit.type == PROJECT and unit.metadata == {"status": ACTIVE}


def _with(unit: Unit, metadata: dict[str, Any]) -> Unit:
    return Unit(unit.type, unit.key, metadata, unit.artifacts)
