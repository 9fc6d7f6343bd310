"""Subjects of a question: a filename, a project, or a requirement (`requests>=2.30`)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from reconciler.plugin import StoredUnit, Unit
from reconciler_python.reading.bounded_requirements import read_specifiers
from reconciler_python.reading.filenames import (
    FilenameReader,
    UnreadableFilename,
    possible_projects,
    project_name,
    stem_and_type,
)

# Extras, a URL and a marker say nothing about which releases are meant.
_REQUIREMENT = re.compile(
    r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\]\s*)?(?:@[^;]*|\(([^()]*)\)|([^\[\]()@;]*))\s*(?:;.*)?",
    re.DOTALL,
)


class _Requirement(NamedTuple):
    project: str
    specifiers: SpecifierSet


def projects(subject: str) -> list[str]:
    """Return the normalised projects that a subject may mean.

    Of a filename every name that it can stand for; of a requirement its project. Empty where it
    means no project.
    """
    parts = stem_and_type(subject)
    names = (
        [name for name in map(project_name, possible_projects(*parts)) if name is not None]
        if parts is not None and "-" in parts[0]
        else []
    )
    requirement = None if names else _requirement(subject)
    return list(dict.fromkeys(names)) or ([requirement.project] if requirement is not None else [])


def matches_subject(project: str, unit: Unit | StoredUnit, subject: str) -> bool:
    """Return True if the subject is this file, or a requirement that takes its version.

    Pre-releases count.
    """
    if unit.key == subject:
        return True
    requirement = _requirement(subject)
    if requirement is None or requirement.project != project:
        return False
    return not requirement.specifiers or _satisfies(project, unit, requirement.specifiers)


def _satisfies(project: str, unit: Unit | StoredUnit, specifiers: SpecifierSet) -> bool:
    try:
        written = unit.metadata.get("version") or FilenameReader(project).read(unit.key).version
        return specifiers.contains(Version(written), prereleases=True)
    except (ValueError, UnreadableFilename):
        return False


@lru_cache(maxsize=8)
def _requirement(subject: str) -> _Requirement | None:
    match = _REQUIREMENT.fullmatch(subject)
    name = project_name(match[1]) if match is not None else None
    if match is None or name is None:
        return None
    try:
        specifiers = read_specifiers((match[2] or match[3] or "").strip())
    except ValueError:
        return None
    return _Requirement(name, specifiers)
