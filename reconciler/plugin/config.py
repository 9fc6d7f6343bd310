"""Configuration of one plugin call (override, repository, plugin), and of an installation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any


class PluginCallConfiguration:
    """Read-only configuration for one call of a plugin.

    `get` looks at the three levels in this order: `override` (given for this call, never stored),
    `repository` (the manifest), `plugin` (the entry point's dictionary and the installation's
    settings). Presence wins: a key that is set to None at a higher level hides a lower one; a key
    that is not set hides nothing.

    All returned values are copies, nested lists and mappings too: changing them changes nothing.
    """

    __slots__ = ("_override", "_plugin", "_repository")

    def __init__(
        self, override: Mapping[str, Any], repository: Mapping[str, Any], plugin: Mapping[str, Any]
    ) -> None:
        self._override = _copied(override)
        self._repository = _copied(repository)
        self._plugin = _copied(plugin)

    @property
    def override(self) -> Mapping[str, Any]:
        """Keys given for this call alone (`--override`)."""
        return MappingProxyType(_copied(self._override))

    @property
    def repository(self) -> Mapping[str, Any]:
        """Keys of the manifest."""
        return MappingProxyType(_copied(self._repository))

    @property
    def plugin(self) -> Mapping[str, Any]:
        """Keys of the plugin's own configuration, overlaid with the installation's settings."""
        return MappingProxyType(_copied(self._plugin))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the first value for `key` in the order of the levels, or `default`."""
        for level in (self._override, self._repository, self._plugin):
            if key in level:
                return _copied(level[key])
        return default


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """Settings of an installation about its plugins.

    `configs`: by plugin ID, keys that replace those of the plugin-level configuration of every
    plugin of that ID; `origins`: the file that each of them comes from. `directory`: further
    plugins are loaded from there, for trying them out.
    """

    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None


def _copied(value: Any) -> Any:
    """Copy nested containers; other values that a plugin's dictionary holds are kept."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if type(value) is tuple:
        return tuple(_copied(item) for item in value)
    return set(value) if isinstance(value, set) else value
