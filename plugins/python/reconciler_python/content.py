"""The content types: a distribution (one file), and a project with a noteworthy status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, BinaryIO

from packaging.version import InvalidVersion, Version

from reconciler.plugin import (
    ActiveFilter,
    Artifact,
    ContentType,
    Decision,
    Details,
    StoredUnit,
    Summary,
    TraceStep,
    Unit,
    sanitize,
)
from reconciler_python.dependencies.unmet_requirements import measured_otherwise
from reconciler_python.matching.subjects import matches_subject
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.reading.core_metadata import metadata_of
from reconciler_python.reading.filenames import WHEEL, project_name
from reconciler_python.reading.units import DISTRIBUTION, PROJECT, is_variants_index
from reconciler_python.reading.upload_times import upload_time
from reconciler_python.selecting.evidence_facts import with_stored_evidence
from reconciler_python.selecting.marks import MARKED
from reconciler_python.selecting.selection import (
    ProjectSelection,
    needs_first_seen,
    project_removal_reason,
    removal_reason,
    trace_project,
)


class Distribution(ContentType[SelectionOptions, FilterOptions]):
    """One file of a project. Key: the filename; group: the normalised project name."""

    id = DISTRIBUTION
    plural = "distributions"
    revision = 2

    @classmethod
    def select(  # noqa: PLR0917  # plugin API 1.x
        cls,
        group: str,
        units: Sequence[Unit],
        options: SelectionOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
        now: datetime,
    ) -> Iterable[Decision]:
        failure = measured_otherwise(group, units, options)
        if failure is not None:
            raise failure
        return ProjectSelection(group, options, filters, now=now).decide(units)

    @classmethod
    def trace(  # noqa: PLR0917  # plugin API 1.x
        cls,
        group: str,
        units: Sequence[Unit],
        traced: Sequence[Unit],
        options: SelectionOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
        now: datetime,
    ) -> Iterable[Iterable[TraceStep]]:
        return ProjectSelection(group, options, filters, now=now).trace(units, traced)

    @classmethod
    def trace_group(
        cls,
        group: str,
        options: SelectionOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
    ) -> Iterable[TraceStep]:
        return trace_project(group, options, filters)

    @classmethod
    def matches(cls, group: str, unit: Unit | StoredUnit, subject: str) -> bool:
        return matches_subject(group, unit, subject)

    @classmethod
    def load_metadata(
        cls,
        unit: Unit,
        filters: Sequence[ActiveFilter[FilterOptions]],
        read: Callable[[str], bytes | None],
    ) -> Unit:
        return with_stored_evidence(unit, filters, read)

    @classmethod
    def needs_first_seen(
        cls,
        units: Sequence[Unit],
        options: SelectionOptions | None,
        filters: Sequence[ActiveFilter[FilterOptions]],
    ) -> Iterable[Unit]:
        return needs_first_seen(units, options, filters)

    @classmethod
    def pinning_options(cls, options: SelectionOptions) -> SelectionOptions | None:
        """Return the pins of a source: of lock files, of `include` and of `files`."""
        return options.pinning_options()

    @classmethod
    def refuse_replacement(
        cls, before: StoredUnit, after: Unit, options: SelectionOptions | None
    ) -> str | None:
        """Return why a file may not be replaced by other bytes under its filename; None if it may.

        An index that replaces bytes is broken or compromised.
        """
        if options is not None and options.substitution == "allow":
            return None
        if is_variants_index(after):  # it changes with each variant that is uploaded
            return None
        old, new = _file_digest(before), _file_digest(after)
        if old == new:
            return None
        return (
            f"upstream replaced its bytes: sha256 {old[:12]} is now {new[:12]} (`substitution:"
            " allow` would follow)"
        )

    @classmethod
    def removal_reason(
        cls, unit: StoredUnit, options: SelectionOptions | None, refused: str
    ) -> str:
        return removal_reason(unit, options, refused)

    @classmethod
    def summary(cls, unit: Unit | StoredUnit) -> Summary:
        return Summary(unit.metadata["version"], unit.metadata["packageType"])

    @classmethod
    def details(cls, unit: StoredUnit) -> Details:
        metadata = unit.metadata
        yanked = metadata.get("yanked")
        words = f"yanked: {_one_line(yanked)}" if isinstance(yanked, str) and yanked else "yanked"
        facts = {"Requires Python": str(metadata.get("requiresPython") or "")}
        moment = upload_time(metadata.get("uploadTime"))
        facts["Uploaded"] = "" if moment is None else moment.strftime("%Y-%m-%d %H:%M")
        marks = (words,) if yanked else ()
        return Details(
            marks,
            {name: text for name, text in facts.items() if text},
            _order(str(metadata.get("version", ""))),
        )

    @classmethod
    def describe_change(cls, before: StoredUnit, after: Unit) -> str:
        changes = []
        if _file_digest(before) != _file_digest(after):
            changes.append("bytes replaced upstream")
        names = sorted(
            name
            for name in {*before.metadata, *after.metadata}
            if not name.startswith("_") and name != MARKED
        )
        by_us = MARKED in after.metadata
        changes += [
            _change(name, before.metadata.get(name), after.metadata.get(name), by_us=by_us)
            for name in names
        ]
        if changes and not any(changes) and (MARKED in before.metadata) != by_us:
            return "yanked here as well" if by_us else "yanked upstream alone"
        return ", ".join(change for change in changes if change) or "size changed"

    @classmethod
    def extractable(cls, unit: StoredUnit) -> Sequence[Artifact]:
        """Return the core metadata of every wheel, and of an sdist where upstream declares it."""
        beside = f"{unit.key}.metadata"
        is_declared = any(artifact.path == beside for artifact in unit.artifacts)
        if unit.metadata["packageType"] == WHEEL or is_declared:
            return [Artifact(beside, within=unit.key)]
        return []

    @classmethod
    def extract(cls, unit: Unit, artifact: Artifact, container: BinaryIO) -> bytes | None:
        return metadata_of(unit, container)


class Project(ContentType[SelectionOptions, FilterOptions]):
    """The state of a project as a whole (PEP 792): archived, deprecated, with its reason.

    Key: the project name.
    """

    id = PROJECT
    plural = "projects"
    kept_with = DISTRIBUTION

    @classmethod
    def matches(cls, group: str, unit: Unit | StoredUnit, subject: str) -> bool:
        """Return True if the subject is the project; it has no version for a specifier."""
        return group == project_name(subject)

    @classmethod
    def removal_reason(
        cls, unit: StoredUnit, options: SelectionOptions | None, refused: str
    ) -> str:
        return project_removal_reason(unit.group, options, refused)

    @classmethod
    def details(cls, unit: StoredUnit) -> Details:
        return Details((_status(unit.metadata),))

    @classmethod
    def describe_change(cls, before: StoredUnit, after: Unit) -> str:
        return f"status {_status(before.metadata)} -> {_status(after.metadata)}"


def _order(version: str) -> tuple[bool, Version | str]:
    """Return where a version stands among those of a project: the greatest is the newest."""
    try:
        return True, Version(version)
    except InvalidVersion:
        return False, version


def _file_digest(unit: Unit | StoredUnit) -> str:
    return next((artifact.sha256 for artifact in unit.artifacts if artifact.path == unit.key), "")


def _change(name: str, before: Any, after: Any, *, by_us: bool) -> str:
    if before == after:
        return ""
    if name == "yanked":
        if not after:
            return "no longer yanked"
        words = "yanked" if by_us else "yanked upstream"
        return f'{words}: "{_one_line(after)}"' if isinstance(after, str) else words
    if name == "requiresPython":
        return f"requires-python {_one_line(before or 'any')} -> {_one_line(after or 'any')}"
    labels = {
        "coreMetadata": "core metadata",
        "uploadTime": "upload time",
        "packageType": "package type",
        "extra": "further keys",
    }
    return f"{labels.get(name, name)} changed"


def _status(metadata: dict[str, Any]) -> str:
    reason = metadata.get("reason")
    return _one_line(metadata["status"]) + (f' ("{_one_line(reason)}")' if reason else "")


def _one_line(text: str) -> str:
    """Return a text of upstream for one line of a plan."""
    return sanitize(text, 200)
