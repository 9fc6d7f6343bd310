"""The keys of a `remote` source and of a Filter of type `file`."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from reconciler.plugin import NotEmpty, Options, Size
from reconciler_file.globs import Globs, checked_glob

Format = Literal["manifest", "urls", "folder"]

# A list in a manifest, immutable here; its items stay strict. An empty one is refused by the keys
# that select: an emptied list must never come to mean everything.
GlobList = Annotated[tuple[Annotated[str, AfterValidator(checked_glob)], ...], Field(strict=False)]


class SourceOptions(Options):
    """Keys of a source: selected files, and the format of the list.

    Without `include`: everything.
    """

    format: Format | None = Field(
        default=None,
        description=(
            "How upstream lists its files: `manifest` (PULP_MANIFEST), `urls` (a list of URLs) or"
            " `folder`; none: guessed from the URL."
        ),
    )
    include: Annotated[GlobList, NotEmpty()] = Field(
        default=(),
        description="Globs over paths (`*.iso`, `docs/**`) to take; none: everything.",
    )
    exclude: GlobList = Field(
        default=(), description="Globs over paths to leave out; wins over `include`."
    )

    @cached_property
    def included(self) -> Globs:
        return Globs(self.include)

    @cached_property
    def excluded(self) -> Globs:
        return Globs(self.exclude)


class FilterOptions(Options):
    """Keys of a Filter. Without rules, everything passes."""

    deny: GlobList = Field(default=(), description="Globs over paths that never pass.")
    max_size: Size | None = Field(
        default=None,
        description="The largest file that passes (`500MiB`); an unknown size is refused.",
    )

    @cached_property
    def denied(self) -> Globs:
        return Globs(self.deny)
