"""The remotes of one run: each is opened once, whoever asks, and closed at the end."""

from __future__ import annotations

from typing import Any

from reconciler.errors import UsageFault
from reconciler.model import Digest, Remote
from reconciler.plugin.registry import Registry
from reconciler.remote import Fetcher, MeasureCache, PageCache, PageReader, open_fetcher


class Remotes:
    """Fetchers and page readers by remote. `offline`: pages come from the cache only."""

    def __init__(self, registry: Registry, cache: PageCache, measures: MeasureCache, *, offline: bool = False) -> None:
        self._registry = registry
        self._cache = cache
        self._measures = measures
        self.offline = offline
        self._fetchers: dict[str, Fetcher] = {}

    def url(self, remote: Remote) -> str:
        """The remote's URL, that of a folder with a slash at its end; a well-known name is resolved by the importer of its type."""
        importer: Any = self._registry.importer(remote.type).cls
        url: str | None = remote.url or importer.well_known(remote.index)
        if url is None:
            raise UsageFault(f"remote `{remote.meta.name}`: `{remote.index}` is no well-known index of type `{remote.type}`")
        return url if url.endswith("/") or not importer.folder_urls else url + "/"

    def fetcher(self, remote: Remote) -> Fetcher:
        name = remote.meta.name
        if name not in self._fetchers:
            self._fetchers[name] = open_fetcher(remote, self.url(remote))
        return self._fetchers[name]

    def pages(self, remote: Remote) -> PageReader:
        return PageReader(self.fetcher(remote), self._cache, offline=self.offline)

    def measures(self, remote: Remote) -> MeasureCache:
        """What is remembered of files of the remote, as it is declared today."""
        return self._measures.of(Digest.of_value([remote.meta.name, self.url(remote)]).hex)

    async def close(self) -> None:
        for fetcher in self._fetchers.values():
            await fetcher.close()
        self._fetchers.clear()
