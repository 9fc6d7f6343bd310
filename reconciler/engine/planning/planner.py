"""Planning: desired state, actual state and resolved content become one plan. Reads only; the
session cannot write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.engine.planning.publication_changes import path_is_free, publication_change
from reconciler.engine.planning.single_source_artifacts import kept_remotes
from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message
from reconciler.engine.plugin_lifecycle.validation import validate_configurations
from reconciler.engine.session.session import Session
from reconciler.engine.sources.resolution import Others, resolve
from reconciler.engine.sources.spool import SpoolWriter
from reconciler.errors import ReconcilerError
from reconciler.model import (
    ActualState,
    DesiredState,
    Guard,
    Kind,
    Publication,
    Ref,
    Repository,
    SourceKind,
)
from reconciler.plan import (
    Action,
    ContentChanges,
    Failure,
    Plan,
    ResourceChange,
    guarded,
    resource_change,
)
from reconciler.plugin.registry import Registry

AT_ONCE = 8  # repositories resolved at the same time

Fingerprints = Mapping[Ref, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Allowances:
    """What the person who runs the plan lets it do."""

    prune: bool = False
    allow_destroy: bool = False


async def make_plan(
    session: Session,
    desired: DesiredState,
    actual: ActualState,
    fingerprints: Fingerprints,
    allowances: Allowances,
) -> Plan:
    """The plan. `fingerprints`: keyed fingerprints of each resource's secrets, by path in its spec."""
    refused = await validate_configurations(
        session.reader, session.registry, session.workdirs, desired, actual, session.watch
    )
    own = {
        one.meta.ref: resource_change(
            one, actual.resources.get(one.meta.ref), fingerprints.get(one.meta.ref, {})
        )
        for one in desired
    }
    own = {
        ref: change.refused(*refused[ref]) if ref in refused else change
        for ref, change in own.items()
    }
    repositories = await Resolution(session, desired, actual, own, allowances).run()
    changes: dict[Ref, ResourceChange] = {}
    for resource in desired:
        change = own[resource.meta.ref]
        if isinstance(resource, Repository):
            change = repositories[resource.meta.name]
        elif isinstance(resource, Publication):
            change = await publication_change(
                session,
                desired,
                change,
                resource,
                changes,
                actual,
                allow_destroy=allowances.allow_destroy,
            )
            change = change if allowances.prune else path_is_free(change, resource, desired, actual)
        changes[resource.meta.ref] = change
    unowned = sorted((ref for ref in actual.resources if ref not in changes), key=_last_kind_first)
    deletions = [_deletion(ref, actual, allowances) for ref in unowned] if allowances.prune else []
    if not allowances.allow_destroy:
        deletions = await asyncio.to_thread(
            kept_remotes, deletions, session.reader, desired, actual, changes
        )
    return Plan(
        manifest_digest=desired.digest,
        changes=(*_together(deletions), *changes.values()),
        plugins=_plugins(session.registry, desired),
        unowned=() if allowances.prune else tuple(unowned),
    )


class Resolution:
    """Resolves every repository, several at once; one that copies from another waits for it, so
    that it sees what this plan makes of that one.
    """

    def __init__(
        self,
        session: Session,
        desired: DesiredState,
        actual: ActualState,
        own: Mapping[Ref, ResourceChange],
        allowances: Allowances,
    ) -> None:
        self._session = session
        self._desired = desired
        self._actual = actual
        self._own = own
        self._allowances = allowances
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._running: dict[str, asyncio.Task[ResourceChange]] = {}

    async def run(self) -> dict[str, ResourceChange]:
        """The change of each repository, with its content, by name."""
        for name in self._desired.repositories:
            self._running[name] = asyncio.create_task(self._change(name))
        return dict(zip(self._running, await asyncio.gather(*self._running.values()), strict=True))

    async def _change(self, name: str) -> ResourceChange:
        repository = self._desired.repositories[name]
        planned = {}
        for source in repository.sources:
            if source.kind is SourceKind.REPOSITORY:
                change = await self._running[source.name]
                if change.content is not None and not change.refusal:
                    planned[source.name] = change.content
        own = self._own[repository.meta.ref]
        content = (
            _nothing(self._actual, name)
            if own.refusal
            else await self._content(repository, planned)
        )
        return _repository_change(own, content, repository, self._actual, self._allowances)

    async def _content(
        self, repository: Repository, planned: Mapping[str, ContentChanges]
    ) -> ContentChanges:
        async with self._slots:
            try:
                return await resolve(
                    self._session, repository, self._desired, Others(self._actual, planned)
                )
            except ReconcilerError as error:
                return _unresolved(error_message(error), error_hint(error))
            except Exception as error:  # whatever a plugin did to this repository, the others go on
                return _unresolved(f"cannot be resolved: {error_message(error)}")


def _nothing(actual: ActualState, name: str) -> ContentChanges:
    """Of a repository that is not even looked at."""
    spool, counts = SpoolWriter().close()
    state = actual.repositories.get(name)
    return ContentChanges(spool, counts, units=state.units if state else 0)


def _unresolved(message: str, hint: str | None = None) -> ContentChanges:
    spool, counts = SpoolWriter().close()
    return ContentChanges(spool, counts, failures=(Failure("repository", None, message, hint),))


def _repository_change(
    change: ResourceChange,
    content: ContentChanges,
    repository: Repository,
    actual: ActualState,
    allowances: Allowances,
) -> ResourceChange:
    state = actual.repositories.get(repository.meta.name)
    number = state.number if state else 0
    after = number + 1 if content.counts.total else number
    changes = (
        content.counts.total or content.counts.download
    )  # bytes that were left upstream come without a new version
    action = Action.UPDATE if change.action is Action.NO_OP and changes else change.action
    change = replace(change, action=action, content=content, version=(number, after))
    return (
        change
        if change.refusal
        else guarded(change, repository.guard, allow_destroy=allowances.allow_destroy)
    )


def _deletion(ref: Ref, actual: ActualState, allowances: Allowances) -> ResourceChange:
    """A resource that no manifest declares goes; its guard is the one that was recorded with it."""
    recorded = actual.resources[ref]
    settings = recorded.spec.get("guard", {})
    guard = Guard(prevent_destroy=bool(settings.get("preventDestroy", False)))
    state = actual.repositories.get(ref.name) if ref.kind is Kind.REPOSITORY else None
    change = ResourceChange(
        Action.DELETE,
        ref,
        "no manifest declares it any more",
        version=(state.number if state else None, None),
    )
    return guarded(change, guard, allow_destroy=allowances.allow_destroy)


def _together(deletions: list[ResourceChange]) -> list[ResourceChange]:
    """What goes, goes together: where a guard keeps one, the publications that show it and the
    remotes that feed it stay as well.
    """
    kept = next((deletion for deletion in deletions if deletion.refusal), None)
    if kept is None:
        return deletions
    return [
        (
            deletion
            if deletion.refusal
            else deletion.refused(f"{deletion.ref} stays as long as {kept.ref} does", kept.hint)
        )
        for deletion in deletions
    ]


def _last_kind_first(ref: Ref) -> tuple[int, str]:
    return -list(Kind).index(ref.kind), ref.name


def _plugins(registry: Registry, desired: DesiredState) -> dict[str, str]:
    used = {repository.type for repository in desired.repositories.values()}
    return {name: registry.importer(name).distribution_version for name in sorted(used)}
