"""Mirrors of a remote: hosts that are asked first for files whose digest is declared.

Pages, and files without a digest, are never asked of them. A mirror is not trusted: what it sends
is verified, and one that lies or fails is left out. Rule: a mirror of another origin than the
remote's sees neither credentials, nor headers, nor the query of a URL; egress, redirects and TLS
are bounded for each as for the remote.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from time import monotonic
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from reconciler.errors import DigestMismatch, Gone, Malformed, ReconcilerError, Refused, Unreachable
from reconciler.model import Digest, Remote, Tls
from reconciler.remote.download import ArtifactStore, download
from reconciler.remote.fetcher import Fetcher
from reconciler.remote.fetcher_factory import open_fetcher, sends_credentials
from reconciler.remote.urls import display_url
from reconciler.retrying import RetryPolicy

# after which the next place is asked; anything else is not the mirror's fault
MIRROR_FAILURES = (DigestMismatch, Gone, Malformed, Refused, Unreachable)
MISSES = 20  # files in a row that a mirror does not have, before it is taken for none
RETRIES = 1  # of a mirror at the most: there is another place to ask

LeftOut = Callable[[str, ReconcilerError], None]

logger = logging.getLogger(__name__)


class Mirror:
    """One mirror. `url`: with a slash at its end, in the place of the remote's own URL."""

    def __init__(self, remote: Remote, base_url: str, url: str) -> None:
        self.url = url if url.endswith("/") else f"{url}/"
        self._remote = remote
        self._base_url = base_url
        self._fetcher: Fetcher | None = None
        self.misses = 0
        self.left_out_at: float | None = None

    @property
    def fetcher(self) -> Fetcher:
        """Connection to the mirror, opened with its first use."""
        if self._fetcher is None:
            self._fetcher = open_fetcher(self._as_remote(), self.url)
        return self._fetcher

    async def close(self) -> None:
        """Close the connection."""
        if self._fetcher is not None:
            await self._fetcher.close()
            self._fetcher = None

    def url_of(self, url: str) -> str | None:
        """Return where the mirror has a file of the remote; None for what has no place there.

        A file below the remote's URL lies at the same path below the mirror's; any other file has
        its whole path there. Without a query, which may be a secret.
        """
        parts, base = urlsplit(url), urlsplit(self._base_url)
        if parts.scheme not in ("http", "https") or ".." in unquote(parts.path).split("/"):
            return None
        folder = base.path.rpartition("/")[0] + "/"
        is_own_host = parts.netloc == base.netloc
        path = parts.path.removeprefix(folder) if is_own_host else parts.path
        return self.url + path.lstrip("/") if path.strip("/") else None

    def _as_remote(self) -> Remote:
        """Return the settings of its requests; of another origin without any secret."""
        remote = self._remote
        retries = min(remote.retries, RETRIES)
        remote = replace(remote, url=self.url, index=None, mirrors=(), retries=retries)
        if sends_credentials(self._base_url, self.url):
            return remote
        tls = Tls(verify=remote.tls.verify, ca=remote.tls.ca)
        return replace(remote, auth=None, headers={}, tls=tls)


class Mirrors:
    """The mirrors of a remote, in the order of the manifest.

    `again_after`: seconds after which one that was left out is asked again; None: never, for a run.
    """

    def __init__(
        self,
        remote: Remote,
        base_url: str,
        *,
        again_after: float | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._mirrors = [Mirror(remote, base_url, url) for url in remote.mirrors]
        self._again_after = again_after
        self._clock = clock

    def places(self, url: str) -> Iterator[tuple[Mirror, str]]:
        """Yield the mirrors to ask for a file, and its URL there."""
        for mirror in self._mirrors:
            mirrored = mirror.url_of(url) if self._is_asked(mirror) else None
            if mirrored is not None:
                yield mirror, mirrored

    def succeeded(self, mirror: Mirror) -> None:
        """Note that a mirror had a file."""
        mirror.misses = 0

    def failed(self, mirror: Mirror, error: ReconcilerError) -> bool:
        """Note a failure; return True if the mirror is left out from now on, and was not before.

        A file that it does not have is no failure; many in a row are: it is no mirror of this.
        """
        mirror.misses += isinstance(error, Gone)
        if isinstance(error, Gone) and mirror.misses < MISSES:
            return False
        first = self._is_asked(mirror)
        mirror.left_out_at = self._clock()
        if first:
            logger.warning("mirror `%s` is left out: %s", display_url(mirror.url), error)
        return first

    async def close(self) -> None:
        """Close connections."""
        for mirror in self._mirrors:
            await mirror.close()

    async def download(
        self,
        fetcher: Fetcher,
        store: ArtifactStore,
        url: str,
        *,
        expected: Digest,
        limit: int,
        retry: RetryPolicy,
        progress: Callable[[int], None],
        left_out: LeftOut = lambda mirror, error: None,
    ) -> int:
        """Download a file from the first mirror that has it, else by `fetcher`: see `download`.

        left_out: called with each mirror that is left out from now on, and the reason.
        """
        for mirror, mirrored in self.places(url):
            try:
                size = await download(
                    mirror.fetcher,
                    store,
                    mirrored,
                    expected=expected,
                    limit=limit,
                    retry=RetryPolicy(attempts=1),
                    progress=progress,
                )
            except MIRROR_FAILURES as error:
                if self.failed(mirror, error):
                    left_out(display_url(mirror.url), error)
            else:
                self.succeeded(mirror)
                return size
        return await download(
            fetcher, store, url, expected=expected, limit=limit, retry=retry, progress=progress
        )

    def _is_asked(self, mirror: Mirror) -> bool:
        at, after = mirror.left_out_at, self._again_after
        return at is None or (after is not None and self._clock() >= at + after)
