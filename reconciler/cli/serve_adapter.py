"""The served application, built anew in each worker process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from reconciler.engine import CallLimits, Home
from reconciler.engine.service import Service
from reconciler.engine.uploads.receiving import UploadResult
from reconciler.errors import PluginFault
from reconciler.manifest import read_recorded
from reconciler.model import Digest
from reconciler.plugin import MissingCall, Redirect, UploadedFile
from reconciler.plugin.config import PluginSettings
from reconciler.plugin.registry import Registry
from reconciler.serve import (
    Application,
    Catalogue,
    OnDemand,
    Receipt,
    ReceivedFile,
    SuggestPath,
    Uploads,
)

ARRIVING = "arriving"
"""Where in the home files lie while they come in, on the disk of the store."""


def application(home: Home, plugins: PluginSettings) -> Application:
    """What a home publishes, as an ASGI application. Whoever starts the workers has had the plugins
    judged.
    """
    return assembled(home, Registry(settings=plugins))


def assembled(home: Home, registry: Registry, *, limits: CallLimits | None = None) -> Application:
    """The same, with these plugins, which may take so long."""
    service = Service(home, registry, read_recorded, limits=limits)
    counter = ServeAdapter(service)
    store, folder = home.store(), home.root / ARRIVING
    return Application(
        Catalogue(home.database().reader(), store),
        MissingPaths(registry),
        uploads=Uploads(counter, folder),
        on_demand=OnDemand(counter, store, folder),
        on_close=service.close,
    )


class ServeAdapter:
    """Where the server and the engine meet; implements `reconciler.serve.Receiver` and `Supply`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def authenticate(self, publication: str, authorization: str | None) -> str | None:
        return self._service.authenticate(publication, authorization)

    async def receive(
        self,
        publication: str,
        path: str,
        fields: Mapping[str, str],
        file: ReceivedFile,
        principal: str,
    ) -> Receipt:
        uploaded = UploadedFile(file.name, file.path, file.size, file.sha256)
        taken = await self._service.receive(publication, path, fields, uploaded, principal)
        return Receipt(said(taken), taken.version, shown=not taken.delayed)

    def lacks(self, digest: Digest) -> bool:
        return self._service.can_fetch(digest)

    def bring(self, digest: Digest, size: int) -> AsyncIterator[bytes]:
        return self._service.fetch(digest, size)


class MissingPaths(Mapping[str, SuggestPath]):
    """By publisher ID, what a path means that a publication does not hold; publishers are loaded
    when a path of theirs is not found.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getitem__(self, publisher: str) -> SuggestPath:
        plugin = self._registry.find("publisher", publisher)
        if plugin is None or not plugin.enabled:
            raise KeyError(publisher)
        cls: Any = plugin.cls

        def missing(publication: str, path: str) -> str | None:
            answer: Any = cls.missing(MissingCall(publication), path)
            if answer is None:
                return None
            if not isinstance(answer, Redirect):
                raise PluginFault(
                    f"`missing` returns a Redirect or None, not {type(answer).__name__}"
                )
            return answer.path

        return missing

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.ids("publisher"))

    def __len__(self) -> int:
        return len(self._registry.ids("publisher"))


def said(taken: UploadResult) -> str:
    """What came of an upload, for people."""
    version, names = taken.version, ", ".join(f"`{name}`" for name in taken.names)
    what = (
        f"version {version} holds {names}"
        if names
        else f"nothing new: version {version} holds it already"
    )
    return "\n".join((what, *taken.delayed))
