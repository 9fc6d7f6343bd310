"""The promise that no other bytes come under a path, kept for as long as its publication exists.

Clients and caches that were told so never ask again: other bytes would not reach them. All entries
that a publication ever had are rows, so that the promise is found again however long the path was
gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

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
    """Raise PluginFault where an entry puts other bytes under a path that was once immutable.

    The promise is the path's: another representation of it would be other bytes, too.
    """
    new: dict[str, dict[str, bytes]] = defaultdict(dict)
    for entry in entries:
        new[entry.path][entry.media_type] = entry.digest.raw
    for batch in batches(sorted(new)):
        values = {"of_publication": publication_id, "paths": batch}
        promised: dict[str, dict[str, bytes]] = defaultdict(dict)
        for path, media_type, digest in connection.execute(_PROMISED, values):
            promised[path][media_type] = digest
        for path, by_type in promised.items():
            if any(not _keeps(by_type, *shown) for shown in new[path].items()):
                raise PluginFault(
                    f"`{path}` was published as immutable, and other bytes are to come under it",
                    hint="clients never ask for it again: emit what may change without `immutable`,"
                    " and other bytes under another path, such as one that holds their digest",
                )


def check_mixed(entries: Iterable[Entry]) -> None:
    """Raise PluginFault for a path of which one representation is immutable and another is not."""
    by_path: dict[str, set[bool]] = defaultdict(set)
    for entry in entries:
        by_path[entry.path].add(entry.immutable)
    for path, promises in by_path.items():
        if len(promises) > 1:
            raise PluginFault(
                f"`{path}` is immutable as one media type, and not as another",
                hint="promise it of all representations of a path, or of none",
            )


def _keeps(promised: Mapping[str, bytes], media_type: str, digest: bytes) -> bool:
    """Return True if a representation is one that was promised, under any media type if new."""
    if media_type in promised:
        return promised[media_type] == digest
    return digest in promised.values()
