"""URLs of files as their sources name them now: the page is read again, without validators.

For URLs that were not stored whole, because a query may be a secret, and for URLs that have run
out. The file with the same digest is taken, wherever it is now. Nothing is compared and nothing is
recorded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic

from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message
from reconciler.engine.run.progress import SilentProgress
from reconciler.engine.session.session import Session
from reconciler.engine.sources.repository_resolution import OtherRepositories, RepositoryResolution
from reconciler.engine.sources.resolution import make_resolver
from reconciler.engine.sources.source_responses import SourceResponse
from reconciler.errors import PluginFault, ReconcilerError
from reconciler.model import DesiredState, Digest, SourceKind, artifact_digest

logger = logging.getLogger(__name__)

FRESH = 30.0  # seconds for which what a page names is not read again


@dataclass(frozen=True, slots=True)
class GroupUrls:
    """URLs that a source names for the files of one group: by digest, and by path without one."""

    by_digest: dict[Digest, str] = field(default_factory=dict)
    by_path: dict[str, str] = field(default_factory=dict)

    def add(self, response: SourceResponse) -> None:
        """Add the files of a response. Raises what kept the source from answering."""
        if response.failure is not None:
            raise response.failure
        for artifact in (artifact for unit in response.units for artifact in unit.artifacts):
            if artifact.url and artifact.sha256:
                self.by_digest.setdefault(artifact_digest(artifact), artifact.url)
            elif artifact.url:  # its digest was measured: the next download verifies it
                self.by_path.setdefault(artifact.path, artifact.url)

    def url(self, digest: Digest, path: str) -> str | None:
        """Return the URL of a file, None where the source names it no more."""
        return self.by_digest.get(digest) or self.by_path.get(path)


Key = tuple[str, str, str]  # repository, source, group


class SourceUrls:
    """Asks sources again where files are; each group once in `FRESH` seconds.

    For one event loop.
    """

    def __init__(
        self, session: Session, desired: DesiredState, clock: Callable[[], float] = monotonic
    ) -> None:
        self._session = session
        self._desired = desired
        self._clock = clock
        self._groups: dict[Key, tuple[float, asyncio.Future[GroupUrls]]] = {}

    async def of_group(
        self, repository: str, source: str, group: str, *, digest: Digest, path: str
    ) -> str | None:
        """Return the URL of a file of one group, None where the source names it no more.

        Raises what kept the source from answering.
        """
        key = repository, source, group
        begun, urls = self._groups.get(key, (0.0, None))
        now = self._clock()
        if urls is None or (urls.done() and begun < now - FRESH):
            self._forget(now)
            urls = asyncio.ensure_future(self._read(*key))
            self._groups[key] = (now, urls)
        return (await asyncio.shield(urls)).url(digest, path)

    def _forget(self, now: float) -> None:
        """Drop what has to be read again anyway."""
        for key, (begun, urls) in list(self._groups.items()):
            if urls.done() and begun < now - FRESH:
                del self._groups[key]

    async def of_recorded(self, digest: Digest, remote: str) -> str | None:
        """Return the URL of a file that some recorded version took from a remote.

        Raises as `of_group`.
        """
        source = f"remote:{remote}"
        uses = await asyncio.to_thread(self._session.reader.artifact_uses, [digest])
        for use in uses:
            if use.source == source and use.repository in self._desired.repositories:
                url = await self.of_group(
                    use.repository, source, use.group, digest=digest, path=use.path
                )
                if url is not None:
                    return url
        return None

    async def of_others(
        self, digest: Digest, remotes: Collection[str]
    ) -> AsyncGenerator[tuple[str, str], None]:
        """Yield (remote, URL) of sources among `remotes` that offer the file, in their order.

        The pages of the groups that hold it are read. What cannot be read offers nothing.
        """
        asked: set[tuple[str, str, str]] = set()
        for use in await asyncio.to_thread(self._session.reader.artifact_uses, [digest]):
            repository = self._desired.repositories.get(use.repository)
            for source in repository.sources if repository is not None else ():
                place = (use.repository, source.id, use.group)
                if source.kind is not SourceKind.REMOTE or source.name not in remotes:
                    continue
                if place in asked:
                    continue
                asked.add(place)
                with suppress(ReconcilerError):
                    if url := await self.of_group(*place, digest=digest, path=use.path):
                        yield source.name, url

    async def _read(self, repository: str, source_id: str, group: str) -> GroupUrls:
        logger.info("%s: reading `%s` again for the URLs of its files", source_id, group)
        declared = self._desired.repositories[repository]
        source = next((source for source in declared.sources if source.id == source_id), None)
        urls = GroupUrls()
        if source is None:
            return urls
        actual = await asyncio.to_thread(self._session.reader.actual_state)
        again = replace(
            self._session,
            remotes=self._session.remotes.reading_again(),
            progress=SilentProgress(),
        )
        resolution = RepositoryResolution.start(again, declared, actual)
        others = OtherRepositories(actual, {})
        try:
            resolver = make_resolver(resolution, source, self._desired, others=others)
            for response in await resolver.read_again([group]):
                urls.add(response)
        except ReconcilerError:
            raise
        except Exception as error:  # a plugin may raise anything
            message = f"importer `{declared.type}` failed: {error_message(error)}"
            raise PluginFault(message, hint=error_hint(error)) from error
        return urls
