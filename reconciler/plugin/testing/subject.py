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

    `upstream` holds units of at least two groups where the format has several. `changes` are made
    one after the other, and each leads to another content; the best ones add, replace, and take
    away a whole group. `path`: what the remote's URL ends in, after upstream's own.

    Keys as manifests write them: `remote` of the Remote (`policy`, `headers`), `source` of the
    source that names it, `publication` of the Publication (`publisher` and `repository` aside),
    `rules` of a Filter that governs the repository; none where it is empty.

    What only some plugins have, examined where it is given: `uploads` are files by name that the
    repository takes, `refused_uploads` files that it must not take, `fields` texts by name that are
    sent along with every one of them, as `--field` does; `refused` are keys of a source that
    `validate_config` refuses.

    Seconds: `block`, that the event loop may stand still (what sleeps, connects or looks up names
    is noticed however short it is); `patience`, that a call may await without asking the core for
    anything.
    """

    importer: EntryPointFunction
    upstream: Upstream
    content_types: Sequence[EntryPointFunction]
    publisher: EntryPointFunction | None = None
    changes: Sequence[Change] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    publication: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    block: float = 10.0
    patience: float = 30.0
    remote: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    uploads: Mapping[str, bytes] = field(default_factory=dict)
    refused_uploads: Mapping[str, bytes] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    refused: Sequence[Mapping[str, Any]] = ()

    @property
    def functions(self) -> list[EntryPointFunction]:
        """Everything that entry points name."""
        return [self.importer, *self.content_types, *([self.publisher] if self.publisher else [])]

    @property
    def id(self) -> str:
        """The importer's ID."""
        cls: Any = self.importer()[0]
        name: str = cls.metadata().id
        return name

    @property
    def classes(self) -> list[type]:
        """Every class of the plugin."""
        return [function()[0] for function in self.functions]
