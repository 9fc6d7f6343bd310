"""The remotes of one run: each is opened once, whoever asks, and closed at the end."""

from __future__ import annotations

from typing import Any, NamedTuple

from reconciler.errors import UsageFault
from reconciler.model import Digest, Remote
from reconciler.plugin.registry import Registry
from reconciler.remote import (
    Fetcher,
    FileCache,
    FileReader,
    MeasureCache,
    PageCache,
    PageReader,
    open_fetcher,
)


class Caches(NamedTuple):
    """What earlier runs have read of all remotes."""

    pages: PageCache
    measures: MeasureCache
    files: FileCache


class Remotes:
    """Fetchers and readers by remote. `offline`: what is read comes from the caches only."""

    def __init__(self, registry: Registry, caches: Caches, *, offline: bool = False) -> None:
        self._registry = registry
        self._caches = caches
        self.offline = offline
        self._fetchers: dict[str, Fetcher] = {}

    def url(self, remote: Remote) -> str:
        """The remote's URL, that of a folder with a slash at its end; a well-known name is resolved
        by the importer of its type.
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
        name = remote.meta.name
        if name not in self._fetchers:
            self._fetchers[name] = open_fetcher(remote, self.url(remote))
        return self._fetchers[name]

    def pages(self, remote: Remote) -> PageReader:
        return PageReader(
            self.fetcher(remote), self._caches.pages.of(self._whose(remote)), offline=self.offline
        )

    def files(self, remote: Remote) -> FileReader:
        return FileReader(
            self.fetcher(remote),
            self._caches.files.of(self._whose(remote)),
            offline=self.offline,
            retries=remote.retries,
        )

    def measures(self, remote: Remote) -> MeasureCache:
        """What is remembered of files of the remote, as it is declared today."""
        return self._caches.measures.of(self._whose(remote))

    def _whose(self, remote: Remote) -> str:
        """A remote by its name and place: what it is shown, another one with other credentials may
        not be.
        """
        return Digest.of_value([remote.meta.name, self.url(remote)]).hex

    async def close(self) -> None:
        for fetcher in self._fetchers.values():
            await fetcher.close()
        self._fetchers.clear()
