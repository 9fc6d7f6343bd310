"""Folders: HTML listings, and the core's listing of a local folder.

Listings are those of nginx, Apache and `python -m http.server`. A link is followed when it leads
below the page's own folder and has no query; one that ends in `/` is a folder itself. Listings
contain no digests: the core measures each file. Where they show the time of every file, a group
with the same names, times and sizes is taken for unchanged, as rsync does; where they do not, only
reading shows changes.
"""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urljoin

import msgspec
from lxml import etree  # type: ignore[import-untyped]

from reconciler.plugin import Group, Malformed, Page, UpstreamConduit, safe_path
from reconciler_file.listing import MOST_FILES, Entry, decode_name, group_of, usable

LOCAL_TYPE: Final = "application/vnd.reconciler.folder+json"

_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_DEEPEST_FOLDER: Final = 32
_MOST_FOLDERS: Final = 10_000
_PAGES_AT_ONCE: Final = 16
_MOST_TEXT: Final = MOST_FILES * 200  # characters of all names and URLs
_TIME = re.compile(r"\d{1,2}:\d\d")
_LISTING = re.compile(rb"index of|directory listing", re.IGNORECASE)
_MOST_ELEMENTS: Final = 2_000_000  # of one listing: some hundred bytes of memory each
_DEEPEST_ELEMENT: Final = 256  # the parser's time grows with every open element
_CHARACTERS_AT_ONCE: Final = 32 * 1024  # after each piece the parser notices that it has to stop
# Text encodings that no page has, and some of which take quadratic time.
_NOT_OF_PAGES: Final = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7"}
)


class ListedEntry(msgspec.Struct, frozen=True):
    """An entry, and its state in the listing (times, sizes); empty for none."""

    entry: Entry
    state: str


_Listing = tuple[list[ListedEntry], dict[str, str]]


class _LocalFile(msgspec.Struct, gc=False):
    path: str
    size: int
    etag: str


class _LocalFolder(msgspec.Struct):
    files: list[_LocalFile]


class _Link(msgspec.Struct):
    """A link. `after`: the text between it and the next one, in parts."""

    href: str
    after: list[str] = []


async def folder_groups(conduit: UpstreamConduit) -> list[Group]:
    """Return every file below the call's URL, in groups.

    Raises Malformed for a page that is not a listing, and for folders nested too deeply.
    """
    page = await conduit.get("")
    entries = (
        await asyncio.to_thread(_local_entries, page)
        if page.media_type == LOCAL_TYPE
        else await _walk(conduit, page)
    )
    if entries and not any(usable(listed.entry) for listed in entries):
        raise Malformed(f"{page.url}: none of its {len(entries):,} files can be used")
    groups: dict[str, list[ListedEntry]] = {}
    for listed in entries:
        groups.setdefault(group_of(listed.entry.name), []).append(listed)
    return [
        Group(
            name,
            _validator(groups[name]),
            listed=True,
            data=[listed.entry for listed in groups[name]],
        )
        for name in sorted(groups)
    ]


def _validator(group: Sequence[ListedEntry]) -> str | None:
    if not all(listed.state for listed in group):
        return None
    shown = sorted((ascii(listed.entry.name), listed.state) for listed in group)
    return sha256(msgspec.json.encode(shown)).hexdigest()


def _local_entries(page: Page) -> list[ListedEntry]:
    folder = page.url if page.url.endswith("/") else f"{page.url}/"
    try:
        files = msgspec.json.decode(page.body, type=_LocalFolder).files
    except msgspec.DecodeError as error:
        raise Malformed(f"{page.url}: the listing of the folder cannot be read: {error}") from None
    return [
        ListedEntry(
            Entry(
                file.path, f"{folder}{quote(file.path, errors='surrogateescape')}", size=file.size
            ),
            file.etag,
        )
        for file in files
    ]


async def _walk(conduit: UpstreamConduit, top: Page) -> list[ListedEntry]:
    """Read the tree level by level.

    A folder that was listed before, under whatever name a redirect gave it, is skipped.
    """
    entries: list[ListedEntry] = []
    read = _ReadSoFar(top.url)
    files, folders = await _listed(top, "", read)
    entries += files
    for _ in range(_DEEPEST_FOLDER):
        if not folders:
            return entries
        level, folders = folders, {}
        async for files, below in _listings(conduit, level, read):
            entries += files
            folders.update(below)
            read.check_folders(len(folders))
    raise Malformed(
        f"{top.url}: folders are nested more than {_DEEPEST_FOLDER} deep",
        hint="a link that leads in a circle?",
    )


class _ReadSoFar:
    """Pages of one tree that were read, and how much they hold together.

    Links are counted as they are read: a short link becomes a URL as long as that of its folder,
    and many pages are read at the same time. Raises Malformed for more than a tree has.
    """

    def __init__(self, top: str) -> None:
        self._top = top
        self._files = 0
        self._characters = 0
        self.urls: set[str] = set()

    def add(self, name: str, url: str) -> None:
        """Count a file or a folder."""
        self._files += 1
        self._characters += len(name) + len(url)
        if self._files > MOST_FILES:
            raise Malformed(f"{self._top}: more than {MOST_FILES:,} files")
        if self._characters > _MOST_TEXT:
            raise Malformed(
                f"{self._top}: the URLs of its {self._files:,} first files have more than"
                f" {_MOST_TEXT:,} characters"
            )

    def check_folders(self, waiting: int) -> None:
        """Look at the number of folders, read and `waiting`."""
        if len(self.urls) + waiting > _MOST_FOLDERS:
            raise Malformed(
                f"{self._top}: more than {_MOST_FOLDERS:,} folders",
                hint="a link that leads in a circle?",
            )


async def _listings(
    conduit: UpstreamConduit, folders: dict[str, str], read: _ReadSoFar
) -> AsyncIterator[_Listing]:
    """Yield what folders hold (URL -> prefix of their names), each read as soon as it is there.

    Raises the first failure: the content of its folder is unknown.
    """

    async def read_one(url: str) -> _Listing:
        return await _listed(await conduit.get(url), folders[url], read)

    urls = list(folders)
    for start in range(0, len(urls), _PAGES_AT_ONCE):
        batch = urls[start : start + _PAGES_AT_ONCE]
        for result in await asyncio.gather(*map(read_one, batch), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
            yield result


async def _listed(page: Page, prefix: str, read: _ReadSoFar) -> _Listing:
    """Return what a listing holds; nothing where it was read before."""
    if page.url in read.urls:
        return [], {}
    read.urls.add(page.url)
    return await asyncio.to_thread(_read_listing, page, prefix, read)


def _read_listing(page: Page, prefix: str, read: _ReadSoFar) -> _Listing:
    """Return the files of one listing, and its folders (URL -> prefix of their names)."""
    if page.media_type not in _HTML_TYPES:
        raise Malformed(
            f"{page.url} is `{page.media_type}`, not the listing of a folder",
            hint="`format:` says how upstream lists its files",
        )
    folder = urljoin(page.url, ".")
    files, folders = [], {}
    for link in _links(page):
        url = _url_below(folder, page.url, link.href)
        if url is None:
            continue
        name = prefix + decode_name(unquote_to_bytes(url.removeprefix(folder)))
        read.add(name, url)
        if url.endswith("/") and safe_path(name[:-1]):
            folders[url] = name
        else:
            shown = " ".join("".join(link.after).split())
            files.append(ListedEntry(Entry(name, url), shown if _TIME.search(shown) else ""))
    if not files and not folders and not _LISTING.search(page.body):
        raise Malformed(
            f"{page.url} links to no file and does not say that it is the listing of a folder"
        )
    return files, folders


def _url_below(folder: str, base: str, href: str) -> str | None:
    """Return the URL of a link; None where it does not lead below `folder`.

    Links for sorting, parents and other sites do not.
    """
    try:
        url = urljoin(base, href.strip()).partition("#")[0]
    except ValueError:
        return None
    return url if url.startswith(folder) and url != folder and "?" not in url else None


class _TooDeepError(ValueError):
    """Raised to stop the parser."""


class _LinkCollector:
    """Collects links, and the text behind each up to the end of its list or table.

    The target of lxml's events: it builds no tree, whose making takes minutes for some pages.
    """

    def __init__(self) -> None:
        self.links: list[_Link] = []
        self._behind = False
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST_ELEMENT:
            raise _TooDeepError(f"its elements are nested more than {_DEEPEST_ELEMENT} deep")
        if name == "a":
            self.links.append(_Link(attributes.get("href", "")))
            self._behind = False

    def end(self, name: str) -> None:
        self._depth -= 1
        if name in ("a", "pre", "table", "ul"):
            self._behind = name == "a"

    def data(self, text: str) -> None:
        if self._behind and self.links:
            self.links[-1].after.append(text)

    def close(self) -> None:
        """Called by the parser at the end of the page."""


def _links(page: Page) -> list[_Link]:
    if page.body.count(b"<") > _MOST_ELEMENTS:
        raise Malformed(f"{page.url}: more than {_MOST_ELEMENTS:,} elements in one listing")
    try:
        if codecs.lookup(page.charset).name in _NOT_OF_PAGES:
            raise LookupError(f"unknown encoding: {page.charset}")
        text = page.body.decode(page.charset, errors="replace")
        collector = _LinkCollector()
        parser = etree.HTMLParser(target=collector, huge_tree=True)
        for start in range(0, len(text) or 1, _CHARACTERS_AT_ONCE):
            parser.feed(text[start : start + _CHARACTERS_AT_ONCE])
        parser.close()
    except (LookupError, ValueError, etree.LxmlError) as error:
        raise Malformed(f"{page.url}: the HTML cannot be read: {error}") from None
    if parser.error_log.filter_from_fatals():
        raise Malformed(f"{page.url}: the HTML cannot be read")
    return collector.links
