"""Bodies of rendered pages, checked where they leave the database."""

from __future__ import annotations

import gzip
import zlib

from reconciler.database.records import Entry
from reconciler.errors import StateFault
from reconciler.model import Digest

_HINT = "`reconciler repair` renders it anew"


def present(entry: Entry, packed: bytes | None) -> bytes:
    """Return the compressed body of a page. Raises StateFault where the database has none."""
    if packed is None:
        raise StateFault(
            f"the page `{entry.path}` ({entry.digest.short}) is missing from the database",
            hint=_HINT,
        )
    return packed


def page_body(entry: Entry, packed: bytes | None) -> bytes:
    """Return the body of a page. Raises StateFault where it is missing or damaged."""
    try:
        body = gzip.decompress(present(entry, packed))
    except (OSError, EOFError, zlib.error):
        body = b""
    if Digest.of(body) != entry.digest:
        raise StateFault(
            f"the page `{entry.path}` ({entry.digest.short}) is damaged in the database",
            hint=_HINT,
        )
    return body
