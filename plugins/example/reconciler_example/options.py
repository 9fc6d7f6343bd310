"""The keys of a source and of a Filter of type `example`.

Globs are those of `fnmatch`: `*` matches any characters, slashes too. A glob without a slash
matches the name of a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field

from reconciler.plugin import NotEmpty, Options, Size

Globs = Annotated[tuple[str, ...], Field(strict=False)]


class SourceOptions(Options):
    """Selection of a source; by default everything."""

    include: Annotated[Globs, NotEmpty()] = Field(
        default=(), description="Globs over paths to take; none: everything."
    )
    exclude: Globs = Field(
        default=(), description="Globs over paths to leave out; wins over `include`."
    )


class FilterOptions(Options):
    """Rules of a Filter; by default everything passes."""

    deny: Globs = Field(default=(), description="Globs over paths that never pass.")
    max_size: Size | None = Field(default=None, description="The largest file that passes.")


def matching(globs: Iterable[str], path: str) -> str | None:
    """Return the first glob that matches, in alphabetical order, or None."""
    name = path.rpartition("/")[2]
    return next(
        (glob for glob in sorted(globs) if fnmatchcase(path if "/" in glob else name, glob)), None
    )
