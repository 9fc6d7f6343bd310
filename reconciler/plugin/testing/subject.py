"""The plugin that the kit tests, and its test data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.plugin.testing.upstream import Upstream

EntryPointFunction = Callable[[], Any]
"""What an entry point names: no arguments, (class, plugin-level configuration); or the class."""

Change = Callable[[Upstream], None]
"""Changes upstream: adds, replaces or removes pages."""

Client = Callable[[str], object]
"""Uses a publication by its URL, as a client of the ecosystem does."""


@dataclass(frozen=True)
class Subject:
    """A plugin, and the data that the kit tests it with.

    `upstream` holds units of at least two groups where the format has several. `changes` are made
    one after the other, and each must change the content; good ones add, replace, and remove a
    whole group. `path`: the end of the remote's URL, after the URL of upstream.

    Keys as in manifests: `remote` of the Remote (`policy`, `headers`), `source` of the source,
    `publication` of the Publication (without `publisher` and `repository`), `rules` of a Filter of
    the repository; there is no Filter where it is empty.

    Optional features: `uploads` are files by name that the repository accepts, `refused_uploads`
    files that it must refuse, `fields` texts by name that are sent with each of them, as `--field`
    does; `refused` are keys of sources that `validate_config` refuses.

    `copy_source` and `upload_source` are keys of a source that copies from a repository, and of one
    for uploads, where such sources have keys of their own.

    `client` is called with the URL of the served publication, with a slash at its end: of the first
    upstream, and of the last. It raises where a client would fail.

    Seconds: `block` for which the event loop may be blocked (sleeping, connecting and name look-ups
    are found however short they are); `patience` for which a call may wait without a call to the
    core.
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
    copy_source: Mapping[str, Any] = field(default_factory=dict)
    upload_source: Mapping[str, Any] = field(default_factory=dict)
    client: Client | None = None

    def __post_init__(self) -> None:
        vars(self)["importer"] = _as_function(self.importer)
        vars(self)["content_types"] = [_as_function(type_) for type_ in self.content_types]
        if self.publisher is not None:
            vars(self)["publisher"] = _as_function(self.publisher)

    @property
    def functions(self) -> list[EntryPointFunction]:
        """Return the functions of all entry points."""
        return [self.importer, *self.content_types, *([self.publisher] if self.publisher else [])]

    @property
    def id(self) -> str:
        """Return the ID of the importer."""
        cls: Any = self.importer()[0]
        name: str = cls.metadata().id
        return name

    @property
    def classes(self) -> list[type]:
        """Return all classes of the plugin."""
        return [function()[0] for function in self.functions]


def _as_function(point: EntryPointFunction) -> EntryPointFunction:
    """Return an entry point as a function; where it is the class itself, one that returns it."""
    if not isinstance(point, type):
        return point

    def entry_point() -> tuple[type, dict[str, Any]]:
        return point, {}

    # it is found, in another process too, where the class is
    entry_point.__module__, entry_point.__qualname__ = point.__module__, point.__qualname__
    return entry_point
