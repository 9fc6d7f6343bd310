"""The keys of a Filter of type `deb`."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field

from reconciler.plugin import Duration, NotEmpty, OptionFault, Options, Size
from reconciler_deb.options.patterns import PatternList, Patterns


def checked_word(text: str) -> str:
    """Return one word. Raises OptionFault for a text that could never be one."""
    if not text or len(text) > 200 or not text.isprintable() or text.split() != [text]:
        raise OptionFault(f"{text!r:.80} is not one word")
    return text


# A list in a manifest, immutable here; its items stay strict.
WordList = Annotated[tuple[Annotated[str, AfterValidator(checked_word)], ...], Field(strict=False)]


class FilterOptions(Options):
    """Keys of a Filter. Without rules, everything passes."""

    allow: Annotated[PatternList, NotEmpty()] = Field(
        default=(),
        description="Packages (`nginx (>= 1.22)`, `lib*`) that pass; none: all of them.",
    )
    deny: PatternList = Field(
        default=(), description="Packages that never pass; wins over `allow`."
    )
    deny_sections: WordList = Field(
        default=(), description="Sections (`games`, `non-free/libs`) that never pass."
    )
    deny_priorities: WordList = Field(
        default=(), description="Priorities (`extra`) that never pass."
    )
    max_size: Size | None = Field(
        default=None, description="Size of the largest package that passes (`500MiB`)."
    )
    min_age: Duration | None = Field(
        default=None,
        description="How long ago a package was first read, at least (`7d`): archives say no date.",
    )

    @cached_property
    def allowed(self) -> Patterns:
        return Patterns(self.allow)

    @cached_property
    def denied(self) -> Patterns:
        return Patterns(self.deny)
