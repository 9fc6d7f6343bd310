"""The page at `/`: which publications are here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from reconciler.database.records import Entry, Served
from reconciler.model import Digest
from reconciler.serve.representation import Representation


def listing(served: Sequence[Served]) -> bytes:
    """A plain HTML page; the links are relative, so that it works behind a prefix."""
    rows = "".join(
        f'<li><a href="{quote(record.path)}/">{escape(record.path)}</a>'
        f" ({escape(record.name)})</li>\n"
        for record in served
    )
    inside = f"<ul>\n{rows}</ul>" if rows else "<p>Nothing is published yet.</p>"
    return (
        "<!DOCTYPE html>\n<html"
        f' lang="en">\n<title>Publications</title>\n<h1>Publications</h1>\n{inside}\n</html>\n'.encode()
    )


def listing_page(page: bytes) -> Representation:
    """The page as what is at `/`."""
    entry = Entry(
        path="",
        media_type="text/html",
        group=None,
        page=True,
        digest=Digest.of(page),
        size=len(page),
    )
    return Representation(entry, gzip=False, vary=b"")
