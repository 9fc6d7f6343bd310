"""Uses of plugins by repositories: the importer of its sources, the publishers of its publications.

Declared uses are validated and attached; recorded ones tell which plugins may be detached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from reconciler.engine.plugin_calls.conduits import call_configuration
from reconciler.engine.plugin_calls.plugin_settings import ENCODER
from reconciler.engine.sources.selection import plain_options
from reconciler.model import (
    PUBLICATION_KEYS,
    SOURCE_KEYS,
    ActualResource,
    Digest,
    Kind,
    Publication,
    Ref,
    Repository,
    SourceKind,
)
from reconciler.plugin import RESERVED_KEYS, Importer, PluginCallConfiguration, Publisher
from reconciler.plugin.registry import Registry
from reconciler.plugin.validation import Plugin

_BASES: Mapping[str, type] = {"importer": Importer, "publisher": Publisher}


Resources = Mapping[Ref, ActualResource]


@dataclass(frozen=True, slots=True)
class ConfiguredUse:
    """One use of a plugin: a source or a publication.

    Attributes:
        ref: The resource.
        where: Its place in the resource, for messages.
        options: The validated options.
        config: The three levels of configuration.
    """

    ref: Ref
    where: str
    options: Any
    config: PluginCallConfiguration


@dataclass(frozen=True)
class PluginUse:
    """All uses of one plugin by one repository.

    Of an importer: one for each source, or a single one without options if there is no source. Of a
    publisher: one for each publication.
    """

    repository: str
    plugin: Plugin
    places: tuple[ConfiguredUse, ...]

    @property
    def owner(self) -> str:
        """The owner of its scratchpads and working directories."""
        return owner_of(self.plugin)

    @property
    def overridden(self) -> bool:
        """True if an override takes part, which is never recorded."""
        return any(place.config.override for place in self.places)

    @cached_property
    def digest(self) -> Digest:
        """Digest of the complete configuration."""
        written = [
            [
                place.where,
                plain_options(place.options),
                place.config.override,
                place.config.repository,
            ]
            for place in self.places
        ]
        return Digest.of(ENCODER.encode([written, self.plugin.config]))


def owner_of(plugin: Plugin) -> str:
    """Return the owner of a plugin's scratchpads and directories, like `importer:python`."""
    return f"{plugin.kind}:{plugin.id}"


def implements(plugin: Plugin, method: str) -> bool:
    """Return True if the plugin overrides the method; else no instance of it is needed."""
    return getattr(plugin.cls, method) is not getattr(_BASES[plugin.kind], method)


def importer_use(repository: Repository, registry: Registry) -> PluginUse:
    """Return how a repository uses its importer. Raises PluginFault if it cannot be used."""
    plugin = registry.importer(repository.type)
    ref, name = repository.meta.ref, repository.meta.name
    places = [
        ConfiguredUse(
            ref, f"source `{source.id}`", source.options, call_configuration(source.config, plugin)
        )
        for source in repository.sources
    ]
    return PluginUse(
        name,
        plugin,
        tuple(places) or (ConfiguredUse(ref, "", None, call_configuration(None, plugin)),),
    )


def publisher_uses(publications: Iterable[Publication], registry: Registry) -> list[PluginUse]:
    """Return the uses of publishers, by repository and publisher, publications in name order.

    Raises PluginFault if a plugin cannot be used.
    """
    by_publisher: dict[tuple[str, str], list[Publication]] = {}
    for publication in sorted(publications, key=lambda publication: publication.meta.name):
        by_publisher.setdefault((publication.repository, publication.publisher), []).append(
            publication
        )
    uses = []
    for (repository, id), shown in sorted(by_publisher.items()):
        plugin = registry.publisher(id)
        uses.append(
            PluginUse(repository, plugin, tuple(_published(member, plugin) for member in shown))
        )
    return uses


def _published(publication: Publication, plugin: Plugin) -> ConfiguredUse:
    ref = publication.meta.ref
    return ConfiguredUse(
        ref, ref.name, publication.options, call_configuration(publication.config, plugin)
    )


def recorded_owners(
    resources: Resources, beside: Resources = MappingProxyType({})
) -> dict[str, set[str]]:
    """Return the owners that recorded resources use, by name of the repository.

    `beside`: further resources in which a publication's repository may be found.
    """
    owners: dict[str, set[str]] = {}
    for ref, resource in resources.items():
        if ref.kind is Kind.REPOSITORY:
            owners.setdefault(ref.name, set()).add(f"importer:{resource.spec['type']}")
        elif user := publisher_of(resource, resources) or publisher_of(resource, beside):
            owners.setdefault(user[0], set()).add(f"publisher:{user[1]}")
    return owners


def publisher_of(resource: ActualResource, resources: Resources) -> tuple[str, str] | None:
    """Return repository name and publisher ID of a recorded Publication, None for other kinds."""
    if resource.ref.kind is not Kind.PUBLICATION:
        return None
    name = resource.spec["repository"]
    repository = resources.get(Ref(Kind.REPOSITORY, name))
    id = resource.spec.get("publisher") or (repository.spec["type"] if repository else None)
    return None if id is None else (name, id)


def source_options(spec: Mapping[str, Any], resources: Resources) -> dict[str, Any]:
    """Return what the first source of a recorded Repository, and its Remote, set for its plugin."""
    nothing: tuple[str, Mapping[str, Any]] = ("", {})
    kind, entry = next(
        (named for source in spec.get("sources", ()) for named in source.items()), nothing
    )
    own = {key: value for key, value in entry.items() if key not in SOURCE_KEYS}
    remote = resources.get(Ref(Kind.REMOTE, entry["name"])) if kind == SourceKind.REMOTE else None
    if remote is None:
        return own
    reserved = RESERVED_KEYS[Kind.REMOTE]
    return {key: value for key, value in remote.spec.items() if key not in reserved} | own


def publication_options(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a recorded Publication sets for its plugin."""
    return {key: value for key, value in spec.items() if key not in PUBLICATION_KEYS}
