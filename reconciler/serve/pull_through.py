"""Paths of publications that take what they lack from elsewhere when a client asks for it.

The publisher says to which group a path belongs; what is served of the group replaces what is
published at the path, but for names that are the publication's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from reconciler.database.records import ServedContent
from reconciler.model import Grant
from reconciler.serve.bounded_cache import BoundedCache
from reconciler.serve.catalogue import Catalogue, PublishedPath
from reconciler.serve.ports import PulledContent, PullSource
from reconciler.serve.redirects import PathSuggestions
from reconciler.serve.representation import Header, Resource

KEPT_GROUPS = 16_384
NAME = "reconciler"  # of the cache, as `Cache-Status` says it (RFC 9211)
_NO_STRING = re.compile(r"[^ !#-\[\]-~]")


@dataclass(frozen=True, slots=True)
class PulledPath:
    """A path with what is served of it, and the header that says where that comes from."""

    location: PublishedPath
    header: Header | None = None


class PullThrough:
    """Looks paths up behind what is published. Belongs to one event loop."""

    def __init__(
        self, catalogue: Catalogue, suggestions: PathSuggestions, source: PullSource | None
    ) -> None:
        self._catalogue = catalogue
        self._suggestions = suggestions
        self._source = source
        self._generation: object = None
        self._pulls: dict[str, bool] = {}
        self._groups: BoundedCache[tuple[str, str], str] = BoundedCache(KEPT_GROUPS)

    async def find(self, location: PublishedPath, grant: Grant | None) -> PulledPath:
        """Return what a client is served at a path.

        Nothing is asked for a client that may not see it. Raises ReconcilerError for what cannot be
        had. A published page does not stand for it: it would have no age, and outlive its rules.
        """
        served, path = location.mount.served, location.path
        if self._source is None or not path or not await self._is_pulling(served.name):
            return PulledPath(location)
        published = location.resource
        if published is not None and not published.entries[0].page:
            entry = published.entries[0]
            self._source.used(served.name, entry.digest, entry.size)
            return PulledPath(location)
        group = await self._group(served.publisher, served.name, path)
        if not group or (grant is not None and not grant.covers(group)):
            return PulledPath(location)
        content = await self._source.group(served.name, group)
        return PulledPath(location) if content is None else self._pulled(location, content)

    def _pulled(self, location: PublishedPath, content: PulledContent) -> PulledPath:
        path, served = location.path, location.mount.served
        entries = [entry for entry in content.entries if entry.path == path]
        resource = None
        if entries:
            resource = Resource(ServedContent(entries, content.modified), private=served.private)
            if self._source is not None and not entries[0].page:
                self._source.used(served.name, entries[0].digest, entries[0].size)
        header = _status(content) if resource is not None and entries[0].page else None
        return PulledPath(replace(location, resource=resource), header)

    async def _is_pulling(self, publication: str) -> bool:
        if self._generation != self._catalogue.generation:
            self._generation, self._pulls = self._catalogue.generation, {}
        if publication not in self._pulls:
            assert self._source is not None
            known = self._pulls
            known[publication] = await self._catalogue.in_thread(self._source.pulls, publication)
        return self._pulls.get(publication, False)

    async def _group(self, publisher: str, publication: str, path: str) -> str:
        """Return the group that a path belongs to, empty for none."""
        key = publisher, path
        group = self._groups.get(key)
        if group is None:
            group = await self._suggestions.group(publisher, publication, path)
            self._groups.put(key, group)
        return group


def _status(content: PulledContent) -> Header:
    if content.problem:
        return _header("hit", f"ttl={content.left}", f"detail={_text(content.problem)}")
    if content.fetched:
        return _header("fwd=miss", "stored", f"ttl={content.left}")
    return _header("hit", f"ttl={content.left}")


def _header(*parts: str) -> Header:
    return b"cache-status", "; ".join((NAME, *parts)).encode()


def _text(text: str) -> str:
    """Return a text as a string of structured fields (RFC 9651): printable ASCII, in quotes."""
    return f'"{_NO_STRING.sub("?", text)[:200]}"'
