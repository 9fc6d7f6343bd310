"""Choice of the reader for a page: by its media type, or else by its content.

Static hosts answer `application/json`, `application/octet-stream`, `text/plain` or no type at all
for valid pages. Of those, JSON counts that names its API version, and text that begins as an HTML
document does. A type with another meaning is believed.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from reconciler.plugin import Malformed, Page
from reconciler_python.reading.documents import (
    HTML_TYPE,
    JSON_TYPE,
    ListedProject,
    ProjectDocument,
    read_list_json,
    read_project_json,
)
from reconciler_python.reading.urls import shown_url

_JSON_TYPES: Final = frozenset({JSON_TYPE, "application/vnd.pypi.simple.latest+json"})
_HTML_TYPES: Final = frozenset(
    {HTML_TYPE, "application/vnd.pypi.simple.latest+html", "text/html", "application/xhtml+xml"}
)
_UNSPECIFIC: Final = frozenset(
    {"", "application/octet-stream", "binary/octet-stream", "text/plain"}
)
_OTHER_VERSION = re.compile(r"application/vnd\.pypi\.simple\.v([0-9]{1,9})\+(?:json|html)")
_HTML_START = re.compile(
    rb"\s*+(?:<!--.{0,4096}?-->\s*+)?<(?:!doctype\s++html|html)[\s>]", re.IGNORECASE | re.DOTALL
)


def read_project(page: Page) -> ProjectDocument:
    """Read the page of a project. Raises Malformed when it is none of an index."""
    if _is_json(page):
        return read_project_json(page)
    # loaded here, since most indexes speak JSON and the parser slows every start
    from reconciler_python.reading.html_documents import read_project_html

    return read_project_html(page)


def read_list(page: Page) -> list[ListedProject]:
    """Return the entries of a list of projects. Raises Malformed."""
    if _is_json(page):
        return read_list_json(page)
    from reconciler_python.reading.html_documents import read_list_html

    return read_list_html(page)


def _is_json(page: Page) -> bool:
    """Return True for JSON, False for HTML. Raises Malformed for other pages."""
    media_type = page.media_type
    if media_type in _JSON_TYPES:
        return True
    if media_type in _HTML_TYPES:
        return False
    match = _OTHER_VERSION.fullmatch(media_type)
    if match:
        raise Malformed(
            f"{shown_url(page)}: speaks version {match[1]} of the simple API, only version 1 is"
            " understood"
        )
    body = page.body[:3].removeprefix(codecs.BOM_UTF8) + page.body[3:8192]
    if (
        media_type in {*_UNSPECIFIC, "application/json"}
        and body.lstrip()[:1] == b"{"
        and b'"api-version"' in page.body
    ):
        return True
    if media_type in _UNSPECIFIC and _HTML_START.match(body):
        return False
    raise Malformed(
        f"{shown_url(page)}: answered with content type `{media_type or '(none)'}`, which is no"
        " page of the simple API",
        hint=(
            "the remote's URL should be that of an index, such as https://index.example.org/simple/"
        ),
    )
