"""Plain lists of what lies in the folders of a publication.

A publication whose publisher emits no page for its root has a list there, so that the links of the
front page lead somewhere; so have its folders.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote


def folder_list(path: str, names: Sequence[str], *, limit: int) -> bytes:
    """Return a plain HTML page of the names in a folder; `limit`: there may be more."""
    rows = "".join(f'<li><a href="./{quote(name)}">{escape(name)}</a></li>\n' for name in names)
    more = f"<p>These are the first {limit:,}.</p>\n" if len(names) >= limit else ""
    return plain_page(path, f"<ul>\n{rows}</ul>\n{more}".rstrip("\n"))


def plain_page(title: str, content: str) -> bytes:
    """Return a page of a heading and some HTML."""
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<title>{escape(title)}</title>\n'
        f"<h1>{escape(title)}</h1>\n{content}\n</html>\n"
    )
    return page.encode()
