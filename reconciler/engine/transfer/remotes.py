"""Connections to the remotes of one run: each is opened at most once, and closed at its end."""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

from reconciler.errors import UsageFault
from reconciler.model import SAME_ORIGIN, Digest, Remote
from reconciler.plugin.registry import Registry
from reconciler.remote import (
    PAGE_MEMORY,
    AcceptedTypes,
    Credentials,
    Fetcher,
    FileCache,
    FileReader,
    MeasurementCache,
    Mirrors,
    PageBudget,
    PageCache,
    PageReader,
    open_fetcher,
)
from reconciler.retrying import RetryPolicy


def answering_hosts(remote: Remote) -> list[list[str]]:
    """Return which hosts may answer for a remote, as a part of a digest: nothing for its own."""
    if remote.redirects == SAME_ORIGIN:
        return []
    hosts = remote.redirects
    return [["redirects", *([hosts] if isinstance(hosts, str) else sorted(hosts))]]


class Caches(NamedTuple):
    """Caches of pages, measurements and files, over all remotes.

    page_memory: bytes of pages that are in flight at once.
    """

    pages: PageCache
    measures: MeasurementCache
    files: FileCache
    page_memory: int = PAGE_MEMORY


class Remotes:
    """Fetchers and readers by remote. With `offline`, reading is answered by the caches only."""

    def __init__(self, registry: Registry, caches: Caches, *, offline: bool = False) -> None:
        self._registry = registry
        self._caches = caches
        self.offline = offline
        self._again = False
        self._budget = PageBudget(caches.page_memory)
        self._fetchers: dict[str, Fetcher] = {}
        self._mirrors: dict[str, Mirrors] = {}
        self._types: dict[str, AcceptedTypes] = {}
        self._readers: dict[str, PageReader] = {}

    def reading_again(self) -> Remotes:
        """Return the same remotes, whose pages are read without validators."""
        remotes = copy(self)
        remotes._again = True
        remotes._readers = {}
        return remotes

    def url(self, remote: Remote) -> str:
        """Return the remote's URL, with a final slash if its type reads folders.

        A well-known name (`index: pypi`) is resolved by the importer of the remote's type. Raises
        UsageFault if the importer does not know it.
        """
        importer: Any = self._registry.importer(remote.type).cls
        url: str | None = remote.url or importer.well_known(remote.index)
        if url is None:
            raise UsageFault(
                f"remote `{remote.meta.name}`: `{remote.index}` is no well-known index of type"
                f" `{remote.type}`"
            )
        return url if url.endswith("/") or not importer.folder_urls else url + "/"

    def fetcher(self, remote: Remote) -> Fetcher:
        """Return the connection to the remote, opened with its first use."""
        name = remote.meta.name
        if name not in self._fetchers:
            self._fetchers[name] = open_fetcher(remote, self.url(remote))
        return self._fetchers[name]

    def mirrors(self, remote: Remote) -> Mirrors:
        """Return the remote's mirrors, of which one that fails is left out for good."""
        name = remote.meta.name
        if name not in self._mirrors:
            self._mirrors[name] = Mirrors(remote, self.url(remote))
        return self._mirrors[name]

    def pages(self, remote: Remote) -> PageReader:
        """Return the reader of the remote's pages, through the page cache."""
        name = remote.meta.name
        if name not in self._readers:
            self._readers[name] = self._page_reader(
                name, self.fetcher(remote), self._cache_key(remote)
            )
        return self._readers[name]

    def pages_at(
        self, connection: Remote, url: str, credentials: Credentials | None = None
    ) -> PageReader:
        """Return the reader of pages below a URL that no remote has, through the page cache.

        credentials: in the place of those that the connection refers to.
        """
        name = f"{connection.meta.name} {url}"
        if name not in self._fetchers:
            self._fetchers[name] = open_fetcher(connection, url, credentials)
        if name not in self._readers:
            key = Digest.of_value([connection.meta.name, url, *answering_hosts(connection)]).hex
            self._readers[name] = self._page_reader(name, self._fetchers[name], key)
        return self._readers[name]

    def _page_reader(self, name: str, fetcher: Fetcher, key: str) -> PageReader:
        cache = self._caches.pages.for_remote(key)
        return PageReader(
            fetcher,
            cache,
            offline=self.offline,
            budget=self._budget,
            again=self._again,
            types=self._types.setdefault(name, AcceptedTypes(cache)),
        )

    def files(self, remote: Remote) -> FileReader:
        """Return a reader of files with known digests, through the file cache."""
        return FileReader(
            self.fetcher(remote),
            self._caches.files.for_remote(self._cache_key(remote)),
            offline=self.offline,
            retry=RetryPolicy(attempts=1 + remote.retries),
            budget=self._budget,
        )

    def measures(self, remote: Remote) -> MeasurementCache:
        """Return the cache of measurements of the remote's files."""
        return self._caches.measures.for_remote(self._cache_key(remote))

    def _cache_key(self, remote: Remote) -> str:
        """Return the cache key of a remote: name, URL, and which hosts may answer for it.

        Responses may depend on its credentials.
        """
        return Digest.of_value([remote.meta.name, self.url(remote), *answering_hosts(remote)]).hex

    async def close(self) -> None:
        """Close every connection."""
        for fetcher in self._fetchers.values():
            await fetcher.close()
        for mirrors in self._mirrors.values():
            await mirrors.close()
        self._mirrors.clear()
        self._fetchers.clear()
        self._readers.clear()
