"""Places of files: the remotes that may be asked for a digest, and the URLs to ask there.

Rule: bytes come only through remotes that are sources of the repository in question, or of one that
it copies from; what another repository's remote has is no permission to use its credentials.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from contextlib import aclosing
from typing import NamedTuple

from reconciler.database import ArtifactOrigin, Reader
from reconciler.engine.sources.source_urls import SourceUrls
from reconciler.engine.transfer.artifact_fetcher import may_have_run_out
from reconciler.errors import Gone, ReconcilerError
from reconciler.model import DesiredState, Digest, Remote

logger = logging.getLogger(__name__)


class FilePlace(NamedTuple):
    """A remote that is recorded to have a file."""

    remote: Remote
    origin: ArtifactOrigin


class FilePlaces:
    """Places of the files of one repository. `urls`: asks sources again, made when it is needed."""

    def __init__(
        self,
        reader: Reader,
        desired: DesiredState,
        *,
        repository: str,
        urls: Callable[[], SourceUrls],
    ) -> None:
        self._reader = reader
        self._desired = desired
        self._repository = repository
        self._urls = urls

    def recorded(self, digests: Iterable[Digest]) -> dict[Digest, list[FilePlace]]:
        """Return the places that are recorded, by name of the remote; none for other digests."""
        allowed = self._desired.remotes_of(self._repository) & self._desired.remotes.keys()
        places = {
            digest: [
                FilePlace(self._desired.remotes[origin.remote], origin)
                for origin in origins
                if origin.remote in allowed
            ]
            for digest, origins in self._reader.origins_of(digests).items()
        }
        return {digest: known for digest, known in places.items() if known}

    async def url_now(
        self, place: FilePlace, digest: Digest, *, failure: ReconcilerError | None = None
    ) -> str:
        """Return where the page names a file now, which is read again.

        Raises `failure`, if any, where that is no news. Raises Gone where the page names the file
        no more, and what the page's reading raised.
        """
        remote, origin = place
        try:
            url = await self._urls().of_recorded(digest, remote.meta.name)
        except ReconcilerError as error:
            raise failure or error from None
        if url is not None and (failure is None or url != origin.url):
            return url
        raise failure or Gone(
            f"remote `{remote.meta.name}` names {digest.short} no more",
            hint="its URL holds a query, which is not stored: the page has to name it",
        )

    async def urls_of(self, place: FilePlace, digest: Digest) -> AsyncGenerator[UrlTry, None]:
        """Yield the recorded URL, then the one that the page names now.

        The page is read again where no whole URL is recorded, and where that has run out: the
        caller says by `UrlTry.failed`, and stops where it has the file. Raises the failure after
        which another URL is no help, and as `url_now`.
        """
        failure: ReconcilerError | None = None
        if not place.origin.needs_page:
            recorded = UrlTry(place.origin.url)
            yield recorded
            failure = recorded.failure
            if failure is not None and not may_have_run_out(failure):
                raise failure
        yield (now := UrlTry(await self.url_now(place, digest, failure=failure)))
        if now.failure is not None:
            raise now.failure

    async def of_other_sources(
        self, digest: Digest, asked: Collection[str]
    ) -> AsyncGenerator[tuple[Remote, str], None]:
        """Yield remotes that offer the digest too, though no version took it from there.

        Of the sources of the repositories that hold it only one owns its name: the pages of the
        others are read for the same digest. What cannot be read offers nothing.
        """
        allowed = self._desired.remotes_of(self._repository) & self._desired.remotes.keys()
        async with aclosing(self._urls().of_others(digest, allowed - set(asked))) as others:
            async for name, url in others:
                logger.info("%s is offered by remote `%s` as well", digest.short, name)
                yield self._desired.remotes[name], url


class UrlTry:
    """A URL to try, and what became of that."""

    __slots__ = ("failure", "url")

    def __init__(self, url: str) -> None:
        self.url = url
        self.failure: ReconcilerError | None = None

    def failed(self, error: ReconcilerError) -> None:
        """Note why the URL did not yield the file."""
        self.failure = error
