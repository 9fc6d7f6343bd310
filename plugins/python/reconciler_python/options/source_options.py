"""The keys of a `remote` source of type `python`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from reconciler.plugin import NotEmpty, OptionFault, Options
from reconciler_python.matching.rules import Rules, parse_rule
from reconciler_python.matching.single_files import SingleFile, SingleFiles, checked_filename
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.reading.pins import pins_version
from reconciler_python.requirements.environments import MarkerEnvironment, marker_environments
from reconciler_python.requirements.requirement_options import RequirementFiles, required
from reconciler_python.requirements.requirements import Requirements


def _checked(text: str) -> str:
    parse_rule(text)
    return text


def _checked_with_extras(text: str) -> str:
    parse_rule(text, extras=True)
    return text


def _checked_name(text: str) -> str:
    if parse_rule(text).specifiers is not None:
        raise OptionFault(
            f"`{text}`: only whole projects can be shared",
            hint="a name or a name glob, without a version",
        )
    return text


# A list in a manifest, immutable here; its items stay strict. An empty one is refused by the keys
# that select: an emptied list must never come to mean everything.
IncludeList = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_with_extras)], ...], Field(strict=False)
]
FileList = Annotated[
    tuple[Annotated[str, AfterValidator(checked_filename)] | SingleFile, ...], Field(strict=False)
]
RuleList = Annotated[tuple[Annotated[str, AfterValidator(_checked)], ...], Field(strict=False)]
NameList = Annotated[tuple[Annotated[str, AfterValidator(_checked_name)], ...], Field(strict=False)]


class SelectionOptions(Options):
    """Keys of a source of type `python`.

    Without `include`, `files` and `requirements`: everything; a `remote` source says so in words.
    """

    include: Annotated[IncludeList, NotEmpty()] = Field(
        default=(),
        description=("Requirement strings (`django>=5,<6`) and name globs (`acme-*`) to take."),
    )
    exclude: RuleList = Field(
        default=(),
        description="Requirement strings and name globs to leave out; wins over `include`.",
    )
    files: Annotated[FileList, NotEmpty()] = Field(
        default=(),
        description=(
            "Single distributions to take: filenames, or a project's `name`, `version` and"
            " `platform`."
        ),
    )
    requirements: Annotated[RequirementFiles, NotEmpty()] = Field(
        default=(),
        description=(
            "Requirements files, what `pip freeze` wrote, and lock files; paths, or `{file, format,"
            " unresolvable}`."
        ),
    )
    dependencies: bool = Field(
        default=False,
        description=(
            "Whether everything comes in, too, that the distributions taken require"
            " (Requires-Dist)."
        ),
    )
    environments: Annotated[dict[str, MarkerEnvironment], NotEmpty()] = Field(
        default_factory=dict,
        description=(
            "Marker environments (PEP 508) by name that `dependencies` are for; none: every"
            " environment."
        ),
    )
    filter: FilterOptions | None = Field(
        default=None, description="The keys of a Filter, for this source alone."
    )
    substitution: Literal["deny", "allow"] = Field(
        default="deny",
        description="Whether upstream may replace the bytes of a file under the same filename.",
    )
    legacy: Literal["deny", "allow"] = Field(
        default="deny",
        description=(
            "Whether versions and filenames come in that today's specifications cannot read."
        ),
    )
    hashes: Literal["required", "optional"] = Field(
        default="required",
        description=(
            "Whether files come in for which upstream gives no digest; they are downloaded while"
            " planning, to be named."
        ),
    )
    shared_projects: NameList = Field(
        default=(),
        description=(
            "Projects (names and name globs) to which this source may add files though an earlier"
            " source owns the name."
        ),
    )

    def warnings(self, now: datetime) -> Iterable[str]:
        """Return the warnings of the source's own filter."""
        return self.filter.warnings(now) if self.filter is not None else ()

    @cached_property
    def included(self) -> Rules:
        return Rules(self.include, extras=True)

    @cached_property
    def excluded(self) -> Rules:
        return Rules(self.exclude)

    @cached_property
    def single_files(self) -> SingleFiles:
        return SingleFiles(self.files)

    @cached_property
    def required(self) -> Requirements:
        """Requirements of the requirement files.

        Raises Malformed where a recorded file is gone.
        """
        return required(self.requirements, marker_environments(self.environments))

    @cached_property
    def shared(self) -> Rules:
        return Rules(self.shared_projects)

    def pinning_options(self) -> PinningOptions | None:
        """Return the pins of `include`, `files` and `requirements` alone; None without any.

        Raises as `required`.
        """
        include = [text for text in self.include if _is_pin(text)]
        files = [
            entry for entry in self.files if isinstance(entry, str) or entry.version is not None
        ]
        requirements = self.requirements if self.requirements and self.required.pins() else ()
        if not (include or files or requirements):
            return None
        return PinningOptions.model_construct(
            include=tuple(include),
            files=tuple(files),
            requirements=requirements,
            environments=self.environments if requirements else {},
        )

    def named_projects(self) -> list[str] | None:
        """Return the projects that the keys name, sorted.

        None where only the index's list of projects tells which are meant.
        """
        if self.included.projects() is None or not (
            self.include or self.files or self.requirements
        ):
            return None
        return self.literal_projects()

    def literal_projects(self) -> list[str]:
        """Return the projects that the keys name without a glob, sorted."""
        return sorted(
            {
                *self.included.literal_projects(),
                *self.single_files.projects(),
                *self.required.projects(),
            }
        )

    @property
    def takes_every_name(self) -> bool:
        """True if any project may be in: nothing is excluded, and nothing selects."""
        return not (self.include or self.files or self.requirements or self.excluded)

    def concerns(self, project: str) -> bool:
        """Return True if a project may be in, before `exclude`, filters and dependencies are asked.

        Cheap, for every name of a long list.
        """
        if not (self.include or self.files or self.requirements):
            return True
        return self.included.concerns(project) or bool(
            self.single_files.for_project(project) or self.required.for_project(project)
        )


class PinningOptions(SelectionOptions):
    """Pins alone: of requirement files, only the lines that ask for one version or single files."""

    @cached_property
    def required(self) -> Requirements:
        """Return the pins of the requirement files. Raises as of `SelectionOptions`."""
        return required(self.requirements, marker_environments(self.environments)).pins()


def _is_pin(text: str) -> bool:
    rule = parse_rule(text, extras=True)
    return bool(rule.filename) or pins_version(rule.specifiers)
