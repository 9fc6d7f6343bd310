"""Folders: HTML listings as nginx, Apache and `python -m http.server` make them, and the core's
listing of a local folder.

A link is followed when it leads below the page's own folder and has no query; one that ends in `/`
is a folder itself. Listings tell no digests: the core measures each file. Where they tell the time
of every file, a group that shows the same names, times and sizes is taken for unchanged, as rsync
does; where they do not, only reading tells.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from hashlib import sha256
from html.parser import HTMLParser
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urljoin

import msgspec

from reconciler.plugin import Group, ImporterCall, Malformed, Page, safe_path
from reconciler_file.listing import Entry, group_of, text_of

LOCAL_TYPE: Final = "application/vnd.reconciler.folder+json"

_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_DEEPEST: Final = 32
_MOST_FOLDERS: Final = 10_000
_AT_ONCE: Final = 16
_TIME = re.compile(r"\d{1,2}:\d\d")
_LISTING = re.compile(rb"index of|directory listing", re.IGNORECASE)


class Listed(msgspec.Struct, frozen=True):
    """An entry and what its listing shows of its state (times, sizes); empty where it shows none."""

    entry: Entry
    state: str


class _LocalFile(msgspec.Struct, gc=False):
    path: str
    size: int
    etag: str


class _LocalFolder(msgspec.Struct):
    files: list[_LocalFile]


class _Link(msgspec.Struct):
    """`after`: the text between this link and the next."""

    href: str
    after: list[str] = []


async def folder_groups(call: ImporterCall) -> list[Group]:
    """Every file below the call's URL, in groups. Raises Malformed for what is no listing, and for
    folders without end.
    """
    page = await call.get("")
    found = (
        await asyncio.to_thread(_local, page)
        if page.media_type == LOCAL_TYPE
        else await _walk(call, page)
    )
    groups: dict[str, list[Listed]] = {}
    for listed in found:
        groups.setdefault(group_of(listed.entry.name), []).append(listed)
    return [
        Group(
            name,
            _validator(groups[name]),
            listed=True,
            data=[group.entry for group in groups[name]],
        )
        for name in sorted(groups)
    ]


def _validator(group: Sequence[Listed]) -> str | None:
    if not all(one.state for one in group):
        return None
    shown = sorted((ascii(one.entry.name), one.state) for one in group)
    return sha256(msgspec.json.encode(shown)).hexdigest()


def _local(page: Page) -> list[Listed]:
    folder = page.url if page.url.endswith("/") else f"{page.url}/"
    try:
        files = msgspec.json.decode(page.body, type=_LocalFolder).files
    except msgspec.DecodeError as error:
        raise Malformed(f"{page.url}: the listing of the folder cannot be read: {error}") from None
    return [
        Listed(
            Entry(
                file.path, f"{folder}{quote(file.path, errors='surrogateescape')}", size=file.size
            ),
            file.etag,
        )
        for file in files
    ]


async def _walk(call: ImporterCall, top: Page) -> list[Listed]:
    """Level by level. A folder that was listed already, under whatever name a redirect gave it, is
    passed over.
    """
    found: list[Listed] = []
    seen: set[str] = set()
    level = [("", top)]
    for _ in range(_DEEPEST):
        folders: dict[str, str] = {}
        for prefix, page in level:
            if page.url not in seen:
                seen.add(page.url)
                files, below = await asyncio.to_thread(_read, page, prefix)
                found += files
                folders.update(below)
        if len(seen) + len(folders) > _MOST_FOLDERS:
            raise Malformed(
                f"{top.url}: more than {_MOST_FOLDERS:,} folders",
                hint="a link that leads in a circle?",
            )
        if not folders:
            return found
        level = await _pages(call, folders)
    raise Malformed(
        f"{top.url}: folders are nested more than {_DEEPEST} deep",
        hint="a link that leads in a circle?",
    )


async def _pages(call: ImporterCall, folders: dict[str, str]) -> list[tuple[str, Page]]:
    """The pages of folders (URL -> prefix of its names). Any that fails fails the whole: what it
    holds is not known.
    """
    urls = list(folders)
    pages: list[tuple[str, Page]] = []
    for start in range(0, len(urls), _AT_ONCE):
        some = urls[start : start + _AT_ONCE]
        for url, answer in zip(
            some, await asyncio.gather(*map(call.get, some), return_exceptions=True), strict=True
        ):
            if isinstance(answer, BaseException):
                raise answer
            pages.append((folders[url], answer))
    return pages


def _read(page: Page, prefix: str) -> tuple[list[Listed], dict[str, str]]:
    """The files of one listing, and its folders (URL -> prefix of their names)."""
    if page.media_type not in _HTML_TYPES:
        raise Malformed(
            f"{page.url} is `{page.media_type}`, not the listing of a folder",
            hint="`format:` says how upstream lists its files",
        )
    folder = urljoin(page.url, ".")
    files, folders = [], {}
    for link in _links(page):
        url = _below(folder, page.url, link.href)
        if url is None:
            continue
        name = prefix + text_of(unquote_to_bytes(url.removeprefix(folder)))
        if url.endswith("/") and safe_path(name[:-1]):
            folders[url] = name
        else:
            shown = " ".join("".join(link.after).split())
            files.append(Listed(Entry(name, url), shown if _TIME.search(shown) else ""))
    if not files and not folders and not _LISTING.search(page.body):
        raise Malformed(
            f"{page.url} links to no file and does not say that it is the listing of a folder"
        )
    return files, folders


def _below(folder: str, base: str, href: str) -> str | None:
    """The URL behind a link, where it leads below `folder`: sorting links, parents and other places
    are none of it.
    """
    try:
        url = urljoin(base, href.strip()).partition("#")[0]
    except ValueError:
        return None
    return url if url.startswith(folder) and url != folder and "?" not in url else None


class _Reader(HTMLParser):
    """Collects links, and what is written behind each up to the end of its list or table."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[_Link] = []
        self._behind = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(_Link(dict(attrs).get("href") or ""))
            self._behind = False

    def handle_endtag(self, tag: str) -> None:
        if tag in ("a", "pre", "table", "ul"):
            self._behind = tag == "a"

    def handle_data(self, data: str) -> None:
        if self._behind and self.links:
            self.links[-1].after.append(data)


def _links(page: Page) -> list[_Link]:
    reader = _Reader()
    try:
        reader.feed(page.body.decode(page.charset, errors="replace"))
        reader.close()
    except (
        LookupError,
        AssertionError,
    ) as error:  # an unknown charset; what html.parser says of some broken declarations
        raise Malformed(f"{page.url}: the HTML cannot be read: {error}") from None
    return reader.links
