"""Requirements of a source that its index cannot meet.

An unmet requirement is an error of that project, which keeps its committed content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from reconciler.plugin import Gone, Malformed, Unit, Withdrawn
from reconciler_python.matching.single_files import Selector, SingleFiles
from reconciler_python.options.conduit import Conduit
from reconciler_python.options.source_options import SelectionOptions
from reconciler_python.reading.units import is_installable
from reconciler_python.requirements.requirements import ProjectRequirement, Requirements

_NAMED: Final = 3  # versions and files that a message names
_NOTHING: Final[Mapping[str, str]] = {}


def unmet_requirement(
    conduit: Conduit,
    project: str,
    units: Iterable[Unit],
    *,
    kept_out: Mapping[str, str] = _NOTHING,
) -> Malformed | None:
    """Return the first entry of `requirements` or `files` that the index cannot meet.

    `units`: all that the index offers, before any rule; `kept_out`: reasons by filename, of files
    that could not become a unit. A name that an earlier source owns is never unmet.
    """
    options = conduit.options
    if not (options.requirements or options.files) or conduit.owned_by_earlier_source(project):
        return None
    offered = [unit for unit in units if is_installable(unit)]
    return (
        _without_digest(options.required, project, offered)
        or _unmet(options.required, project, offered, kept_out=kept_out)
        or _unlisted(options, project, offered)
    )


def measured_otherwise(
    project: str, units: Iterable[Unit], options: SelectionOptions | None
) -> Malformed | None:
    """Return the error of files that were downloaded to be compared, and are not those asked for.

    `units`: all that the index offers. None where nothing was measured.
    """
    if options is None or not options.requirements:
        return None
    offered = [unit for unit in units if is_installable(unit)]
    if not any(
        artifact.sha256 and artifact.digests and artifact.path == unit.key
        for unit in offered
        for artifact in unit.artifacts
    ):
        return None
    return _without_digest(options.required, project, offered)


def missing_project_error(conduit: Conduit, project: str, gone: Gone) -> Exception:
    """Return the error to raise when the index has no such project.

    It is not `Gone` where releases of the project are asked for one by one.
    """
    options = conduit.options
    if isinstance(gone, Withdrawn) or conduit.owned_by_earlier_source(project):
        return gone
    requirements = options.required.for_project(project)
    selectors = _own(options.single_files, project)
    if not requirements and not selectors:
        return gone
    entry = (
        f"{requirements[0].place}: `{requirements[0].text}`"
        if requirements
        else _entry(selectors[0])
    )
    return Malformed(
        f"{entry}: the index has no such project ({gone})",
        hint=f"is the name right? {_elsewhere(project)}",
    )


def endless_dependencies_error(chain: str, count: int) -> Malformed:
    """Return the error to raise when projects always depend on further ones.

    `chain`: the last of them, and why it is looked at. `count`: of projects so far.
    """
    return Malformed(
        f"{chain}: dependencies without end, {count:,} projects so far",
        hint="`exclude` one of them, or leave out the releases that require it",
    )


def unreadable_metadata_error(filename: str, problem: Exception) -> Exception:
    """Return the same kind of error, which decides what becomes of the group."""
    if isinstance(problem, Malformed | Gone):
        return Malformed(
            f"`{filename}`: what it requires cannot be read: {problem}",
            hint=getattr(problem, "hint", None),
        )
    return problem


def _without_digest(
    requirements: Requirements, project: str, units: Sequence[Unit]
) -> Malformed | None:
    missing = requirements.missing(project, units)
    if not missing:
        return None
    digest, requirement = missing[0]
    more = f", nor {len(missing) - 1:,} more of those asked for" if len(missing) > 1 else ""
    return Malformed(
        f"`{project}`: the index offers no file with the digest {digest} of `{requirement.text}`"
        f" ({requirement.place}){more}",
        hint=f"lock again against this index; {_elsewhere(project)}",
    )


def _unmet(
    requirements: Requirements, project: str, units: Sequence[Unit], *, kept_out: Mapping[str, str]
) -> Malformed | None:
    unmet = requirements.unmet(project, units)
    if not unmet:
        return None
    why, hint = _why(unmet[0], project, units, kept_out=kept_out)
    more = (
        f"; nor has it anything for {len(unmet) - 1:,} more of the requirements on {project}"
        if len(unmet) > 1
        else ""
    )
    return Malformed(
        f"{unmet[0].place}: `{unmet[0].text}`: {why}{more}",
        hint=hint or f"require a release that the index has; {_elsewhere(project)}",
    )


def _why(
    requirement: ProjectRequirement,
    project: str,
    units: Sequence[Unit],
    *,
    kept_out: Mapping[str, str],
) -> tuple[str, str]:
    """Return why nothing meets a requirement, and a hint: empty for the usual one."""
    fitting = [unit for unit in units if requirement.contains(unit.metadata["version"])]
    if fitting and requirement.files:
        named = replace(requirement, specifiers=None)
        others = sorted(
            unit.metadata["version"]
            for unit in units
            if named.matches(unit.metadata["version"], unit.key, unit.artifacts)
        )
        return (
            (f"the digests are those of another release: {_few(others)}", "")
            if others
            else ("the index has none of its files", "")
        )
    if fitting:
        return (
            f"the index has no {' or '.join(sorted(requirement.package_types or ()))} of it",
            "`--only-binary` and `--no-binary` leave the others out",
        )
    final = replace(requirement, prereleases=True)
    early = [unit.metadata["version"] for unit in units if final.contains(unit.metadata["version"])]
    if early:
        hint = (
            f"name one in the requirement (`{project}=={early[-1]}`), or say `--pre` in a"
            " requirements file"
        )
        return f"only pre-releases match: {_few(early)}", hint
    if kept_out:
        key = min(kept_out)
        return (
            (
                f"the index has no such release that may come in; of {len(kept_out):,} kept out:"
                f" `{key}`: {kept_out[key]}"
            ),
            "",
        )
    return "the index has no such release" if units else "the index has no files of it", ""


def _unlisted(options: SelectionOptions, project: str, units: Sequence[Unit]) -> Malformed | None:
    for selector in _own(options.single_files, project):
        others = [name for name in selector.others if name != project]
        if any(
            options.included.concerns(name) or options.required.for_project(name) for name in others
        ):
            continue  # it may be a file of theirs
        if not any(selector.matches(unit.metadata["version"], unit.key) for unit in units):
            return Malformed(
                f"{_entry(selector)}: the index has no such file",
                hint=f"name a file that the index lists; {_elsewhere(project)}",
            )
    return None


def _own(files: SingleFiles, project: str) -> list[Selector]:
    return [selector for selector in files.for_project(project) if selector.project == project]


def _entry(selector: Selector) -> str:
    return f"`files[{selector.index}]`: `{selector.text}`"


def _elsewhere(project: str) -> str:
    return f"or take the project from another source, and `exclude: [{project}]` here"


def _few(texts: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(texts))
    return ", ".join(distinct[:_NAMED]) + (
        f" and {len(distinct) - _NAMED:,} more" if len(distinct) > _NAMED else ""
    )
