"""Which plugins are installed, and what they are: what is advertised comes in, judged plugins go
out.

Loading is lazy: a plugin of ours is imported when a manifest names its type, so that a command pays
for nothing that it does not use. What others advertise is imported and judged by `start`, before
anything relies on it. By convention an entry point bears the ID of its plugin; one that does not is
still found, by loading the others of its kind.
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
    """The plugins of this installation. `points` replaces the installed entry points in tests, by
    group.
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
        """Judge everything that did not come with reconciler. Raises PluginFault where no command
        may go on: an ID that two plugins claim, a content type that nobody defines. Does next to
        nothing where nothing foreign is installed.
        """
        foreign = [self._judged(one) for kind in KINDS for one in self._of(kind) if not one.ours]
        _refuse(self._settle(plugin) for plugin in foreign)

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
        """The plugin of that kind and ID, enabled or not, or None. Raises PluginFault when two
        plugins claim it.
        """
        if (kind, id) not in self._found:
            found = [self._settle(plugin) for plugin in self._claiming(kind, id)]
            _refuse(found)
            if not found:
                return None
            self._found[kind, id] = found[0]
        return self._found[kind, id]

    def ids(self, kind: str) -> list[str]:
        """IDs of the enabled plugins of a kind, for hints."""
        return sorted({plugin.id for plugin in self._all_of(kind) if plugin.enabled})

    def all(self) -> list[Plugin]:
        """Every installed plugin by kind and ID. Raises PluginFault on a duplicate ID or a content
        type that nobody defines.
        """
        plugins = self.examined()
        _refuse(plugins)
        return plugins

    def examined(self) -> list[Plugin]:
        """Likewise, raising nothing: the culprits are marked `refused`, with the reason."""
        plugins = [self._settle(plugin) for kind in KINDS for plugin in self._all_of(kind)]
        return sorted(
            plugins, key=lambda plugin: (plugin.kind, plugin.id, plugin.distribution, plugin.origin)
        )

    def known(self) -> set[str]:
        """IDs of what is judged, and the names under which everything is advertised: what settings
        may name. Imports nothing installed.
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
        """The enabled plugins of that ID, else the disabled ones. What has another name is loaded
        only where that finds none.
        """
        likely = [one for one in self._of(kind) if one.name == id or one in self._verdicts]
        found = [plugin for plugin in map(self._judged, likely) if plugin.id == id]
        if not any(plugin.enabled for plugin in found):
            found = [plugin for plugin in self._all_of(kind) if plugin.id == id]
        return [plugin for plugin in found if plugin.enabled] or found

    def _settle(self, plugin: Plugin) -> Plugin:
        """The last word on a plugin, now that it is seen beside the others."""
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
        """A plugin whose content type cannot be had: disabled along with the distribution that
        defines it, else refused.
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
