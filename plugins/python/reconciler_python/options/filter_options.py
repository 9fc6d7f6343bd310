"""The keys of a Filter of type `python`, and of a source's own `filter`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.plugin import NotEmpty, OptionFault, Options, Size
from reconciler_python.evidence.advisories import OsvRules, age_warning
from reconciler_python.evidence.attestations import AttestationRules
from reconciler_python.evidence.licences import LicenceRules
from reconciler_python.matching.interpreter_tags import (
    Environment,
    InterpreterTarget,
    interpreter,
    is_version,
    platform_matcher,
)
from reconciler_python.matching.python_versions import Interpreters, python_range
from reconciler_python.matching.rules import Rules, parse_rule
from reconciler_python.matching.wheel_tags import (
    Target,
    Targets,
    abi_target,
    platform_target,
    python_target,
)
from reconciler_python.options.upload_times import MinAge, Moment


def _checked_with_filenames(text: str) -> str:
    parse_rule(text, filenames=True)
    return text


def _checked_platform(word: str) -> str:
    return platform_target(word).word


def _python_target(word: str) -> Target:
    return InterpreterTarget(word) if is_version(word) else python_target(word)


def _checked_python(word: str) -> str:
    return _python_target(word).word


def _checked_version(word: str) -> str:
    interpreter(word)
    return word


def _checked_machine(word: str) -> str:
    platform_matcher(word)
    return word


def _checked_abi(word: str) -> str:
    return abi_target(word).word


def _checked_interpreter(text: str) -> str:
    python_range(text)
    return text


def _listed(value: object) -> object:
    """Return a list: of one for a single text.

    A number (`3.11` without quotes) too, so that it is refused with the others.
    """
    return [value] if isinstance(value, str | int | float) else value


# A list in a manifest, immutable here; its items stay strict. An empty one is refused by the keys
# that select: an emptied list must never come to mean everything.
FilterList = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_with_filenames)], ...], Field(strict=False)
]
PlatformList = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_platform)], ...], Field(strict=False)
]
PythonList = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_python)], ...], Field(strict=False)
]
AbiList = Annotated[tuple[Annotated[str, AfterValidator(_checked_abi)], ...], Field(strict=False)]
InterpreterList = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_interpreter)], ...],
    Field(strict=False),
    BeforeValidator(_listed),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]
PackageType = Literal["wheel", "sdist", "egg", "wininst", "msi", "dmg", "rpm", "dumb"]
Prereleases = Literal["allow", "deny", "if-nothing-else"]


class EnvironmentRule(Options):
    """One environment that files are wanted for."""

    python: Annotated[str, AfterValidator(_checked_version)] = Field(
        description="Version of CPython (`3.12`; `3.14t`: free-threaded), in quotes."
    )
    platform: Annotated[str, AfterValidator(_checked_machine)] = Field(
        description="Family of platforms (`linux_x86_64`), or the newest tag that it can use."
    )


class LatestRule(Options):
    """The number of releases that pass, and of what."""

    releases: int = Field(ge=1, description="How many releases pass, the newest.")
    per: Literal["project", "major", "minor", "target"] = Field(
        default="project",
        description=(
            "Of what: the whole project, each major version, each minor version, or each of"
            " `targets`."
        ),
    )


class FilterOptions(Options):
    """Keys of a Filter. Without rules, everything passes."""

    allow: Annotated[FilterList, NotEmpty()] = Field(
        default=(),
        description=(
            "Requirement strings, name globs and filenames; if there are any, nothing else passes."
        ),
    )
    deny: FilterList = Field(
        default=(),
        description=(
            "Requirement strings, name globs and filenames that never pass; wins over `allow`."
        ),
    )
    min_age: MinAge | None = Field(
        default=None,
        description=(
            "Days since the upload that upstream states (`7d`); an unknown upload time is refused"
            " (`{age: 7d, unknown: allow}`: let in; `firstSeen`: days since its first sight)."
        ),
    )
    min_age_exempt: FilterList = Field(
        default=(),
        description=(
            "Requirement strings, name globs and filenames that `minAge` does not concern."
        ),
    )
    uploaded_before: Moment | None = Field(
        default=None,
        description=(
            "Files pass that upstream says were uploaded before this moment"
            " (`2026-07-01T00:00:00Z`); an unknown upload time is refused."
        ),
    )
    package_types: Annotated[tuple[PackageType, ...], Field(strict=False), NotEmpty()] = Field(
        default=(), description="Package types that pass; none: every type."
    )
    platforms: Annotated[PlatformList, NotEmpty()] = Field(
        default=(),
        description=(
            "Platform tags (`win_amd64`) and families (`any`, `linux_x86_64`, `macos`) of wheels"
            " that pass; none: every platform."
        ),
    )
    pythons: Annotated[PythonList, NotEmpty()] = Field(
        default=(),
        description=(
            "Wheels that pass: versions of CPython that can install them (`3.11`, in quotes), or"
            " Python tags (`cp311`, `py3`: every `py3*`); none: every one."
        ),
    )
    abis: Annotated[AbiList, NotEmpty()] = Field(
        default=(),
        description="ABI tags of wheels that pass: `cp311`, `abi3`, `none`; none: every one.",
    )
    targets: Annotated[tuple[EnvironmentRule, ...], Field(strict=False), NotEmpty()] = Field(
        default=(),
        description=("Environments: files pass that one of them can install; none: every file."),
    )
    requires_python: Annotated[InterpreterList, NotEmpty()] = Field(
        default=(),
        description=(
            "Pythons (`3.11`, `>=3.10,<3.13`): files pass that one of them can run; none: every"
            " file."
        ),
    )
    prereleases: Prereleases | None = Field(
        default=None,
        description=(
            "Whether pre-releases pass; `if-nothing-else`: where no final release does. None: as"
            " `include` and `allow` say."
        ),
    )
    dev_releases: Literal["allow", "deny"] = Field(
        default="allow",
        description=(
            "Whether developmental releases (`1.0.dev3`, `1.0rc1.dev2`) pass that `prereleases` and"
            " specifiers let in; `deny` leaves release candidates alone."
        ),
    )
    yanked: Literal["keep", "drop"] = Field(
        default="keep", description="Whether files pass that upstream has yanked."
    )
    latest: Annotated[int, Field(ge=1)] | LatestRule | None = Field(
        default=None,
        description=(
            "How many releases of a project pass at the most: the newest of those that pass the"
            " rest; a number, or `{releases: N, per: major}`. What a lock or a pin of the source"
            " names passes in any case."
        ),
    )
    max_size: Size | None = Field(
        default=None,
        description="The largest file that passes (`500MiB`); an unknown size is refused.",
    )
    licenses: LicenceRules | None = Field(
        default=None, description="Licences that pass, as SPDX expressions."
    )
    attestations: AttestationRules | None = Field(
        default=None, description="Which attestations (PEP 740) files must have."
    )
    osv: OsvRules | None = Field(
        default=None, description="Known malware and vulnerabilities that keep a release out."
    )

    def warnings(self, now: datetime) -> Iterable[str]:
        """Return that the OSV dump is old, if it is."""
        warning = age_warning(self.osv, now) if self.osv is not None else None
        return [warning] if warning else []

    @cached_property
    def allowed(self) -> Rules:
        return Rules(self.allow, filenames=True)

    @cached_property
    def denied(self) -> Rules:
        return Rules(self.deny, filenames=True)

    @cached_property
    def exempt(self) -> Rules:
        return Rules(self.min_age_exempt, filenames=True)

    @model_validator(mode="after")
    def _targets_are_named(self) -> Self:
        if self.newest is not None and self.newest.per == "target" and not self.targets:
            raise OptionFault(
                "`latest.per: target` without `targets`",
                hint='name the environments: `targets: [{python: "3.12", platform: linux}]`',
            )
        return self

    @cached_property
    def newest(self) -> LatestRule | None:
        """`latest` as a rule, however it is written."""
        return LatestRule(releases=self.latest) if isinstance(self.latest, int) else self.latest

    @cached_property
    def environments(self) -> tuple[Environment, ...]:
        return tuple(Environment(rule.python, rule.platform) for rule in self.targets)

    @cached_property
    def tag_targets(self) -> dict[str, Targets]:
        """The written keys of `platforms`, `pythons` and `abis`, in this order."""
        written = (
            ("platforms", self.platforms, platform_target),
            ("pythons", self.pythons, _python_target),
            ("abis", self.abis, abi_target),
        )
        return {key: Targets(words, parse) for key, words, parse in written if words}

    @cached_property
    def interpreters(self) -> Interpreters:
        return Interpreters(self.requires_python)
