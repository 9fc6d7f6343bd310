"""The keys of a source and of a Filter of type `npm`."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field

from reconciler.plugin import Duration, NotEmpty, OptionFault, Options
from reconciler_npm.ranges import Selector, parse_selector

__all__ = ["FilterOptions", "SourceOptions"]


def _checked(text: str) -> str:
    try:
        parse_selector(text)
    except ValueError as error:
        raise OptionFault(
            str(error), hint="name packages one by one, as `left-pad` or `@scope/name@^1.2`"
        ) from None
    return text


Selectors = Annotated[tuple[Annotated[str, AfterValidator(_checked)], ...], Field(strict=False)]


def _by_name(texts: tuple[str, ...]) -> dict[str, list[Selector]]:
    selectors: dict[str, list[Selector]] = {}
    for selector in map(parse_selector, texts):
        selectors.setdefault(selector.name, []).append(selector)
    return selectors


class SourceOptions(Options):
    """Keys of a source: the packages that it takes, and which versions of them."""

    not_yet = frozenset({"dependencies"})

    include: Annotated[Selectors, NotEmpty()] = Field(
        default=(),
        description=(
            "Packages to take: `left-pad`, or with a range or a tag `left-pad@^1.2`,"
            " `@scope/name@next`."
        ),
    )
    prereleases: bool = Field(
        default=False, description="Whether a range takes prereleases that it does not name."
    )
    latest: int | None = Field(
        default=None, ge=1, description="How many versions to take of each package: the newest."
    )

    @cached_property
    def selectors(self) -> dict[str, list[Selector]]:
        """Return the selectors by package."""
        return _by_name(self.include)


class FilterOptions(Options):
    """Keys of a Filter. Without rules, everything passes."""

    deny: Selectors = Field(
        default=(), description="Packages (`left-pad`, `left-pad@<1.3`) that never pass."
    )
    deprecated: bool = Field(default=True, description="Whether deprecated versions pass.")
    min_age: Duration | None = Field(
        default=None, description="Age below which a version does not pass (`7d`)."
    )

    @cached_property
    def denied(self) -> dict[str, list[Selector]]:
        """Return the denied selectors by package."""
        return _by_name(self.deny)
