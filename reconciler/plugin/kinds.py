"""The three kinds of plugins: what each derives from, and where it is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.plugin.content import ContentType
from reconciler.plugin.importer import Importer
from reconciler.plugin.publisher import Publisher


@dataclass(frozen=True, slots=True)
class PluginKind:
    """`group`: of entry points; `folder` and `module`: in a plugin directory; `models`: class
    attributes that must be option models.
    """

    base: type
    group: str
    folder: str
    module: str
    models: tuple[str, ...] = ()


KINDS: Mapping[str, PluginKind] = {
    "importer": PluginKind(
        Importer, "reconciler.importers", "importers", "importer", ("options", "filter_options")
    ),
    "publisher": PluginKind(
        Publisher, "reconciler.publishers", "publishers", "publisher", ("options",)
    ),
    "content-type": PluginKind(
        ContentType, "reconciler.content_types", "content_types", "content_type"
    ),
}
