"""Configuration of one call: override, then repository, then plugin level."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class PluginCallConfiguration:
    """Read-only configuration for one call of a plugin.

    `get` looks at the three levels in this order: `override` (given for this call, never stored), `repository`
    (the manifest), `plugin` (the entry point's dictionary). Presence wins: a key that is set to None at a higher
    level hides a lower one; a key that is not set hides nothing.
    """

    __slots__ = ("override", "plugin", "repository")

    def __init__(self, override: Mapping[str, Any], repository: Mapping[str, Any], plugin: Mapping[str, Any]) -> None:
        self.override = MappingProxyType(dict(override))
        self.repository = MappingProxyType(dict(repository))
        self.plugin = MappingProxyType(dict(plugin))

    def get(self, key: str, default: Any = None) -> Any:
        """The first value found for `key`, or `default`."""
        for level in (self.override, self.repository, self.plugin):
            if key in level:
                return level[key]
        return default
