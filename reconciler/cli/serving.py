"""The served application, built anew in each worker process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.engine import Home
from reconciler.plugin import Registry
from reconciler.serve import Application, Canonical, Catalogue


def application(home: Home) -> Application:
    """What a home publishes, as an ASGI application."""
    return Application(Catalogue(home.database().reader(), home.store()), CanonicalPaths(Registry()))


class CanonicalPaths(Mapping[str, Canonical]):
    """By publisher ID, how a path is meant; publishers are loaded when a path of theirs is not found."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getitem__(self, publisher: str) -> Canonical:
        plugin = self._registry.find("publisher", publisher)
        if plugin is None or not plugin.enabled:
            raise KeyError(publisher)
        cls: Any = plugin.cls
        canonical: Canonical = cls.canonical_path
        return canonical

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.ids("publisher"))

    def __len__(self) -> int:
        return len(self._registry.ids("publisher"))
