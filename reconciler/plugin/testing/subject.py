"""What is examined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.plugin.testing.upstream import Upstream

EntryPointFunction = Callable[[], tuple[type, dict[str, Any]]]
"""What an entry point names: no arguments, (class, plugin-level configuration)."""

Change = Callable[[Upstream], None]
"""Alters upstream: something is added, replaced or removed."""


@dataclass(frozen=True)
class Subject:
    """A plugin under examination and the world that it is examined in.

    `upstream` holds units of at least two groups where the format has several. `changes` are made one after the other, each
    leads to another content. `source`, `publication`: the plugin's keys, as a manifest writes them below `remote` and in a
    Publication. `path`: what the remote's URL ends in, after upstream's own. `block`: seconds that the event loop may stand still.
    """

    importer: EntryPointFunction
    upstream: Upstream
    content_types: Sequence[EntryPointFunction]
    publisher: EntryPointFunction | None = None
    changes: Sequence[Change] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    publication: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    block: float = 2.0

    @property
    def id(self) -> str:
        """The importer's ID."""
        cls: Any = self.importer()[0]
        name: str = cls.metadata().id
        return name

    @property
    def classes(self) -> list[type]:
        """Every class of the plugin."""
        functions = [self.importer, *self.content_types, *([self.publisher] if self.publisher else [])]
        return [function()[0] for function in functions]
