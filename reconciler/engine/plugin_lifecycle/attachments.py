"""Attach plugins to repositories and detach them, with the hooks `..._added` and `..._removed`.

A repository uses its importer and the publishers of its publications. The difference between what
is declared and the recorded attachments decides which hooks run. `..._added` runs before anything
is recorded, `..._removed` before the plugin's data is deleted; after a crash in between, the next
run calls the hook again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.database import Attachment
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.plugin_calls.plugin_errors import error_text, is_unawaited
from reconciler.engine.plugin_lifecycle.plugin_uses import (
    PluginUse,
    Resources,
    implements,
    importer_use,
    owner_of,
    publication_options,
    publisher_of,
    publisher_uses,
    recorded_owners,
    source_options,
)
from reconciler.engine.session.session import WritingSession
from reconciler.errors import PluginFault, ReconcilerError
from reconciler.model import (
    ActualState,
    Kind,
    Publication,
    Ref,
    Repository,
)
from reconciler.plugin import PluginCallConfiguration
from reconciler.plugin.validation import Plugin


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
        attached: Attachments recorded then, by repository and owner.
        new_attachments: Attachments to record together with the resources.
    """

    session: WritingSession
    before: ActualState
    attached: dict[str, dict[str, Attachment]]
    new_attachments: dict[str, list[Attachment]] = field(default_factory=dict)

    def attach_importers(self, repositories: Iterable[Repository]) -> dict[Ref, str]:
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
            if use.owner not in self.attached.get(use.repository, {}) and (
                message := self._add(use, use.places[0].config)
            ):
                failed[repository.meta.ref] = message
                if repository.meta.ref not in self.before.resources:
                    self.session.workdirs.remove(use.repository)
            else:
                self._attach(use)
        return failed

    def attach_publishers(self, publications: Iterable[Publication]) -> dict[Ref, str]:
        """Call `publisher_added` where a repository is published by a publisher for the first time.

        Returns the error by publication where that failed; other publications are not affected.
        """
        failed: dict[Ref, str] = {}
        for use in publisher_uses(publications, self.session.registry):
            is_attached = use.owner in self.attached.get(use.repository, {})
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

    def detach_unused(
        self, after: Resources, *, gone: Iterable[Ref], spared: Iterable[Ref]
    ) -> dict[Ref, list[str]]:
        """Detach plugins that nothing uses any more.

        Calls `..._removed`, then deletes working directories and scratchpads.

        Args:
            after: Resources as they will be recorded.
            gone: Resources that are deleted by the caller afterwards.
            spared: Resources that did not reach what is declared, so that what they used before
            stays.

        Returns: messages by resource.
        """
        removed = set(gone)
        used = recorded_owners(after)
        recorded = self.before.resources
        for name, owners in recorded_owners(
            {ref: recorded[ref] for ref in spared if ref in recorded}, recorded
        ).items():
            used.setdefault(name, set()).update(owners)
        messages: dict[Ref, list[str]] = {}
        for name, attached in self.attached.items():
            goes = Ref(Kind.REPOSITORY, name) in removed
            for owner in sorted(
                attached.keys() - used.get(name, set()), reverse=True
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
        recorded = self.attached.get(use.repository, {}).get(use.owner)
        if recorded is None or (recorded.config != use.digest and not use.overridden):
            self.new_attachments.setdefault(use.repository, []).append(
                Attachment(use.owner, use.digest)
            )

    def _add(self, use: PluginUse, config: PluginCallConfiguration) -> str:
        """Call the `..._added` hook. Returns the error, empty on success.

        After an error nothing is left of it.
        """
        message = self._hook(use.plugin, f"{use.plugin.kind}_added", use.repository, config=config)
        if message:
            self.session.workdirs.remove(use.repository, use.owner)
        return message

    def _remove(self, name: str, owner: str, gone: set[Ref]) -> tuple[Ref, str]:
        """Call the `..._removed` hook. Returns its resource, and a message if there is one."""
        kind, _, id = owner.partition(":")
        ref, spec = self._user_of(name, kind, id, gone=gone)
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
            plugin, f"{kind}_removed", name, config=PluginCallConfiguration({}, spec, plugin.config)
        )

    def _user_of(
        self, name: str, kind: str, id: str, *, gone: set[Ref]
    ) -> tuple[Ref, Mapping[str, Any]]:
        """Return a resource that used the plugin, and the options that it set.

        A deleted resource is preferred.
        """
        repository = Ref(Kind.REPOSITORY, name)
        recorded = self.before.resources.get(repository)
        if kind == "importer" or recorded is None:
            resources = self.before.resources
            return repository, source_options(recorded.spec, resources) if recorded else {}
        users = [
            ref
            for ref, resource in self.before.resources.items()
            if publisher_of(resource, self.before.resources) == (name, id)
        ]
        user = min(users, key=lambda ref: (ref not in gone, ref.name), default=None)
        return (
            (repository, {})
            if user is None
            else (user, publication_options(self.before.resources[user].spec))
        )

    def _hook(
        self, plugin: Plugin, method: str, repository: str, *, config: PluginCallConfiguration
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
