"""Entries of publications as columns of a query, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from reconciler.database.bulk import Row
from reconciler.database.columns import from_json
from reconciler.database.records import Entry
from reconciler.database.schema import publication_entry
from reconciler.model import Digest

ENTRY = (
    publication_entry.c.path,
    publication_entry.c.media_type,
    publication_entry.c.group_name,
    publication_entry.c.page,
    publication_entry.c.digest,
    publication_entry.c.size,
    publication_entry.c.aliases,
    publication_entry.c.position,
    publication_entry.c.immutable,
    publication_entry.c.addressed,
    publication_entry.c.linger,
)
UNKNOWN_SIZE = -1  # in the column: neither counted nor declared


def entry_from(row: Sequence[Any]) -> Entry:
    """Return the entry of a row that begins with the columns of `ENTRY`."""
    path, media_type, group, is_page, digest, size, aliases, position, *caching = row[: len(ENTRY)]
    immutable, addressed, linger = caching
    return Entry(
        path,
        media_type,
        group,
        bool(is_page),
        Digest(digest),
        None if size == UNKNOWN_SIZE else size,
        () if aliases == "[]" else tuple(from_json(aliases)),
        position,
        bool(immutable),
        bool(addressed),
        linger or 0,
    )


def entry_row(entry: Entry) -> Row:
    """Return the values of an entry for the columns of `ENTRY`."""
    return (
        entry.path,
        entry.media_type,
        entry.group,
        entry.page,
        entry.digest.raw,
        UNKNOWN_SIZE if entry.size is None else entry.size,
        msgspec.json.encode(entry.aliases).decode() if entry.aliases else "[]",
        entry.position,
        entry.immutable,
        entry.addressed,
        entry.linger or None,
    )
