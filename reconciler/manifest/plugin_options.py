"""What a plugin's keys come to: the plugin level, then what the manifest says, as one validated
model and as the levels it was made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.manifest.canonical import canonical
from reconciler.manifest.document import Path
from reconciler.manifest.plugin_lookup import Usable
from reconciler.manifest.validation import Checked
from reconciler.plugin import Options, PluginCallConfiguration


@dataclass(frozen=True, slots=True)
class Effective:
    """`options`: the model of all levels together; `spec`: what the manifest says, as it is
    recorded; `config`: the levels.
    """

    options: Options
    spec: dict[str, Any]
    config: PluginCallConfiguration


def effective(
    checked: Checked, path: Path, plugin: Usable, core: Sequence[str]
) -> Effective | None:
    """The options of `plugin` at `path`, beside the core's own keys there; None, and faults, where
    they do not fit.
    """
    left = plugin_keys(checked, path, core)
    options = checked.against(plugin.cls.options, path, _over(plugin, left), core)
    if options is None:
        return None
    spec = canonical(left, options, plugin.given)
    return Effective(options, spec, PluginCallConfiguration({}, spec, plugin.config))


def merged(checked: Checked, path: Path, plugin: Usable, core: Sequence[str]) -> dict[str, Any]:
    """The same as plain data, before any model saw it."""
    return dict(_over(plugin, plugin_keys(checked, path, core)))


def plugin_keys(checked: Checked, path: Path, core: Sequence[str]) -> dict[str, Any]:
    """What is left to the plugin at `path`."""
    return {key: value for key, value in checked.mapping(*path).items() if key not in core}


def _over(plugin: Usable, written: dict[str, Any]) -> Mapping[str, Any]:
    """Presence wins, key by key; a key without a value counts as not written."""
    if not plugin.given:
        return written
    return {**plugin.given, **{key: value for key, value in written.items() if value is not None}}
