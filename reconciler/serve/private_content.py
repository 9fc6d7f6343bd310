"""Private publications: what a client may see of them.

A client without credentials, or with others than the publication asks for, gets 401 for every path,
whether there is something or not. A client that may see some names only gets 404 for the others,
and for pages that are about no name, such as the list of all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

from reconciler.database.records import ServedPublication, is_mark
from reconciler.model import Digest, Grant
from reconciler.serve.bounded_cache import BoundedCache
from reconciler.serve.ports import Readers
from reconciler.serve.representation import Resource
from reconciler.threads import in_thread

KEPT_GRANTS = 1_024
KEPT_FOR = 2.0  # seconds for which a secret is not read again


class PrivateContent:
    """Grants of readers, each kept for a moment: a page has many files.

    `generation`: what is kept is of one generation of the database. A rule ends at its moment; a
    secret that was exchanged behind its reference opens for `KEPT_FOR` seconds more.
    """

    def __init__(
        self,
        readers: Readers | None,
        generation: Callable[[], object],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._readers = readers
        self._clock = clock
        self._generation = generation
        self._grants: BoundedCache[tuple[object, ...], tuple[float, Grant]] = BoundedCache(
            KEPT_GRANTS
        )

    async def grant(self, served: ServedPublication, authorization: str | None) -> Grant | None:
        """Return what a client may see of a publication; None for nothing."""
        if self._readers is None:
            return None
        key = self._generation(), served.name, Digest.of((authorization or "").encode())
        kept = self._grants.get(key)
        if kept is not None and kept[0] > monotonic() and not kept[1].has_expired(self._clock()):
            return kept[1]
        grant = await in_thread(self._readers.read_grant, served.name, authorization)
        if grant is not None:
            self._grants.put(key, (monotonic() + KEPT_FOR, grant))
        return grant


def is_visible(resource: Resource | None, grant: Grant | None) -> bool:
    """Return True for content that a client may see; `grant`: None where all may see all."""
    if resource is None or grant is None or not grant.projects:
        return resource is not None
    group = resource.group or ""
    return group != "" and not is_mark(group) and grant.covers(group)


def challenge(name: str) -> str:
    """Return `WWW-Authenticate` of a publication (RFC 7617)."""
    realm = re.sub(r'[^ -~]|["\\]', "?", name)
    return f'Basic realm="{realm}", charset="UTF-8"'
