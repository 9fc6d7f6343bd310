"""The keys of a `remote` source and of a Filter of type `python`."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from reconciler.plugin import Duration, OptionFault, Options
from reconciler_python.rules import Rules, parse_rule


def _checked(text: str) -> str:
    parse_rule(text)
    return text


def _checked_with_filenames(text: str) -> str:
    parse_rule(text, filenames=True)
    return text


def _checked_name(text: str) -> str:
    if parse_rule(text).specifiers is not None:
        raise OptionFault(f"`{text}`: only whole projects can be exempt", hint="a name or a name glob, without a version")
    return text


# A list in a manifest, immutable here; its items stay strict. An empty one says no more than an absent one.
RuleList = Annotated[tuple[Annotated[str, AfterValidator(_checked)], ...], Field(strict=False)]
FilterList = Annotated[tuple[Annotated[str, AfterValidator(_checked_with_filenames)], ...], Field(strict=False)]
NameList = Annotated[tuple[Annotated[str, AfterValidator(_checked_name)], ...], Field(strict=False)]
PackageType = Literal["wheel", "sdist", "egg", "wininst", "msi", "dmg", "rpm", "dumb"]


class SelectionOptions(Options):
    """What a source takes from its index. Without `include`: everything."""

    not_yet: ClassVar[frozenset[str]] = frozenset(
        {"files", "requirements", "dependencies", "environments", "legacy", "hashes", "sharedProjects", "filter"}
    )

    include: RuleList = Field(default=(), description="Requirement strings (`django>=5,<6`) and name globs (`acme-*`) to take; none: everything.")
    exclude: RuleList = Field(default=(), description="Requirement strings and name globs to leave out; wins over `include`.")
    substitution: Literal["deny", "allow"] = Field(
        default="deny", description="Whether upstream may replace the bytes of a file under the same filename."
    )

    @cached_property
    def included(self) -> Rules:
        return Rules(self.include)

    @cached_property
    def excluded(self) -> Rules:
        return Rules(self.exclude)


class FilterOptions(Options):
    """What a Filter lets pass. Without rules: everything."""

    not_yet: ClassVar[frozenset[str]] = frozenset(
        {"platforms", "pythons", "abis", "requiresPython", "prereleases", "yanked", "latest", "maxSize", "licenses", "attestations", "osv"}
    )

    allow: FilterList = Field(default=(), description="Requirement strings, name globs and filenames; if there are any, nothing else passes.")
    deny: FilterList = Field(default=(), description="Requirement strings, name globs and filenames that never pass; wins over `allow`.")
    min_age: Duration | None = Field(
        default=None, description="Days since the upload that upstream states (`7d`); an unknown upload time is refused."
    )
    min_age_exempt: NameList = Field(default=(), description="Projects (names and name globs) that `minAge` does not concern.")
    package_types: Annotated[tuple[PackageType, ...], Field(strict=False)] = Field(
        default=(), description="Package types that pass; none: every type."
    )

    @cached_property
    def allowed(self) -> Rules:
        return Rules(self.allow, filenames=True)

    @cached_property
    def denied(self) -> Rules:
        return Rules(self.deny, filenames=True)

    @cached_property
    def exempt(self) -> Rules:
        return Rules(self.min_age_exempt)
