"""The filter plugins of `bandersnatch.conf` that decide on releases and files."""

from __future__ import annotations

from typing import Any, Final

from reconciler_python.arriving.bandersnatch_lists import Configuration
from reconciler_python.arriving.package_kinds import FAMILIES, PACKAGE_TYPES, kept_keys
from reconciler_python.arriving.settings_files import Option
from reconciler_python.matching.interpreter_tags import is_version
from reconciler_python.reading.filenames import project_name

KNOWN: Final = frozenset(
    {
        "allowlist_project",
        "allowlist_release",
        "blocklist_project",
        "blocklist_release",
        "exclude_platform",
        "latest_release",
        "prerelease_release",
        "project_requirements",
        "project_requirements_pinned",
        "regex_project",
        "regex_project_metadata",
        "regex_release",
        "regex_release_file_metadata",
        "size_project_metadata",
        "version_range_project_metadata",
        "version_range_release_file_metadata",
        "versions_count_project_metadata",
    }
)
_NO_EQUAL: Final = {
    "regex_project_metadata": (
        "patterns over metadata have no equal; `licenses`, `exclude` or `include` may say it"
    ),
    "size_project_metadata": (
        "the size of a whole project is no rule here; `maxSize` bounds a single file, `latest` the"
        " number of releases"
    ),
    "versions_count_project_metadata": "the number of a project's releases is no rule here",
    "version_range_project_metadata": "ranges over a project's metadata have no equal",
}


def filter_keys(configuration: Configuration) -> dict[str, Any]:
    """Return the keys of the `filter` of a source."""
    settings, filters = configuration.settings, configuration.filters
    keys: dict[str, Any] = {}
    types = _packaged(configuration)
    families = _platforms(configuration)
    keys |= kept_keys(families, types)
    keys |= _requires_python(configuration)
    keys |= _latest(configuration)
    for section, text in _NO_EQUAL.items():
        options = settings.take_section(section)
        if filters.has(section) and options:
            configuration.lose(options[0], text)
    return keys


def prerelease_projects(configuration: Configuration) -> list[str] | None:
    """Return the projects whose pre-releases are left out; `[]` for all, None for none."""
    settings, filters = configuration.settings, configuration.filters
    option = settings.take("filter_prerelease", "packages")
    if not filters.has("prerelease_release"):
        return None
    lines = list(option.entries()) if option is not None else []
    names = [name for line in lines if (name := project_name(line.text)) is not None]
    for line in lines:
        if option is not None and project_name(line.text) is None:
            raise settings.fault(line.number, f"`{line.text[:80]}` is no project")
    return names


def _latest(configuration: Configuration) -> dict[str, Any]:
    settings, filters = configuration.settings, configuration.filters
    keep = settings.take("latest_release", "keep")
    order = settings.take("latest_release", "sort_by")
    if keep is None or not filters.has("latest_release"):
        return {}
    number = int(keep.text) if keep.text.isdecimal() and len(keep.text) < 7 else 0
    if number < 1:
        return {}
    text = (
        "here the releases are counted that pass everything else, final ones first; bandersnatch"
        " counts all, and always keeps the one that the index calls the latest"
    )
    configuration.differ(keep, text)
    if order is not None and order.text == "time":
        text = "releases are ordered by version, not by time"
        configuration.lose(order, text)
    return {"latest": number}


def _requires_python(configuration: Configuration) -> dict[str, Any]:
    settings, filters = configuration.settings, configuration.filters
    section = "version_range_release_file_metadata"
    keys: dict[str, Any] = {}
    for option in settings.take_section(section):
        if not filters.has(section):
            continue
        tags, _, path = option.name.rpartition(":")
        versions = [line.text for line in option.entries()]
        usable = all(map(is_version, versions)) and "not-null" not in tags.split(":")
        if path == "release_file.requires_python" and usable:
            keys["requiresPython"] = versions
        else:
            text = "only `release_file.requires_python` has an equal, `requiresPython`"
            configuration.lose(option, text)
    return keys


def _packaged(configuration: Configuration) -> list[str]:
    """Return the package types that patterns over metadata of files let through; `[]` for all."""
    settings, filters = configuration.settings, configuration.filters
    section = "regex_release_file_metadata"
    types: list[str] = []
    for option in settings.take_section(section):
        if not filters.has(section):
            continue
        tags, _, path = option.name.rpartition(":")
        named = [PACKAGE_TYPES.get(line.text.strip("^$")) for line in option.lines if line.text]
        plain = not set(tags.split(":")) & {"all", "none"} and None not in named
        if path == "release_file.packagetype" and plain:
            types = [name for name in named if name is not None]
        else:
            text = "patterns over metadata of files have no equal; `packageTypes` has one of them"
            configuration.lose(option, text)
    return types


def _platforms(configuration: Configuration) -> list[str]:
    """Return the families of platforms that are left out."""
    settings, filters = configuration.settings, configuration.filters
    option = settings.take("blocklist", "platforms")
    if option is None or not filters.has("exclude_platform"):
        return []
    families: list[str] = []
    for word in option.text.lower().split():
        family = FAMILIES.get(word)
        if family is not None:
            families.append(family)
        else:
            _lose_platform(configuration, option, word)
    if families:
        text = (
            "said by what stays. bandersnatch compares parts of filenames with a list that ends"
            " with manylinux2014; here a family is every tag of it. Eggs are not judged by it"
        )
        configuration.differ(option, text)
    return list(dict.fromkeys(families))


def _lose_platform(configuration: Configuration, option: Option, word: str) -> None:
    instead = (
        "name the Pythons that you want in `pythons`"
        if word.startswith("py")
        else "name the platforms that you want in `platforms`"
    )
    text = f"`{word}`: here a list says what stays, not what goes: {instead}"
    configuration.lose(option, text)
