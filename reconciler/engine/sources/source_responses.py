"""What a source says of one group, and under which words that is recorded where upstream has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.model import Unit

BY_SOURCE: Final = (
    "source"  # validator of a group of which only the source as a whole says when it changed
)
GONE: Final = (
    "gone"  # validator of a group that upstream named and does not have: known, and nobody's
)
# validator of a group of which upstream offers nothing now: its name is the source's all the same
WITHDRAWN: Final = "withdrawn"
# validator of a group that a rule keeps out whole: not read, and its name is the source's all the
# same
REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class SourceResponse:
    """What a source holds in one group: units, or why it is gone, or what failed. `listed`: nobody
    asked for it by name.

    `validator`: what to commit with the group. `kept_out`: (key, reason) of what could not become a
    unit. `withdrawn`: it is gone, and its name stays the source's. `owner`: the source that has the
    name instead, so that this one was not asked; `waits`: one that may have it, for all that is
    known. `refused`: why nothing of it may come in, so that nobody was asked.
    """

    name: str
    units: Sequence[Unit] = ()
    kept_out: Sequence[tuple[str, str]] = ()
    validator: str | None = None
    listed: bool = True
    gone: str = ""
    withdrawn: bool = False
    failure: Exception | None = None
    unchanged: bool = False
    owner: str = ""
    waits: str = ""
    refused: str = ""
