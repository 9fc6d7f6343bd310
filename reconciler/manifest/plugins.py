"""The plugins that manifests name: each looked up once, and judged once, however many documents name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.errors import PluginFault
from reconciler.manifest.wording import suggestion
from reconciler.plugin import Importer, Options, Publisher, Registry


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a plugin cannot be used, and what now."""

    message: str
    hint: str | None


class Plugins:
    """The registry as one reading of manifests sees it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._found: dict[tuple[str, str], Any] = {}

    def importer(self, id: str) -> type[Importer] | Unusable:
        found: type[Importer] | Unusable = self._look("importer", id)
        return found

    def publisher(self, id: str) -> type[Publisher] | Unusable:
        found: type[Publisher] | Unusable = self._look("publisher", id)
        return found

    def _look(self, kind: str, id: str) -> Any:
        if (kind, id) not in self._found:
            self._found[kind, id] = self._judged(kind, id)
        return self._found[kind, id]

    def _judged(self, kind: str, id: str) -> Any:
        try:
            plugin = self._registry.importer(id) if kind == "importer" else self._registry.publisher(id)
        except PluginFault as error:
            known = self._registry.ids(kind) if error.hint else []
            return Unusable(error.message, error.hint if id in known else suggestion(id, known, error.hint))
        models = ("options", "filter_options") if kind == "importer" else ("options",)
        for name in models:
            if not (isinstance(model := getattr(plugin.cls, name, None), type) and issubclass(model, Options)):
                return Unusable(f"the {kind} `{id}` of {plugin.distribution} is broken: its `{name}` does not derive from Options", None)
        return plugin.cls
