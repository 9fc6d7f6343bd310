"""URLs as the pages of an index write them."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, urljoin

from reconciler.plugin import Page

_FETCHABLE = re.compile(
    r"https?://(?:[^\s/?\\@:\[\]]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?]\S*)?"
)
_BLANK = re.compile(r"[^\S\t-\r\x1c-\x1f]")  # but for control characters
_LINE_BREAKS = str.maketrans("", "", "\t\n\r")
_USER = re.compile(r"^(https?://)[^/?#]*@", re.IGNORECASE)
_LONGEST_URL = 16_000  # characters; the core takes few more, and `.metadata` may follow
_STRAIGHT = re.compile(  # some folders up, then down: no scheme, host, query, dot segment
    r"((?:\.\./)*)([A-Za-z0-9_][\w.+~%-]*(?:/[A-Za-z0-9_][\w.+~%-]*)*(?:\#[!-~]+)?)", re.ASCII
)

_PLAIN_FOLDER = re.compile(
    r"(https?://[A-Za-z0-9._-]+(?::[0-9]+)?)(/(?:[A-Za-z0-9_][\w.+~%-]*/)*)", re.ASCII
)


def fetchable_url(base: str, url: str) -> str | None:
    """Return the URL to fetch, without fragment; None for what must not be fetched.

    That is `javascript:`, broken URLs, and `file:` on a page that is not on disk itself. Blanks are
    read as browsers do (WHATWG URL 4.4): left out around it, percent-encoded within; tabs and line
    breaks are left out everywhere. So are user and password: what is recorded and shown holds no
    secret, and a remote has its `auth` for them.
    """
    if base.startswith("file:"):
        return _local_url(base, url)
    is_absolute = url.startswith(("https://", "http://"))
    straight = None if is_absolute else _STRAIGHT.fullmatch(url)
    folder = _fetchable_folder(base, straight[1]) if straight else ""
    if straight and folder:
        url = folder + straight[2].partition("#")[0]
        return url if len(url) <= _LONGEST_URL else None
    url = without_blanks(url)
    if not url.startswith(("https://", "http://")):
        try:
            url = absolute_url(base, url) if url else ""
        except ValueError:
            return None
    url = url.partition("#")[0]
    if "@" in url:
        url = _USER.sub(r"\1", url)
    return (
        url
        if len(url) <= _LONGEST_URL and url.isprintable() and _FETCHABLE.fullmatch(url)
        else None
    )


def _local_url(base: str, url: str) -> str | None:
    """Return the place on disk that a page on disk names; None for one of a server.

    The core reads nothing outside of the folder of the remote.
    """
    try:
        place = urljoin(base, without_blanks(url).partition("#")[0])
    except ValueError:
        return None
    local = place.startswith("file:///") and place.isprintable() and not set(place) & set("?\\ ")
    return place if local and len(place) <= _LONGEST_URL else None


def absolute_url(base: str, url: str) -> str:
    """Return what `urljoin` does, raising ValueError as it does.

    Most relative URLs of a page lead straight to a file, by way of one folder that all share.
    """
    straight = _STRAIGHT.fullmatch(url)
    return _folder(base, straight[1]) + straight[2] if straight else urljoin(base, url)


@lru_cache(maxsize=256)
def _fetchable_folder(base: str, up: str) -> str:
    """Return the folder that is fetchable with all that stands in it; empty where it is none."""
    try:
        folder = _folder(base, up)
    except ValueError:
        return ""
    fetchable = folder.endswith("/") and folder.isprintable() and _FETCHABLE.fullmatch(folder)
    return "" if not fetchable or set(folder) & set("?#@") else folder


@lru_cache(maxsize=256)
def _folder(base: str, up: str) -> str:
    """Return what `urljoin` does; of a plain base, which each page has its own of, in short."""
    plain = _PLAIN_FOLDER.fullmatch(base)
    if plain is None:
        return urljoin(base, up or "./")
    path: str = plain[2]
    for _ in range(up.count("../")):
        path = path[: path.rfind("/", 0, -1) + 1] or "/"
    return plain[1] + path


def without_blanks(url: str) -> str:
    """Return a URL as it is written, its blanks as browsers read them.

    Tabs and line breaks are left out. Host names have no blanks, so theirs stay: such a URL is
    refused.
    """
    if " " not in url and url.isprintable():
        return url
    url = url.strip().translate(_LINE_BREAKS)
    start = url.find("/", url.find("://") + 3) if "://" in url else 0
    return url if start < 0 else url[:start] + _BLANK.sub(_percent_encoded, url[start:])


def _percent_encoded(match: re.Match[str]) -> str:
    return quote(match[0], safe="")


def shown_url(page: Page) -> str:
    """Return where a page is, for messages.

    Without user, password, and a query that may be a signature.
    """
    return _USER.sub(r"\1", re.split(r"[?#]", page.url)[0])
