"""Registry of installed plugins: finds what is advertised, validates it, looks it up by ID.

Loading is lazy: a plugin that ships with reconciler is imported when a manifest names its type, so
that a command pays only for what it uses. Plugins of other distributions are imported and validated
by `start`, before anything relies on them. By convention the name of an entry point is the ID of
its plugin; a plugin with another name is found by loading all of its kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from reconciler.errors import PluginFault
from reconciler.plugin.config import PluginSettings
from reconciler.plugin.content import ContentType
from reconciler.plugin.directories import in_directory
from reconciler.plugin.entry_points import KINDS, Advertised, Installed, Points
from reconciler.plugin.importer import Importer
from reconciler.plugin.validation import Plugin, validate

LIST = "`reconciler plugins` lists what is installed"


class Registry:
    """Plugins of this installation.

    `points`: entry points by group instead of the installed ones, for tests.
    """

    def __init__(
        self, points: Points | None = None, settings: PluginSettings | None = None
    ) -> None:
        self.settings = settings or PluginSettings()
        self._installed = Installed(points)
        self._advertised: dict[str, list[Advertised]] = {}
        self._validated: dict[Advertised, Plugin] = {}
        self._plugins: dict[tuple[str, str], Plugin] = {}

    def start(self) -> None:
        """Validate every plugin that does not ship with reconciler.

        Raises PluginFault if two plugins claim one ID, or a plugin handles a content type that no
        plugin defines. Does next to nothing where no other plugins are installed.
        """
        foreign = [
            self._validate(advertised)
            for kind in KINDS
            for advertised in self._advertised_as(kind)
            if not advertised.ours
        ]
        _refuse(self._settle(plugin) for plugin in foreign)

    def importer(self, id: str) -> Plugin:
        """Return the importer of that ID. Raises PluginFault if it is missing or disabled."""
        return self._usable("importer", id)

    def publisher(self, id: str) -> Plugin:
        """Return the publisher of that ID. Raises PluginFault if it is missing or disabled."""
        return self._usable("publisher", id)

    def content_type(self, id: str) -> type[ContentType]:
        """Return the content type of that ID. Raises PluginFault if it is missing or disabled."""
        cls = self._usable("content-type", id).cls
        assert cls is not None
        return cls

    def find(self, kind: str, id: str) -> Plugin | None:
        """Return the plugin of that kind and ID, enabled or not, or None.

        Raises PluginFault when two plugins claim the ID.
        """
        if (kind, id) not in self._plugins:
            plugins = [self._settle(plugin) for plugin in self._claimants(kind, id)]
            _refuse(plugins)
            if not plugins:
                return None
            self._plugins[kind, id] = plugins[0]
        return self._plugins[kind, id]

    def ids(self, kind: str) -> list[str]:
        """Return the IDs of the enabled plugins of a kind, for hints."""
        return sorted({plugin.id for plugin in self._all_of(kind) if plugin.enabled})

    def all(self) -> list[Plugin]:
        """Return every installed plugin by kind and ID.

        Raises PluginFault on a duplicate ID or an undefined content type.
        """
        plugins = self.examined()
        _refuse(plugins)
        return plugins

    def examined(self) -> list[Plugin]:
        """Return the same and raise nothing: faulty plugins are `refused`, with the reason."""
        plugins = [self._settle(plugin) for kind in KINDS for plugin in self._all_of(kind)]
        return sorted(
            plugins, key=lambda plugin: (plugin.kind, plugin.id, plugin.distribution, plugin.origin)
        )

    def known_ids(self) -> set[str]:
        """Return IDs of validated plugins and names of advertised ones, which settings may use.

        Imports nothing that is installed.
        """
        return {plugin.id for plugin in self._validated.values()} | {
            advertised.name for kind in KINDS for advertised in self._advertised_as(kind)
        }

    def _usable(self, kind: str, id: str) -> Plugin:
        plugin = self.find(kind, id)
        if plugin is None:
            raise PluginFault(f"no installed plugin provides the {kind} `{id}`", hint=LIST)
        if not plugin.enabled:
            raise PluginFault(
                f"the {kind} `{id}` of {plugin.distribution} is disabled: {plugin.reason}"
            )
        return plugin

    def _advertised_as(self, kind: str) -> list[Advertised]:
        if kind not in self._advertised:
            advertised = self._installed.of(kind)
            if self.settings.directory is not None:
                advertised = advertised + in_directory(self.settings.directory, kind)
            self._advertised[kind] = sorted(
                advertised, key=lambda item: (item.name, item.distribution, item.origin)
            )
        return self._advertised[kind]

    def _validate(self, advertised: Advertised) -> Plugin:
        if advertised not in self._validated:
            self._validated[advertised] = validate(advertised, self.settings.configs)
        return self._validated[advertised]

    def _all_of(self, kind: str) -> list[Plugin]:
        return [self._validate(advertised) for advertised in self._advertised_as(kind)]

    def _claimants(self, kind: str, id: str) -> list[Plugin]:
        """Return the enabled plugins of that ID, else the disabled ones.

        Plugins advertised under another name are loaded only if that finds none.
        """
        likely = [
            advertised
            for advertised in self._advertised_as(kind)
            if advertised.name == id or advertised in self._validated
        ]
        plugins = [plugin for plugin in map(self._validate, likely) if plugin.id == id]
        if not any(plugin.enabled for plugin in plugins):
            plugins = [plugin for plugin in self._all_of(kind) if plugin.id == id]
        return [plugin for plugin in plugins if plugin.enabled] or plugins

    def _settle(self, plugin: Plugin) -> Plugin:
        """Return the plugin, disabled or refused if it conflicts with others."""
        if not plugin.enabled:
            return plugin
        rivals = self._claimants(plugin.kind, plugin.id)
        if len(rivals) > 1:
            names = " and ".join(
                sorted(f"{rival.distribution} ({rival.origin})" for rival in rivals)
            )
            return replace(
                plugin,
                reason=f"two plugins claim the {plugin.kind} ID `{plugin.id}`: {names}",
                refused=True,
            )
        for type in plugin.metadata.types if plugin.metadata else ():
            definition = next(iter(self._claimants("content-type", type)), None)
            if definition is None or not definition.enabled:
                return self._without(plugin, type, definition)
            misfit = _misfit(plugin.cls, definition.cls)
            if misfit:
                return replace(plugin, reason=f"it handles `{type}`, {misfit}")
        return plugin

    def _without(self, plugin: Plugin, type: str, definition: Plugin | None) -> Plugin:
        """Return a plugin whose content type is missing.

        Disabled if the distribution that should define it has a disabled type, else refused.
        """
        disabled = (
            candidate
            for candidate in self._all_of("content-type")
            if candidate.distribution == plugin.distribution and not candidate.enabled
        )
        culprit = definition or next(disabled, None)
        if culprit is None:
            message = (
                f"the {plugin.kind} `{plugin.id}` of {plugin.distribution} handles `{type}`, a"
                " content type that no installed plugin defines"
            )
            return replace(plugin, reason=message, refused=True)
        return replace(
            plugin,
            reason=(
                f"it handles `{type}`, and the content type `{culprit.id}` of"
                f" {culprit.distribution} is disabled: {culprit.reason}"
            ),
        )


def _misfit(importer: Any, type: Any) -> str:
    """Return how the option models of an importer are none that a content type knows.

    Empty where they are, and for a publisher: content types are given no options of publications.
    """
    if not issubclass(importer, Importer):
        return ""
    for name in ("options", "filter_options"):
        given, known = getattr(importer, name), getattr(type, name)
        if not issubclass(given, known):
            return (
                f"whose `{name}` are {known.__name__}: its own, {given.__name__}, must derive from"
                " them"
            )
    return ""


def _refuse(plugins: Iterable[Plugin]) -> None:
    reasons = list(dict.fromkeys(_refusals(plugins)))
    if reasons:
        raise PluginFault(
            "; ".join(reasons),
            hint="`reconciler plugins` shows them; uninstall or upgrade one of them",
        )


def _refusals(plugins: Iterable[Plugin]) -> Iterator[str]:
    return (plugin.reason for plugin in plugins if plugin.refused)
