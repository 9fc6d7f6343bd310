"""Everything that a server does about publications that pull through."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping
from datetime import datetime
from functools import partial

import msgspec

from reconciler.database import Writer
from reconciler.engine.pull_through.kept_files import KeptFiles
from reconciler.engine.pull_through.pulling import Pulled, Pulling
from reconciler.engine.pull_through.targets import PullTarget
from reconciler.engine.pull_through.version_moments import VersionMoments
from reconciler.engine.pull_through.versions import commit_pulled
from reconciler.engine.session.home import Home
from reconciler.engine.session.session import Session, WritingSession, reading_session
from reconciler.engine.transfer.remotes import Remotes
from reconciler.engine.uploads.releasing import release_publications
from reconciler.engine.upstream.relayed_files import Recorded
from reconciler.errors import ReconcilerError
from reconciler.model import ActualResource, DesiredState, Digest, Ref
from reconciler.plugin.registry import Registry

EVERY = 60.0  # seconds between two versions of one repository

logger = logging.getLogger(__name__)

WithSession = Callable[[str, Callable[[WritingSession], Awaitable[None]]], Awaitable[None]]
"""Runs what changes a repository, in a slot for it."""


class PullThroughs:
    """Publications of one server that pull through. Coroutines belong to one event loop.

    recorded, writer: the record of the last apply and the database, as of now. `every`: seconds
    between two versions.
    """

    def __init__(
        self,
        home: Home,
        registry: Registry,
        *,
        recorded: Callable[[], Recorded],
        writer: Callable[[], Writer],
        with_session: WithSession,
        clock: Callable[[], datetime],
        every: float = EVERY,
    ) -> None:
        self._home = home
        self._registry = registry
        self._recorded = recorded
        self._writer = writer
        self._with_session = with_session
        self._clock = clock
        self._targets: dict[str, PullTarget] = {}
        self._remotes: Remotes | None = None
        self._resources: Mapping[Ref, ActualResource] | None = None
        self._outdated: list[Remotes] = []
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._moments = VersionMoments(home.root / "pulling", every)
        self._files = KeptFiles(writer, home.store(), clock)
        self._pulling = Pulling(
            self._target,
            writer,
            registry=registry,
            open_remotes=self._opened,
            open_session=self._session,
            clock=clock,
            locks=home.root / "pulling",
            arrived=self._await_version,
        )

    def pulls(self, publication: str) -> bool:
        """Return True for a publication that takes what it lacks from a remote. Thread-safe."""
        return self._target(publication) is not None

    async def group(self, publication: str, group: str) -> Pulled | None:
        """Return what is served of a group, as `Pulling.group` says."""
        return await self._pulling.group(publication, group)

    def used(self, publication: str, digest: Digest, size: int | None) -> None:
        """Note that a client asked for a file."""
        self._files.used(publication, digest, size or 0)

    async def close(self) -> None:
        """Commit what waits for a version, and close connections."""
        await self._pulling.close()
        for task in self._waiting.values():
            task.cancel()
        for publication in list(self._waiting):
            await self._settle(publication)
        self._waiting.clear()
        for remotes in (*self._outdated, *([self._remotes] if self._remotes else [])):
            await remotes.close()
        self._outdated.clear()
        self._remotes = None

    def _target(self, publication: str) -> PullTarget | None:
        recorded = self._recorded()
        known = self._targets.get(publication)
        if known is None or known.generation != recorded.generation:
            known = _found(recorded.generation, recorded, publication)
            if known is None:
                self._targets.pop(publication, None)
            else:
                self._targets[publication] = known
        return known

    def _opened(self, target: PullTarget) -> Remotes:
        """Return the connections; others once resources or secrets were recorded anew."""
        resources = self._recorded().actual.resources
        if self._remotes is None or resources != self._resources:
            if self._remotes is not None:
                self._outdated.append(self._remotes)
            self._remotes = Remotes(self._registry, self._home.caches())
            self._resources = resources
        return self._remotes

    def _session(self, remotes: Remotes) -> Session:
        return reading_session(
            self._home, self._registry, self._writer(), remotes=remotes, clock=self._clock
        )

    def _await_version(self, publication: str) -> None:
        """Commit what comes in meanwhile, once the next version may be made."""
        if publication not in self._waiting:
            self._waiting[publication] = asyncio.create_task(self._later(publication))

    async def _later(self, publication: str) -> None:
        await asyncio.sleep(self._moments.left(publication))
        while not self._moments.take(publication):  # noqa: ASYNC110  # another was first
            await asyncio.sleep(self._moments.left(publication))
        del self._waiting[publication]  # what comes in from here on waits for the next one
        await self._settle(publication)

    async def _settle(self, publication: str) -> None:
        """Commit and release what waits; errors are logged, and it waits for the next time."""
        try:
            target = await asyncio.to_thread(self._target, publication)
            if target is not None:
                await self._with_session(
                    target.repository.meta.name, partial(_settle, target, self._files)
                )
        except (ReconcilerError, OSError) as error:
            logger.error("%s: what was fetched is in no version yet: %s", publication, error)


async def _settle(target: PullTarget, files: KeptFiles, session: WritingSession) -> None:
    number = await session.in_thread(commit_pulled, session, target)
    if number:
        name = target.repository.meta.name
        _, delayed = await release_publications(session, target.desired, name)
        for message in delayed:
            logger.error("%s", message)
    await asyncio.to_thread(files.settle, target)


def _found(generation: Hashable, recorded: Recorded, name: str) -> PullTarget | None:
    desired: DesiredState = recorded.state.desired
    publication = desired.publications.get(name)
    if publication is None or publication.pull_through is None:
        return None
    pull = publication.pull_through
    remote = desired.remotes.get(pull.remote)
    repository = desired.repositories.get(publication.repository)
    actual = recorded.actual.repositories.get(publication.repository)
    shown = recorded.actual.publications.get(name)
    if remote is None or repository is None or actual is None or shown is None:
        return None
    return PullTarget(
        generation,
        desired,
        publication,
        pull,
        repository,
        msgspec.structs.replace(remote, retries=min(remote.retries, 1)),
        recorded.actual,
        actual,
        shown,
    )
