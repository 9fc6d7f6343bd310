"""Single distributions: the entries of a source's `files`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, field_validator

from reconciler.plugin import OptionFault, Options
from reconciler_python.matching.rules import parse_version
from reconciler_python.matching.wheel_tags import Targets, platform_target, wheel_tags
from reconciler_python.reading.filenames import (
    FilenameReader,
    UnreadableFilename,
    possible_projects,
    project_name,
    stem_and_type,
)


class SingleFile(Options):
    """An entry of `files` that is not a filename."""

    name: str = Field(description="Name of the project.")
    version: str | None = Field(
        default=None, description='One version, in quotes (`"1.10"`); none: every version.'
    )
    platform: str | None = Field(
        default=None,
        description=(
            "Platform tag or family, as in `platforms`: wheels for it; none: every distribution."
        ),
    )

    @field_validator("name")
    @classmethod
    def _a_project(cls, name: str) -> str:
        if project_name(name) is None:
            raise OptionFault(
                f"`{name}` is no project name",
                hint="letters, digits, `-`, `_` and `.`, a letter or digit at both ends",
            )
        return name

    @field_validator("platform")
    @classmethod
    def _a_platform(cls, word: str | None) -> str | None:
        if word is not None:
            platform_target(word)
        return word


def checked_filename(text: str) -> str:
    """Return an entry of `files` that is a filename. Raises OptionFault."""
    if project_of(text.strip()) is None:
        raise OptionFault(
            f"`{text}` is no filename of a distribution",
            hint=(
                "such as `django-5.0-py3-none-any.whl`, or `{name: ..., version: ..., platform:"
                " ...}`"
            ),
        )
    return text


def project_of(filename: str) -> str | None:
    """Return the project that a distribution's filename names; None if it names none.

    Of several that it may mean, the first whose version can be read.
    """
    names = _possible(filename)
    return next((name for name in names if _readable(name, filename)), names[0] if names else None)


def _possible(filename: str) -> list[str]:
    parts = stem_and_type(filename)
    if parts is None or not filename.isprintable() or "/" in filename:
        return []
    return [name for name in map(project_name, possible_projects(*parts)) if name is not None]


def _readable(project: str, filename: str) -> bool:
    try:
        FilenameReader(project).read(filename)
    except UnreadableFilename:
        return False
    return True


class Selector:
    """One entry: the distributions of a project that it means.

    `others`: further projects that a filename may belong to.
    """

    def __init__(self, entry: str | SingleFile, index: int) -> None:
        self.index = index
        self.others: Sequence[str] = ()
        self._filename = entry.strip() if isinstance(entry, str) else ""
        self._version: str | None = None
        self._platform: Targets | None = None
        if isinstance(entry, str):
            self.project, self.text, self.others = (
                project_of(self._filename) or "",
                self._filename,
                _possible(self._filename),
            )
            return
        self.project, self._version = project_name(entry.name) or "", entry.version
        self._platform = (
            Targets([entry.platform], platform_target) if entry.platform is not None else None
        )
        self.text = ", ".join(
            part for part in (entry.name, entry.version, entry.platform) if part is not None
        )

    @property
    def is_pin(self) -> bool:
        """Return True if the entry names one file or one version."""
        return bool(self._filename) or self._version is not None

    def matches(self, version: str, filename: str) -> bool:
        """Return True if the entry means this file.

        `version`: canonical, or as it is where it cannot be read. A platform is a wheel's alone: no
        other distribution has one.
        """
        if self._filename:
            return filename == self._filename
        if self._version is not None and self._version != version:
            selected = parse_version(self._version)
            if selected is None or selected != parse_version(version):
                return False
        if self._platform is None:
            return True
        tags = wheel_tags(filename) if filename.endswith(".whl") else None
        return tags is not None and self._platform.find(tags.platforms) is not None


class SingleFiles:
    """All entries, found by project.

    A filename also counts for other projects that it may belong to.
    """

    def __init__(self, entries: Sequence[str | SingleFile]) -> None:
        self._by_project: dict[str, list[Selector]] = {}
        self._projects: set[str] = set()
        for selector in (Selector(entry, index) for index, entry in enumerate(entries)):
            self._projects.add(selector.project)
            for name in {selector.project, *selector.others}:
                self._by_project.setdefault(name, []).append(selector)

    def projects(self) -> list[str]:
        return sorted(self._projects)

    def for_project(self, project: str) -> Sequence[Selector]:
        """Return the entries that may mean distributions of the project, as written."""
        return self._by_project.get(project, [])
