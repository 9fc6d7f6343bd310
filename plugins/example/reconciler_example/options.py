"""The keys of a source and of a Filter of type `example`.

Globs are those of `fnmatch`: `*` matches any characters, slashes too. One without a slash is about
the file's own name.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field

from reconciler.plugin import Options, Size

Globs = Annotated[tuple[str, ...], Field(strict=False)]


class SourceOptions(Options):
    """What a source takes. Without `include`: everything."""

    include: Globs = Field(default=(), description="Globs over paths to take; none: everything.")
    exclude: Globs = Field(
        default=(), description="Globs over paths to leave out; wins over `include`."
    )


class FilterOptions(Options):
    """What a Filter lets pass. Without rules: everything."""

    deny: Globs = Field(default=(), description="Globs over paths that never pass.")
    max_size: Size | None = Field(default=None, description="The largest file that passes.")


def matching(globs: Iterable[str], path: str) -> str | None:
    """The first glob, in alphabetical order, that matches."""
    name = path.rpartition("/")[2]
    return next(
        (glob for glob in sorted(globs) if fnmatchcase(path if "/" in glob else name, glob)), None
    )
