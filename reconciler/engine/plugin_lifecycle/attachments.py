"""Attach plugins to repositories and detach them, with the hooks `..._added` and `..._removed`.

A repository uses its importer and the publishers of its publications. The difference between what
is declared and the recorded attachments decides which hooks run. `..._added` runs before anything
is recorded, `..._removed` before the plugin's data is deleted; after a crash in between, the next
run calls the hook again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import msgspec

from reconciler.database import Attachment
from reconciler.engine.plugin_calls.conduits import call_configuration, plugin_faults
from reconciler.engine.plugin_calls.plugin_errors import error_text, is_unawaited
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.selection import plain_options
from reconciler.errors import PluginFault, ReconcilerError
from reconciler.model import (
    PUBLICATION_KEYS,
    SOURCE_KEYS,
    ActualResource,
    ActualState,
    Digest,
    Kind,
    Publication,
    Ref,
    Repository,
)
from reconciler.plugin import Importer, PluginCallConfiguration, Publisher
from reconciler.plugin.registry import Registry
from reconciler.plugin.validation import Plugin

_BASES: Mapping[str, type] = {"importer": Importer, "publisher": Publisher}

Resources = Mapping[Ref, ActualResource]


def _plain(value: Any) -> Any:
    """Encode what a plugin-level configuration may hold beside JSON, to take a digest of it."""
    return dict(value) if isinstance(value, Mapping) else type(value).__qualname__


_ENCODER = msgspec.json.Encoder(order="sorted", enc_hook=_plain)


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
        return Digest.of(_ENCODER.encode([written, self.plugin.config]))


def owner_of(plugin: Plugin) -> str:
    """Return the owner of a plugin's scratchpads and working directories, such as
    `importer:python`.
    """
    return f"{plugin.kind}:{plugin.id}"


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


def recorded_attachments(
    attachments: Mapping[int, Sequence[Attachment]], actual: ActualState
) -> dict[str, dict[str, Attachment]]:
    """Return the recorded attachments by name of the repository and by owner."""
    return {
        name: {attachment.owner: attachment for attachment in attachments.get(state.id, ())}
        for name, state in actual.repositories.items()
    }


@dataclass(slots=True)
class PluginLifecycle:
    """Hooks of one apply.

    Attributes:
        before: The state when the apply began.
        held: Attachments recorded then.
        fresh: Attachments to record together with the resources.
    """

    session: WritingSession
    before: ActualState
    held: dict[str, dict[str, Attachment]]
    fresh: dict[str, list[Attachment]] = field(default_factory=dict)

    def importers(self, repositories: Iterable[Repository]) -> dict[Ref, str]:
        """Call `importer_added` for repositories that begin to use an importer.

        Returns the error by repository where that failed: nothing of these may be recorded.
        """
        failed: dict[Ref, str] = {}
        for repository in repositories:
            try:
                use = importer_use(repository, self.session.registry)
            except ReconcilerError as error:
                failed[repository.meta.ref] = error_text(error)
                continue
            if use.owner not in self.held.get(use.repository, {}) and (
                message := self._add(use, use.places[0].config)
            ):
                failed[repository.meta.ref] = message
                if repository.meta.ref not in self.before.resources:
                    self.session.workdirs.remove(use.repository)
            else:
                self._attach(use)
        return failed

    def publishers(self, publications: Iterable[Publication]) -> dict[Ref, str]:
        """Call `publisher_added` where a repository is published by a publisher for the first time.

        Returns the error by publication where that failed; other publications are not affected.
        """
        failed: dict[Ref, str] = {}
        for use in publisher_uses(publications, self.session.registry):
            is_attached = use.owner in self.held.get(use.repository, {})
            accepted = []
            for place in use.places:
                message = "" if is_attached else self._add(use, place.config)
                if message:
                    failed[place.ref] = message
                else:
                    is_attached = True
                    accepted.append(place)
            if accepted:
                self._attach(PluginUse(use.repository, use.plugin, tuple(accepted)))
        return failed

    def leave(
        self, after: Resources, *, gone: Iterable[Ref], spared: Iterable[Ref]
    ) -> dict[Ref, list[str]]:
        """Detach plugins that nothing uses any more: `..._removed`, then working directories and
        scratchpads.

        Args:
            after: Resources as they will be recorded.
            gone: Resources that are deleted by the caller afterwards.
            spared: Resources that did not reach what is declared, so that what they used before
            stays.

        Returns: messages by resource.
        """
        removed = set(gone)
        used = _used(after)
        recorded = self.before.resources
        for name, owners in _used(
            {ref: recorded[ref] for ref in spared if ref in recorded}, recorded
        ).items():
            used.setdefault(name, set()).update(owners)
        messages: dict[Ref, list[str]] = {}
        for name, held in self.held.items():
            goes = Ref(Kind.REPOSITORY, name) in removed
            for owner in sorted(
                held.keys() - used.get(name, set()), reverse=True
            ):  # publishers before the importer
                ref, message = self._remove(name, owner, removed)
                if message:
                    messages.setdefault(ref, []).append(message)
                self.session.workdirs.remove(name, owner)
                if not goes:
                    self.session.writer.detach(self.before.repositories[name].id, owner)
            if goes:
                self.session.workdirs.remove(name)
        return messages

    def _attach(self, use: PluginUse) -> None:
        recorded = self.held.get(use.repository, {}).get(use.owner)
        if recorded is None or (recorded.config != use.digest and not use.overridden):
            self.fresh.setdefault(use.repository, []).append(Attachment(use.owner, use.digest))

    def _add(self, use: PluginUse, config: PluginCallConfiguration) -> str:
        """Call the `..._added` hook. Returns the error, empty on success; after an error nothing is
        left of it.
        """
        message = self._hook(use.plugin, f"{use.plugin.kind}_added", use.repository, config)
        if message:
            self.session.workdirs.remove(use.repository, use.owner)
        return message

    def _remove(self, name: str, owner: str, gone: set[Ref]) -> tuple[Ref, str]:
        """Call the `..._removed` hook. Returns the resource that it is about, and a message if
        there is one.
        """
        kind, _, id = owner.partition(":")
        ref, spec = self._user(name, kind, id, gone)
        try:
            plugin = self.session.registry.find(kind, id)
        except ReconcilerError as error:
            return ref, f"{error}, so `{kind}_removed` did not run"
        if plugin is None:
            return (
                ref,
                f"{kind} `{id}`: its plugin is not installed, so `{kind}_removed` did not run",
            )
        if not plugin.enabled:
            return (
                ref,
                (
                    f"{kind} `{id}`: its plugin is disabled ({plugin.reason}), so `{kind}_removed`"
                    " did not run"
                ),
            )
        return ref, self._hook(
            plugin, f"{kind}_removed", name, PluginCallConfiguration({}, spec, plugin.config)
        )

    def _user(self, name: str, kind: str, id: str, gone: set[Ref]) -> tuple[Ref, Mapping[str, Any]]:
        """Return a resource that used the plugin, preferably a deleted one, and what it had set for
        the plugin.
        """
        repository = Ref(Kind.REPOSITORY, name)
        recorded = self.before.resources.get(repository)
        if kind == "importer" or recorded is None:
            return repository, _source_level(recorded.spec) if recorded else {}
        users = [
            ref
            for ref, resource in self.before.resources.items()
            if publisher_of(resource, self.before.resources) == (name, id)
        ]
        user = min(users, key=lambda ref: (ref not in gone, ref.name), default=None)
        return (
            (repository, {})
            if user is None
            else (user, _publication_level(self.before.resources[user].spec))
        )

    def _hook(
        self, plugin: Plugin, method: str, repository: str, config: PluginCallConfiguration
    ) -> str:
        """Call a hook in the current thread. Returns the error, empty on success."""
        cls: Any = plugin.cls
        if not implements(plugin, method):
            return ""
        call = f"`{method}` of `{plugin.id}`"
        try:
            with self.session.watch(f"{call} for repository `{repository}`"), plugin_faults(call):
                answer = getattr(cls(), method)(
                    self.session.workdirs.persistent(repository, owner_of(plugin)), config
                )
                if is_unawaited(answer):
                    raise PluginFault(
                        "it is `async`, and would never run", hint=f"write `def {method}`"
                    )
        except ReconcilerError as error:
            return error_text(error)
        return ""


def implements(plugin: Plugin, method: str) -> bool:
    """Return True if the plugin overrides the method; else no instance of it is needed."""
    return getattr(plugin.cls, method) is not getattr(_BASES[plugin.kind], method)


def _published(publication: Publication, plugin: Plugin) -> ConfiguredUse:
    ref = publication.meta.ref
    return ConfiguredUse(
        ref, ref.name, publication.options, call_configuration(publication.config, plugin)
    )


def _used(resources: Resources, beside: Resources = MappingProxyType({})) -> dict[str, set[str]]:
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


def _source_level(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the first source of a recorded Repository sets for its plugin."""
    entry: Mapping[str, Any] = next(
        (options for source in spec.get("sources", ()) for options in source.values()), {}
    )
    return {key: value for key, value in entry.items() if key not in SOURCE_KEYS}


def _publication_level(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a recorded Publication sets for its plugin."""
    return {key: value for key, value in spec.items() if key not in PUBLICATION_KEYS}
