"""The repository that files are sent to, and what is to change in its groups."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.database import Writer
from reconciler.engine.sources.name_conflicts import checked_tree
from reconciler.model import (
    ActualRepository,
    CheckedTree,
    DesiredState,
    IdentifiedUnit,
    Repository,
    Source,
    stored_unit,
)
from reconciler.plan import ChangeLine, GroupMember
from reconciler.plugin import Importer
from reconciler.plugin.validation import Plugin


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """One repository that files are sent to, as it is now. `source`: its `upload` source."""

    writer: Writer
    plugin: Plugin
    repository: Repository
    source: Source
    actual: ActualRepository

    @property
    def name(self) -> str:
        return self.repository.meta.name

    @property
    def importer_class(self) -> type[Importer]:
        assert self.plugin.cls is not None
        cls: type[Importer] = self.plugin.cls
        return cls

    def importer(self) -> Importer:
        """Return a new importer; each call gets its own."""
        return self.importer_class()

    def checked_tree(self, desired: DesiredState) -> CheckedTree | None:
        """Return what a check of names has seen; None where groups have trees of their own."""
        return checked_tree(
            desired, self.name, importer_class=self.importer_class, actual=self.actual
        )

    def call(self, method: str) -> str:
        """Name a call of the importer for messages; `method` is in backticks already."""
        return f"{method} of importer `{self.plugin.id}` for repository `{self.name}`"

    def members(self, group: str) -> list[GroupMember]:
        """Return what a group holds now, whichever source brought it."""
        rows = self.writer.current_units(self.actual.id, [group]).get(group, [])
        return [
            GroupMember(row.digest, stored_unit(row.body), row.source, row.body) for row in rows
        ]


@dataclass(slots=True)
class GroupChanges:
    """Changes of one group.

    Attributes:
        before: Its members before.
        arriving: Units that come in.
    """

    name: str
    before: list[GroupMember]
    lines: list[ChangeLine]
    arriving: list[IdentifiedUnit] = field(default_factory=list)
