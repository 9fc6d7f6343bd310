"""The promise that no other bytes come under a path, kept for as long as its publication exists.

Clients and caches that were told so never ask again: other bytes would not reach them. All entries
that a publication ever had are rows, so that the promise is found again however long the path was
gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from reconciler.database.bulk import batches, listed, parameter
from reconciler.database.records import Entry
from reconciler.database.schema import publication, publication_entry
from reconciler.errors import PluginFault

_rows = publication_entry.c
_PROMISED = select(_rows.path, _rows.media_type, _rows.digest).where(
    _rows.publication_id == parameter("of_publication", publication.c.publication_id),
    _rows.path.in_(listed("paths", _rows.path)),
    _rows.immutable,
)


def check_promises(connection: Connection, publication_id: int, entries: Sequence[Entry]) -> None:
    """Raise PluginFault where an entry puts other bytes under a path that was once immutable."""
    new: dict[tuple[str, str], Any] = {
        (entry.path, entry.media_type): entry.digest.raw for entry in entries
    }
    for batch in batches(sorted({path for path, _ in new})):
        values = {"of_publication": publication_id, "paths": batch}
        for path, media_type, digest in connection.execute(_PROMISED, values):
            if new.get((path, media_type), digest) != digest:
                raise PluginFault(
                    f"`{path}` was published as immutable, and other bytes are to come under it",
                    hint="clients never ask for it again: emit what may change without `immutable`,"
                    " and other bytes under another path, such as one that holds their digest",
                )
