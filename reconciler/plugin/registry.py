"""Which plugins are installed, and what they are: entry points in, judged plugins out.

Loading is lazy: an importer is imported when a manifest names its type, so that a command pays for nothing that
it does not use. By convention an entry point bears the ID of its plugin; one that does not is still found, by
loading the others of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from reconciler.errors import PluginFault
from reconciler.plugin.ports import ContentType, Importer, Metadata, Publisher

API_VERSION = "1.0.0"

BASES: Mapping[str, type] = {"importer": Importer, "publisher": Publisher, "content-type": ContentType}
ENTRY_POINT_GROUPS: Mapping[str, str] = {
    "importer": "reconciler.importers",
    "publisher": "reconciler.publishers",
    "content-type": "reconciler.content_types",
}


@dataclass(frozen=True, slots=True)
class Plugin:
    """One installed plugin, judged. `reason` says why it is disabled; `cls` and `metadata` are None then."""

    kind: str
    id: str
    distribution: str
    distribution_version: str
    origin: str
    cls: type | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    metadata: Metadata | None = None
    reason: str = ""

    @property
    def enabled(self) -> bool:
        return not self.reason


class Registry:
    """The plugins of this installation. `points` replaces the installed entry points in tests."""

    def __init__(self, points: Callable[[str], Iterable[EntryPoint]] | None = None) -> None:
        self._points = points or _installed()
        self._found: dict[str, list[EntryPoint]] = {}
        self._loaded: dict[tuple[str, str], Plugin] = {}

    def importer(self, id: str) -> Plugin:
        """The importer of that ID. Raises PluginFault where there is none or it is disabled."""
        return self._usable("importer", id)

    def publisher(self, id: str) -> Plugin:
        """The publisher of that ID. Raises PluginFault where there is none or it is disabled."""
        return self._usable("publisher", id)

    def content_type(self, id: str) -> type[ContentType]:
        """The content type of that ID. Raises PluginFault where no usable plugin defines it."""
        found = self._usable("content-type", id).cls
        assert found is not None
        return found

    def find(self, kind: str, id: str) -> Plugin | None:
        """The plugin of that kind and ID, enabled or not, or None. Raises PluginFault when two distributions claim it."""
        key = (kind, id)
        if key in self._loaded:
            return self._loaded[key]
        named = [point for point in self._entries(kind) if point.name == id]
        candidates = [plugin for plugin in (_judge(kind, point) for point in named) if plugin.id == id]
        if not candidates:
            candidates = [plugin for plugin in self._all_of(kind) if plugin.id == id]
        if len({plugin.distribution for plugin in candidates}) > 1:
            names = " and ".join(sorted(plugin.distribution for plugin in candidates))
            raise PluginFault(f"two plugins claim the {kind} ID `{id}`: {names}", hint="uninstall one of them")
        if not candidates:
            return None
        self._loaded[key] = candidates[0]
        return candidates[0]

    def ids(self, kind: str) -> list[str]:
        """IDs of the enabled plugins of a kind, for hints."""
        return sorted({plugin.id for plugin in self._all_of(kind) if plugin.enabled})

    def all(self) -> list[Plugin]:
        """Every installed plugin by kind and ID. Raises PluginFault on a duplicate ID or a content type that nobody defines."""
        plugins = [plugin for kind in BASES for plugin in self._all_of(kind)]
        for plugin in plugins:
            self.find(plugin.kind, plugin.id)
        return sorted(plugins, key=lambda plugin: (plugin.kind, plugin.id))

    def _usable(self, kind: str, id: str) -> Plugin:
        plugin = self.find(kind, id)
        if plugin is None:
            raise PluginFault(f"no installed plugin provides the {kind} `{id}`", hint="`reconciler plugins` lists what is installed")
        if not plugin.enabled:
            raise PluginFault(f"the {kind} `{id}` of {plugin.distribution} is disabled: {plugin.reason}")
        if plugin.metadata is not None:
            for content_type in plugin.metadata.types:
                if self.find("content-type", content_type) is None:
                    raise PluginFault(f"the {kind} `{id}` handles `{content_type}`, a content type that no installed plugin defines")
        return plugin

    def _entries(self, kind: str) -> list[EntryPoint]:
        if kind not in self._found:
            self._found[kind] = list(self._points(ENTRY_POINT_GROUPS[kind]))
        return self._found[kind]

    def _all_of(self, kind: str) -> list[Plugin]:
        return [_judge(kind, point) for point in self._entries(kind)]


def _installed() -> Callable[[str], Iterable[EntryPoint]]:
    """The entry points of this installation: every distribution is looked through once, whatever is asked for."""
    found: dict[str, EntryPoints] = {}

    def of_group(group: str) -> Iterable[EntryPoint]:
        if not found:
            every = entry_points()
            found.update((name, every.select(group=name)) for name in ENTRY_POINT_GROUPS.values())
        return found[group]

    return of_group


def _judge(kind: str, point: EntryPoint) -> Plugin:
    """Import one entry point and say what it is; whatever is wrong with it disables it, with the cause."""
    distribution = point.dist.name if point.dist else "(unknown)"
    version = point.dist.version if point.dist else ""
    plugin = Plugin(kind, point.name, distribution, version, f"entry point {point.value}")
    try:
        cls, config = _called(point, BASES[kind])
    except Exception as error:  # whatever a foreign module does when it is imported
        return replace(plugin, reason=str(error) or type(error).__name__)
    try:
        metadata = _metadata(kind, cls)
        plugin = replace(plugin, id=metadata.id if metadata else cls.id, metadata=metadata)
    except Exception as error:  # foreign code again
        return replace(plugin, reason=f"its metadata is malformed: {error}")
    if metadata and not SpecifierSet(metadata.api).contains(API_VERSION):
        return replace(plugin, reason=f"it supports plugin API {metadata.api}, this is {API_VERSION}")
    return replace(plugin, cls=cls, config=config)


def _called(point: EntryPoint, base: type) -> tuple[Any, Mapping[str, Any]]:
    try:
        function = point.load()
    except Exception as error:  # foreign code
        raise PluginFault(f"it cannot be imported: {type(error).__name__}: {error}") from error
    answer = function()
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], dict)):
        raise PluginFault("its entry point does not return (class, dict)")
    if not (isinstance(answer[0], type) and issubclass(answer[0], base)):
        raise PluginFault(f"its class does not derive from reconciler.plugin.{base.__name__}")
    return answer


def _metadata(kind: str, cls: Any) -> Metadata | None:
    if kind == "content-type":
        if not isinstance(getattr(cls, "id", None), str):
            raise PluginFault("a content type needs a text `id`")
        return None
    metadata = cls.metadata()
    if not isinstance(metadata, Metadata) or not metadata.id or not isinstance(metadata.id, str):
        raise PluginFault("metadata() must return Metadata with an id")
    try:
        SpecifierSet(metadata.api)
    except InvalidSpecifier:
        raise PluginFault(f"`{metadata.api}` is no PEP 440 range of API versions") from None
    return metadata
