"""The response of a source about one group, and its comparison with the latest version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler.model import IdentifiedUnit, Unit
from reconciler.plan import GroupChange

# Validators that are recorded where upstream has none of its own:
BY_SOURCE: Final = "source"  # only the source as a whole says when the group changed
GONE: Final = "gone"  # upstream named the group and does not have it: the name has no owner
REFUSED: Final = "refused"  # a rule keeps all of it out unread: the name stays the source's


@dataclass(frozen=True, slots=True)
class SourceResponse:
    """Content of one group in a source: units, or why it is gone, or what failed.

    Attributes:
        kept_out: (key, reason) of what could not become a unit.
        validator: What to record with the group.
        listed: False if the manifest asks for the group by name and upstream need not have it.
        gone: Why upstream no longer has the group.
        withdrawn: With `gone`: the name stays the source's.
        owner: The source that owns the name; this one was not asked.
        unavailable: An earlier source that may have the name; this one was not asked.
        refused: Why nothing of the group may come in; this source was not asked.
        incomplete: Why the importer could not find out all of it: nothing leaves.
        reconsider_at: When what is kept out may come in by itself.
        recorded: The units are those that are recorded: upstream offers the same, and where their
            bytes are has not changed.
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
    unavailable: str = ""
    refused: str = ""
    reconsider_at: datetime | None = None
    incomplete: str = ""
    recorded: bool = False

    @property
    def has_name(self) -> bool:
        """True if the response makes the name the source's, unless another source owns it."""
        return not self.unavailable and (not self.gone or self.withdrawn)


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """One group beside the latest version.

    `wanted`: all that the source lets in; empty where no bytes can have yet to be fetched.
    """

    change: GroupChange
    wanted: Sequence[IdentifiedUnit] = ()

    @property
    def name(self) -> str:
        return self.change.head.name

    @property
    def unchanged(self) -> list[IdentifiedUnit]:
        """The units that stay as they are."""
        touched = {(line.type, line.key) for line in self.change.lines}
        return [unit for unit in self.wanted if (unit.unit.type, unit.unit.key) not in touched]
