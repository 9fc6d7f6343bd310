"""Options of a plugin: the plugin level, then the manifest, as one validated model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from reconciler.manifest.canonical import canonical
from reconciler.manifest.document import Document, Path
from reconciler.manifest.plugin_lookup import Usable
from reconciler.manifest.remote_defaults import RemoteDefaults
from reconciler.manifest.validation import Checked
from reconciler.model import KeyLocations
from reconciler.plugin import Options, PluginCallConfiguration
from reconciler.plugin.options import Located
from reconciler.plugin.source_options import option_keys, options_of


@dataclass(frozen=True, slots=True)
class Effective:
    """Validated options of a plugin.

    `options`: the model of all levels. `spec`: the manifest's part, as recorded. `config`: the
    levels.
    """

    options: Options
    spec: dict[str, Any]
    config: PluginCallConfiguration


def effective(
    checked: Checked,
    path: Path,
    plugin: Usable,
    *,
    core: Sequence[str],
    kind: str = "",
    remote: RemoteDefaults | None = None,
) -> Effective | None:
    """Return the options of `plugin` at `path`, or None and faults where they are invalid.

    `core`: keys at `path` that belong to the core. `kind`: of the source at `path`; `remote`: what
    the Remote sets that this one names.
    """
    left = plugin_keys(checked, path, core)
    model = options_of(plugin.cls, kind)
    options = checked.against(
        model,
        path,
        _over(plugin, left, model, remote=remote),
        also=core,
        located=located_on(remote),
        note=partial(remote.note, left) if remote is not None else None,
    )
    if options is None:
        return None
    hidden = remote.values if remote is not None else {}
    spec = canonical(left, options, {*plugin.given, *hidden})
    recorded = {**remote.spec, **spec} if remote is not None else spec
    return Effective(options, spec, PluginCallConfiguration({}, recorded, plugin.config))


def located_on(remote: RemoteDefaults | None) -> Mapping[str, Located]:
    """Return the paths that the Remote of a source names, by token."""
    return remote.located if remote is not None else {}


def merged(
    checked: Checked,
    path: Path,
    plugin: Usable,
    *,
    core: Sequence[str],
    kind: str = "",
    remote: RemoteDefaults | None = None,
) -> dict[str, Any]:
    """Return the options of `plugin` at `path` as plain data, before validation."""
    written = plugin_keys(checked, path, core)
    return dict(_over(plugin, written, options_of(plugin.cls, kind), remote=remote))


def plugin_keys(checked: Checked, path: Path, core: Sequence[str]) -> dict[str, Any]:
    """Return the keys at `path` that do not belong to the core."""
    return {key: value for key, value in checked.mapping(*path).items() if key not in core}


def _over(
    plugin: Usable, written: dict[str, Any], model: type[Options], *, remote: RemoteDefaults | None
) -> Mapping[str, Any]:
    """Return plugin level and Remote overlaid with `written`; a key without a value is not written.

    Of the plugin level only what `model` knows: the rest is for other places.
    """
    if not plugin.given and remote is None:
        return written
    known = option_keys(model)
    given = {key: value for key, value in plugin.given.items() if key in known}
    given |= remote.values if remote is not None else {}
    return {**given, **{key: value for key, value in written.items() if value is not None}}


def key_locations(
    document: Document,
    below: Path,
    plugin: Usable | None = None,
    *,
    remote: RemoteDefaults | None = None,
) -> KeyLocations:
    """Return the places of keys below `below`, looked up on demand.

    Keys that only `remote`, or the plugin-level configuration of `plugin`, sets stand there.
    """
    document = document.bare()

    def find(path: Path) -> str | None:
        origin = document.find((*below, *path))
        if origin is not None:
            return f"{origin.file}:{origin.line}"
        if not path or document.find((*below, path[0])) is not None:
            return None
        origin = remote.find(path) if remote is not None else None
        if origin is not None:
            return f"{origin.file}:{origin.line}"
        if plugin is None or path[0] not in plugin.given:
            return None
        return f"plugin-level configuration of `{plugin.id}`"

    return KeyLocations(find)
