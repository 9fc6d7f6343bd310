"""Secrets that the manifests of a run send elsewhere, and the hosts that see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.manifest.connections import SentSecret, sent_secrets
from reconciler.manifest.index_exports import upload_url
from reconciler.model import DesiredState
from reconciler.plugin.registry import Registry


def all_sent_secrets(desired: DesiredState, registry: Registry) -> Iterator[SentSecret]:
    """Yield the secrets of remotes, and of indexes that publications are sent to."""
    for remote in desired.remotes.values():
        importer: Any = registry.importer(remote.type).cls
        yield from sent_secrets(remote, remote.url or importer.well_known(remote.index or ""))
    for publication in desired.publications.values():
        publisher: Any = registry.publisher(publication.publisher).cls
        for export in publication.indexes:
            url = upload_url(export.connection, publisher.exporter, export.options)
            yield from sent_secrets(export.connection, url)
