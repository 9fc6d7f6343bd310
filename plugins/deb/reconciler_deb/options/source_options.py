"""The keys of a source of type `deb`."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from reconciler.plugin import LocatedPath, NotEmpty, OptionFault, Options, safe_path
from reconciler_deb.options.filter_options import WordList
from reconciler_deb.options.patterns import PatternList, Patterns
from reconciler_deb.reading.suite_names import is_flat, unit_suite

_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,127}")


def _checked_path(text: str) -> str:
    if not _COMPONENT.fullmatch(text) or not safe_path(text):
        raise OptionFault(
            f"{text!r:.80} is no suite or component",
            hint="as it stands in `dists/` and in the list of sources: `bookworm`, `main`",
        )
    return text


def _checked_suite(text: str) -> str:
    """Return a suite, or the folder of a flat archive: `./`, `ubuntu/`. Raises OptionFault."""
    folder = text.removeprefix("./").removesuffix("/") if is_flat(text) else text
    if folder or text != "./":
        _checked_path(folder)
    return text


def _checked_architecture(text: str) -> str:
    if not _ARCHITECTURE.fullmatch(text):
        raise OptionFault(
            f"{text!r:.80} is no architecture",
            hint="such as `amd64`, `arm64`, `all`, or `source` for source packages",
        )
    return text


PathList = Annotated[tuple[Annotated[str, AfterValidator(_checked_path)], ...], Field(strict=False)]
ArchitectureList = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_architecture)], ...], Field(strict=False)
]


ReadSuiteList = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_suite)], ...], Field(strict=False)
]


class SourceOptions(Options):
    """Keys of any source: which packages of what it offers."""

    suites: Annotated[PathList, NotEmpty()] = Field(
        default=(), description="Suites that take uploads; none: the form names one."
    )
    components: Annotated[PathList, NotEmpty()] = Field(
        default=(),
        description="Components to read, none: all; or those that take uploads, none: `main`.",
    )
    include: Annotated[PatternList, NotEmpty()] = Field(
        default=(),
        description="Packages to take: names, globs, relations (`nginx (>= 1.22)`, `lib*`).",
    )
    exclude: PatternList = Field(
        default=(), description="Packages to leave out; wins over `include`."
    )
    sections: Annotated[WordList, NotEmpty()] = Field(
        default=(), description="Sections to take (`web`, `non-free/libs`); none: all."
    )
    priorities: Annotated[WordList, NotEmpty()] = Field(
        default=(), description="Priorities to take (`required`, `important`); none: all."
    )
    latest: int | None = Field(
        default=None,
        ge=1,
        description="How many versions of a package to take, for each suite and architecture.",
    )
    substitution: Literal["deny", "allow"] = Field(
        default="deny",
        description=(
            "Whether the archive may replace the bytes of a package under the same version."
        ),
    )

    @cached_property
    def included(self) -> Patterns:
        return Patterns(self.include)

    @cached_property
    def excluded(self) -> Patterns:
        return Patterns(self.exclude)


class RemoteOptions(SourceOptions):
    """Keys of a `remote` source: whom it believes, and what it reads."""

    suites: Annotated[ReadSuiteList, NotEmpty()] = Field(
        description=(
            "Suites to read (`bookworm`, `bookworm-updates`), as in a list of sources; `./` or"
            " another folder for a flat archive, which becomes the suite `flat`, or that folder."
        )
    )
    keys: Annotated[tuple[LocatedPath, ...], Field(strict=False), NotEmpty()] = Field(
        default=(),
        description=(
            "Files with the public keys that may sign the archive, armoured or binary; paths"
            " relative to the manifest that names them."
        ),
    )
    trusted: bool = Field(
        default=False,
        description="Whether the archive is believed without a signature, as `[trusted=yes]`.",
    )
    check_valid_until: bool = Field(
        default=True,
        description=(
            "Whether a Release that has run out, or is older than the last one, is an error; false"
            " for archives that no longer move."
        ),
    )
    architectures: Annotated[ArchitectureList, NotEmpty()] = Field(
        default=(),
        description=(
            "Architectures to read, `source` for source packages; `all` comes with any of them."
            " None: all that the Release lists, without source packages."
        ),
    )
    dependencies: bool = Field(
        default=False,
        description="Whether what they depend on comes in too (Depends, Pre-Depends).",
    )
    recommends: bool = Field(
        default=False, description="Whether `dependencies` follows Recommends as well."
    )
    shared_packages: PatternList = Field(
        default=(),
        description=(
            "Packages to which this source may add versions though an earlier source owns the name."
        ),
    )

    @model_validator(mode="after")
    def _says_whom_to_believe(self) -> RemoteOptions:
        if self.keys and self.trusted:
            raise OptionFault(
                "`trusted: true` believes anything, so `keys` would never count",
                hint="leave one of them out",
            )
        if not self.keys and not self.trusted:
            raise OptionFault(
                "it does not say which keys may sign the archive",
                hint=(
                    "`keys: [keys/archive.asc]` on the Remote or in the source, or `trusted: true`"
                    " for one that is not signed"
                ),
            )
        return self

    @model_validator(mode="after")
    def _suites_are_told_apart(self) -> RemoteOptions:
        read: dict[str, str] = {}
        for suite in self.suites:
            other = read.setdefault(unit_suite(suite), suite)
            if other != suite:
                raise OptionFault(
                    f"what is read of `{other}` and of `{suite}` would both be the suite"
                    f" `{unit_suite(suite)}`",
                    hint="give each a repository of its own",
                )
        if self.components and all(map(is_flat, self.suites)):
            raise OptionFault("a flat archive has no components", hint="leave `components` out")
        return self

    @model_validator(mode="after")
    def _recommends_need_dependencies(self) -> RemoteOptions:
        if self.recommends and not self.dependencies:
            raise OptionFault(
                "`recommends` says what `dependencies` follows, which is off",
                hint="say `dependencies: true` as well",
            )
        return self

    @property
    def selects_part(self) -> bool:
        """True if packages are left out that only a dependency could bring in."""
        return bool(self.include or self.sections or self.priorities)

    @cached_property
    def shared(self) -> Patterns:
        return Patterns(self.shared_packages)
