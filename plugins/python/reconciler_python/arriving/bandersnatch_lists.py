"""The lists of `bandersnatch.conf`: which projects and releases are allowed and blocked.

Each filter plugin that is enabled narrows what the others let through; a list of a plugin that is
not enabled counts for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import reduce
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from reconciler.plugin import Description, Malformed, sanitize
from reconciler_python.arriving.draft_parts import Remarks
from reconciler_python.arriving.settings_files import LARGEST, Line, Option, Settings
from reconciler_python.reading.bounded_requirements import read_requirement
from reconciler_python.reading.filenames import project_name

_GLOB_PATTERN = re.compile(r"\^?((?:[a-z0-9-]|\\[.-]|\.[*+])+)(\$?)")

Specifiers = dict[str, list[str]]
"""Specifiers by project: a release passes that one of them means; an empty one means all."""


class Filters:
    """The filter plugins that a configuration enables."""

    def __init__(self, settings: Settings) -> None:
        enabled = settings.take("plugins", "enabled")
        self._names = {line.text for line in enabled.lines if line.text} if enabled else set()

    def has(self, *names: str) -> bool:
        """Return True if one of these plugins is enabled."""
        return "all" in self._names or any(name in self._names for name in names)

    def unknown(self, known: Iterable[str]) -> list[str]:
        """Return the enabled plugins that are none of bandersnatch's own."""
        return sorted(self._names - {"all", *known})


class Configuration(NamedTuple):
    """A configuration as it is read, and what is remarked on it."""

    description: Description
    settings: Settings
    filters: Filters
    remarks: Remarks

    def lose(self, option: Option, text: str, line: int = 0) -> None:
        """Remember that nothing stands for an option, or for a line of it."""
        self.remarks.lose(option.title, text, self.settings.place(line or option.number))

    def differ(self, option: Option, text: str) -> None:
        """Remember that something nearly equal stands for an option."""
        self.remarks.differ(option.title, text, self.settings.place(option.number))


class Selected(NamedTuple):
    """Projects and releases that pass the lists.

    `include` is None for everything; `requirements`: files that every sync reads.
    """

    include: Specifiers | None
    requirements: list[str]


def allowed(configuration: Configuration) -> Selected:
    """Return what the allow lists let through. Raises Malformed."""
    settings, filters = configuration.settings, configuration.filters
    packages = settings.take("allowlist", "packages")
    written = _specifiers(settings, packages)
    lists: list[Specifiers] = []
    if packages is not None and not filters.has("allowlist_project", "allowlist_release"):
        configuration.lose(
            packages,
            "neither `allowlist_project` nor `allowlist_release` is enabled, so bandersnatch did"
            " not use the list",
        )
    elif written and filters.has("allowlist_release"):
        lists.append(written)
    elif written:
        lists.append({name: [""] for name in written})
    files = _requirement_files(configuration)
    pinned = filters.has("project_requirements_pinned")
    if pinned and files and not lists:
        return Selected(None, [str(path) for path in files])
    if files:
        lists.append(_of_files(files, pinned=pinned))
    if not lists:
        return Selected(None, [])
    include = reduce(_intersection, lists)
    if not include:
        raise Malformed(
            f"{configuration.description.shown()}: its allow lists let no project through",
            hint="each enabled plugin narrows the lists of the others",
        )
    return Selected(include, [])


def blocked(configuration: Configuration) -> list[str]:
    """Return what `exclude` says in place of the block lists. Raises Malformed."""
    settings, filters = configuration.settings, configuration.filters
    packages = settings.take("blocklist", "packages")
    exclude: list[str] = []
    for name, specifiers in _specifiers(settings, packages).items():
        for specifier in specifiers:
            if filters.has("blocklist_release") or (
                not specifier and filters.has("blocklist_project")
            ):
                exclude.append(name + specifier)
            elif packages is not None:
                configuration.lose(
                    packages, f"`{name}{specifier}` had no effect: the plugin for it is not enabled"
                )
    return exclude + _blocked_patterns(configuration)


def _blocked_patterns(configuration: Configuration) -> list[str]:
    settings, filters = configuration.settings, configuration.filters
    globs = []
    option = settings.take("filter_regex", "packages")
    if option is not None and filters.has("regex_project"):
        for line in _patterns(option):
            glob = glob_of(line.text)
            if glob is not None:
                globs.append(glob)
            else:
                text = f"`{line.text}` is no plain name glob; name the projects in `exclude`"
                configuration.lose(option, text, line.number)
    option = settings.take("filter_regex", "releases")
    if option is not None and filters.has("regex_release"):
        for line in _patterns(option):
            text = (
                f"`{line.text}`: versions are not matched by patterns; `prereleases`,"
                " `devReleases`, or `exclude` with a specifier may say it"
            )
            configuration.lose(option, text, line.number)
    return globs


def _patterns(option: Option) -> list[Line]:
    return [line for line in option.lines if line.text]


def glob_of(pattern: str) -> str | None:
    """Return the glob that matches what a pattern matches at the start of a normalised name.

    None for a pattern that is more than letters, digits, hyphens and `.*`.
    """
    match = _GLOB_PATTERN.fullmatch(pattern)
    if match is None:
        return None
    body = match[1].replace("\\.", "-").replace("\\-", "-")
    body = body.replace(".*", "*").replace(".+", "?*")
    glob = body if match[2] else f"{body}*"
    return re.sub(r"\*+", "*", glob) if glob.strip("*?") else None


def _specifiers(settings: Settings, option: Option | None) -> Specifiers:
    """Return the requirements of a list. Raises Malformed with the line of one that is none."""
    result: Specifiers = {}
    for line in option.entries() if option is not None else ():
        try:
            _add(result, read_requirement(line.text))
        except ValueError:
            raise settings.fault(
                line.number,
                f"`{sanitize(line.text, 80)}` is no requirement",
                "a project, with or without versions: `foo>=1.0,<2`",
            ) from None
    return result


def _add(result: Specifiers, requirement: Requirement) -> None:
    name = project_name(requirement.name)
    if name is None:
        raise ValueError(requirement.name)
    result.setdefault(name, []).append(str(requirement.specifier))


def _requirement_files(configuration: Configuration) -> list[Path]:
    """Return the requirement files that are there."""
    description, settings, filters, _ = configuration
    option = settings.take("allowlist", "requirements")
    folder = settings.take("allowlist", "requirements_path")
    if option is None:
        return []
    if not filters.has("project_requirements", "project_requirements_pinned"):
        configuration.lose(
            option, "no plugin for it is enabled, so bandersnatch did not read the files"
        )
        return []
    base = description.path.parent / (folder.text if folder else "")
    files = []
    for line in option.entries():
        paths = [path for path in _paths(base, line.text) if path.is_file()]
        files += paths
        if not paths:
            text = f"`{base / line.text}` is not there; name it in `requirements` of the source"
            configuration.lose(option, text, line.number)
    return files


def _paths(folder: Path, name: str) -> list[Path]:
    """Return the files that a name or a glob means; a glob means files of the folder itself."""
    if "*" not in name:
        return [folder / name]
    names = Description(folder).names() if folder.is_dir() else []
    return [folder / own for own in names if fnmatchcase(own, name)]


def _of_files(paths: Iterable[Path], *, pinned: bool) -> Specifiers:
    """Return what requirement files name, read line by line, as bandersnatch does."""
    result: Specifiers = {}
    for path in paths:
        file = Description(path)
        for number, line in enumerate(file.text(limit=LARGEST).splitlines(), 1):
            text = line.partition("#")[0].strip()
            if not text or text.startswith("-"):
                continue
            try:
                _add(result, read_requirement(text.partition(" --hash")[0].rstrip(" \\")))
            except ValueError:
                # the file may be another than was meant, and hold what must not be shown
                raise Malformed(f"{file.place(line=number)}: no requirement") from None
    return result if pinned else {name: [""] for name in result}


def _intersection(left: Specifiers, right: Mapping[str, list[str]]) -> Specifiers:
    """Return what both let through."""
    return {
        name: [
            ",".join(part for part in (specifier, other) if part)
            for specifier in left[name]
            for other in right[name]
        ]
        for name in left
        if name in right
    }
