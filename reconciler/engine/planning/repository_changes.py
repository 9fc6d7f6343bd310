"""Repositories in a plan: their content is resolved, several at once, and guarded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message
from reconciler.engine.session.session import Session
from reconciler.engine.sources.copied_version import CopiedVersion
from reconciler.engine.sources.repository_resolution import OtherRepositories
from reconciler.engine.sources.resolution import resolve
from reconciler.engine.sources.spool import SpoolWriter
from reconciler.errors import ReconcilerError
from reconciler.logs import log_context
from reconciler.model import LATEST, ActualState, DesiredState, Ref, Repository, SourceKind
from reconciler.plan import Action, ContentChanges, Failure, ResourceChange, apply_guards

MAX_CONCURRENT = 8  # repositories resolved at the same time

logger = logging.getLogger(__name__)


class RepositoryPlanner:
    """Plans the changes of all repositories.

    One that copies from another waits for it, to resolve what this plan makes of that one.
    """

    def __init__(
        self,
        session: Session,
        desired: DesiredState,
        actual: ActualState,
        *,
        changes: Mapping[Ref, ResourceChange],
        allow_destroy: bool,
        former: DesiredState | None = None,
    ) -> None:
        """
        Args:
            changes: Of the specifications of all resources.
            former: What earlier runs recorded, where that is known.
        """
        self._session = session
        self._desired = desired
        self._actual = actual
        self._spec_changes = changes
        self._allow_destroy = allow_destroy
        self._former = former
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._pinned = _pinned_repositories(desired)
        self._tasks: dict[str, asyncio.Task[ResourceChange]] = {}

    async def plan_all(self) -> dict[str, ResourceChange]:
        """Return the change of each repository, with its content, by name."""
        for name in self._desired.repositories:
            self._tasks[name] = asyncio.create_task(self._plan(name))
        return dict(zip(self._tasks, await asyncio.gather(*self._tasks.values()), strict=True))

    async def _plan(self, name: str) -> ResourceChange:
        repository = self._desired.repositories[name]
        planned = await self._planned_sources(repository)
        change = self._spec_changes[repository.meta.ref]
        content = (
            self._no_changes(name) if change.refusal else await self._resolve(repository, planned)
        )
        by_manifests = self._is_by_manifests(repository, content, planned)
        if content.counts.total and (by_manifests or name in self._pinned):
            content = await asyncio.to_thread(self._identified, name, content, by_manifests)
        return self._with_content(change, content, repository)

    def _identified(self, name: str, content: ContentChanges, by_manifests: bool) -> ContentChanges:
        """Return content with the digest of the version that it makes, which may exist already."""
        state, reader = self._actual.repositories.get(name), self._session.reader
        planned = CopiedVersion(reader, state, state.number if state else 0, planned=content)
        digest = planned.digest
        back_to = reader.version_by_digest(state.id, digest) if state and by_manifests else None
        return replace(content, version_digest=digest, back_to=back_to or None)

    def _is_by_manifests(
        self,
        repository: Repository,
        content: ContentChanges,
        bases: Mapping[str, ContentChanges],
    ) -> bool:
        """Return True if manifests alone change the content: selection, filters, pins.

        A base that goes back takes along what follows it.
        """
        recorded = self._actual.resources.get(repository.meta.ref)
        if recorded is None or content.failures or content.lost_upstream:
            return False
        if content.rules_changed or any(base.back_to is not None for base in bases.values()):
            return True
        return any(
            recorded.spec.get(key) != repository.spec.get(key) for key in ("sources", "filters")
        )

    async def _planned_sources(self, repository: Repository) -> dict[str, ContentChanges]:
        """Wait for the repositories that this one copies from; return their planned content."""
        planned = {}
        for source in repository.sources:
            if source.kind is SourceKind.REPOSITORY:
                change = await self._tasks[source.name]
                if change.content is not None and not change.refusal:
                    planned[source.name] = change.content
        return planned

    async def _resolve(
        self, repository: Repository, planned: Mapping[str, ContentChanges]
    ) -> ContentChanges:
        async with self._slots:
            with log_context(repository=repository.meta.name):
                logger.debug("resolving")
                try:
                    return await resolve(
                        self._session,
                        repository,
                        self._desired,
                        others=OtherRepositories(self._actual, planned),
                        allow_destroy=self._may_destroy(repository),
                        former=self._former,
                    )
                except ReconcilerError as error:
                    return _unresolved(error_message(error), error_hint(error))
                except Exception as error:  # plugin code failed: other repositories go on
                    message = f"cannot be resolved: {error_message(error)}"
                    return _unresolved(message, error_hint(error))

    def _no_changes(self, name: str) -> ContentChanges:
        """Return the content of a repository that is not resolved."""
        spool, counts = SpoolWriter().close()
        state = self._actual.repositories.get(name)
        return ContentChanges(spool, counts, units=state.units if state else 0)

    def _with_content(
        self, change: ResourceChange, content: ContentChanges, repository: Repository
    ) -> ResourceChange:
        state = self._actual.repositories.get(repository.meta.name)
        before = state.number if state else 0
        after = before + 1 if content.counts.total else before
        # bytes that were left upstream are downloaded without a new version
        differs = content.counts.total or content.counts.download or content.counts.unsized
        action = Action.UPDATE if change.action is Action.NO_OP and differs else change.action
        reason = f"back to the content of version {content.back_to}" if content.back_to else ""
        change = replace(
            change,
            action=action,
            content=content,
            version=(before, after),
            reason=change.reason or reason,
        )
        if change.refusal:
            return change
        return apply_guards(change, repository.guard, allow_destroy=self._may_destroy(repository))

    def _may_destroy(self, repository: Repository) -> bool:
        """Return True if the command line or the manifest approves of guarded removals."""
        return self._allow_destroy or repository.approves_removals(self._session.now)


def _pinned_repositories(desired: DesiredState) -> set[str]:
    """Return the repositories of which something refers to a version by number or digest."""
    publications = (
        (publication.repository, publication.version)
        for publication in desired.publications.values()
    )
    sources = (
        (source.name, source.version)
        for repository in desired.repositories.values()
        for source in repository.sources
        if source.kind is SourceKind.REPOSITORY
    )
    return {name for name, version in (*publications, *sources) if version != LATEST}


def _unresolved(message: str, hint: str | None = None) -> ContentChanges:
    spool, counts = SpoolWriter().close()
    return ContentChanges(spool, counts, failures=(Failure("repository", None, message, hint),))
