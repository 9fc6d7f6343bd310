"""Keys that belong to the core, where those of plugins stand beside them.

The list is published, and holds keys that are planned: what a plugin takes today must not be the
core's tomorrow. Keys that begin with `x-` are the plugins' own for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from reconciler.plugin.options import Options

_COMMON = {"access", "cache", "displayName", "quota", "schedule", "suspend", "type"}

RESERVED_KEYS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "Remote": frozenset(
            _COMMON
            | {"auth", "concurrency", "egress", "headers", "index", "maxSize", "mirrors", "offline"}
            | {"policy", "proxy", "rateLimit", "redirects", "retries", "timeouts", "tls", "url"}
        ),
        "Filter": frozenset({"access", "displayName", "global", "priority", "type"}),
        "Repository": frozenset(
            _COMMON | {"filters", "guard", "lock", "retain", "sources", "sync", "uploads", "yank"}
        ),
        "Publication": frozenset(
            _COMMON
            | {
                "baseUrl",
                "exports",
                "filters",
                "grace",
                "path",
                "publisher",
                "pullThrough",
                "quarantined",
            }
            | {"repository", "version", "webhooks"}
        ),
        # an entry of `sources`, of any kind
        "source": frozenset(
            {"access", "cache", "everything", "name", "names", "path", "quota", "remote"}
            | {"repository", "reuseNames", "upload", "version"}
        ),
    }
)
"""Keys of the core by kind of resource, and by `source` for entries of a repository's `sources`; as
manifests write them.
"""


def reserved_in(model: type[Options], kind: str) -> Iterator[str]:
    """Yield the keys of an option model that are the core's in `kind`, in their order."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in RESERVED_KEYS[kind]:
            yield key
    yield from sorted(model.not_yet & RESERVED_KEYS[kind])
