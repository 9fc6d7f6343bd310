"""Registry of installed plugins: finds what is advertised, validates it, looks it up by ID.

Loading is lazy: a plugin that ships with reconciler is imported when a manifest names its type, so
that a command pays only for what it uses. Plugins of other distributions are imported and validated
by `start`, before anything relies on them. By convention the name of an entry point is the ID of
its plugin; a plugin with another name is found by loading all of its kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reconciler.errors import PluginFault
from reconciler.plugin.config import PluginSettings
from reconciler.plugin.content import ContentType
from reconciler.plugin.directories import in_directory
from reconciler.plugin.entry_points import Advertised, Installed, Points
from reconciler.plugin.kinds import KINDS
from reconciler.plugin.validation import Plugin, judge

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
        self._verdicts: dict[Advertised, Plugin] = {}
        self._found: dict[tuple[str, str], Plugin] = {}

    def start(self) -> None:
        """Validate every plugin that does not ship with reconciler.

        Raises PluginFault if two plugins claim one ID, or a plugin handles a content type that no
        plugin defines. Does next to nothing where no other plugins are installed.
        """
        foreign = [self._judged(one) for kind in KINDS for one in self._of(kind) if not one.ours]
        _refuse(self._settle(plugin) for plugin in foreign)

    def importer(self, id: str) -> Plugin:
        """Return the importer of that ID. Raises PluginFault if it is missing or disabled."""
        return self._usable("importer", id)

    def publisher(self, id: str) -> Plugin:
        """Return the publisher of that ID. Raises PluginFault if it is missing or disabled."""
        return self._usable("publisher", id)

    def content_type(self, id: str) -> type[ContentType]:
        """Return the content type of that ID. Raises PluginFault if it is missing or disabled."""
        found = self._usable("content-type", id).cls
        assert found is not None
        return found

    def find(self, kind: str, id: str) -> Plugin | None:
        """Return the plugin of that kind and ID, enabled or not, or None.

        Raises PluginFault when two plugins claim the ID.
        """
        if (kind, id) not in self._found:
            found = [self._settle(plugin) for plugin in self._claiming(kind, id)]
            _refuse(found)
            if not found:
                return None
            self._found[kind, id] = found[0]
        return self._found[kind, id]

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

    def known(self) -> set[str]:
        """Return IDs of validated plugins and names of advertised ones, which settings may use.

        Imports nothing that is installed.
        """
        return {plugin.id for plugin in self._verdicts.values()} | {
            one.name for kind in KINDS for one in self._of(kind)
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

    def _of(self, kind: str) -> list[Advertised]:
        if kind not in self._advertised:
            found = self._installed.of(kind)
            if self.settings.directory is not None:
                found = found + in_directory(self.settings.directory, kind)
            self._advertised[kind] = sorted(
                found, key=lambda item: (item.name, item.distribution, item.origin)
            )
        return self._advertised[kind]

    def _judged(self, advertised: Advertised) -> Plugin:
        if advertised not in self._verdicts:
            self._verdicts[advertised] = judge(advertised, self.settings.configs)
        return self._verdicts[advertised]

    def _all_of(self, kind: str) -> list[Plugin]:
        return [self._judged(one) for one in self._of(kind)]

    def _claiming(self, kind: str, id: str) -> list[Plugin]:
        """Return the enabled plugins of that ID, else the disabled ones.

        Plugins advertised under another name are loaded only if that finds none.
        """
        likely = [one for one in self._of(kind) if one.name == id or one in self._verdicts]
        found = [plugin for plugin in map(self._judged, likely) if plugin.id == id]
        if not any(plugin.enabled for plugin in found):
            found = [plugin for plugin in self._all_of(kind) if plugin.id == id]
        return [plugin for plugin in found if plugin.enabled] or found

    def _settle(self, plugin: Plugin) -> Plugin:
        """Return the plugin, disabled or refused if it conflicts with others."""
        if not plugin.enabled:
            return plugin
        rivals = self._claiming(plugin.kind, plugin.id)
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
            definition = next(iter(self._claiming("content-type", type)), None)
            if definition is None or not definition.enabled:
                return self._without(plugin, type, definition)
        return plugin

    def _without(self, plugin: Plugin, type: str, definition: Plugin | None) -> Plugin:
        """Return a plugin whose content type is missing.

        Disabled if the distribution that should define it has a disabled type, else refused.
        """
        disabled = (
            one
            for one in self._all_of("content-type")
            if one.distribution == plugin.distribution and not one.enabled
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


def _refuse(plugins: Iterable[Plugin]) -> None:
    reasons = list(dict.fromkeys(_refusals(plugins)))
    if reasons:
        raise PluginFault(
            "; ".join(reasons),
            hint="`reconciler plugins` shows them; uninstall or upgrade one of them",
        )


def _refusals(plugins: Iterable[Plugin]) -> Iterator[str]:
    return (plugin.reason for plugin in plugins if plugin.refused)
