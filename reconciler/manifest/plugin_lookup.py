"""Look up the plugins that manifests name, each one once per reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import ValidationError

from reconciler.errors import PluginFault
from reconciler.manifest.document import ManifestText, Path, Unplaced
from reconciler.manifest.validation import Checked
from reconciler.manifest.validation_messages import explained, findings, suggestion
from reconciler.plugin import Options
from reconciler.plugin.registry import Registry
from reconciler.plugin.source_options import option_keys, option_models
from reconciler.plugin.validation import Plugin


@dataclass(frozen=True, slots=True)
class Unusable:
    """Reason why a plugin cannot be used, with a hint."""

    message: str
    hint: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Usable:
    """Importer or publisher class with its plugin-level configuration.

    `given`: the part of it that the option model accepts. `wrong`: messages for keys with values
    that the model refuses.
    """

    kind: str
    id: str
    cls: Any
    config: Mapping[str, Any]
    given: Mapping[str, Any]
    wrong: tuple[str, ...] = ()


class Plugins:
    """Plugins by ID, for one reading of manifests.

    `repeat`: report a faulty plugin-level configuration at each use, not once.
    """

    def __init__(self, registry: Registry, *, repeat: bool = False) -> None:
        self._registry = registry
        self._repeat = repeat
        self._plugins: dict[tuple[str, str], Usable | Unusable] = {}
        self._reported: set[tuple[str, str]] = set()

    def importer(self, id: str) -> Usable | Unusable:
        return self._cached("importer", id)

    def publisher(self, id: str) -> Usable | Unusable:
        return self._cached("publisher", id)

    def used(self, plugin: Usable, checked: Checked, path: Path) -> None:
        """Report a faulty plugin-level configuration at `path`, where the plugin is used."""
        if not plugin.wrong or ((plugin.kind, plugin.id) in self._reported and not self._repeat):
            return
        self._reported.add((plugin.kind, plugin.id))
        where = (
            f"`[plugins.{plugin.id}]` in `reconciler.toml` and `plugins.d/{plugin.id}.conf` set it,"
            " else the plugin itself does"
        )
        for message in plugin.wrong:
            checked.refuse(
                path,
                f"the plugin-level configuration of {plugin.kind} `{plugin.id}`: {message}",
                where,
            )

    def _cached(self, kind: str, id: str) -> Usable | Unusable:
        if (kind, id) not in self._plugins:
            self._plugins[kind, id] = self._load(kind, id)
        return self._plugins[kind, id]

    def _load(self, kind: str, id: str) -> Usable | Unusable:
        try:
            plugin = (
                self._registry.importer(id) if kind == "importer" else self._registry.publisher(id)
            )
        except PluginFault as error:
            ids = self._registry.ids(kind) if error.hint else []
            return Unusable(
                error.message, error.hint if id in ids else suggestion(id, ids, error.hint)
            )
        return _usable(plugin, kind)


def _usable(plugin: Plugin, kind: str) -> Usable:
    """Return the plugin with the part of its configuration that manifests may set.

    Keys that the option model does not know are left to the plugin.
    """
    cls: Any = plugin.cls
    models = [(model, option_keys(model)) for model in option_models(cls)]
    settable = {
        key: value
        for key, value in plugin.config.items()
        if value is not None and any(key in known for _, known in models)
    }
    wrong: dict[str, str] = {}
    for model, known in models:
        values = {key: value for key, value in settable.items() if key in known}
        wrong |= dict(_faults(model, values)) if values else {}
    given = {key: value for key, value in settable.items() if key not in wrong}
    return Usable(kind, plugin.id, cls, plugin.config, given, tuple(wrong.values()))


def _faults(model: type[Options], values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield the keys whose values the model refuses, each with a message.

    Missing keys and contradictions are not reported: manifests may resolve them.
    """
    try:
        value = msgspec.json.decode(msgspec.json.encode(values))
        model.model_validate_json(msgspec.json.encode(value))
    except ValidationError as error:
        nowhere = Unplaced(ManifestText("", "", ""), 0, value, None)
        for finding in findings(error, value):
            if finding.path:
                (fault,) = explained([finding], nowhere, (), model=model)
                yield str(finding.path[0]), fault.message
    except Exception as error:  # what is not JSON, and a plugin's own validator
        yield from ((key, f"`{key}`: {type(error).__name__}") for key in values)
