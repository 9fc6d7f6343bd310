"""Trees of packages on disk: what bandersnatch writes, and folders of distributions.

A tree with pages has them in `simple/`, `web/simple/` or beside each other, one folder a project,
as `index.v1_json` or `index.html`; their links are relative, or lead to where the tree will be
served: then the same path is looked for in the tree. Any other folder is searched for distributions
at every depth; they have no pages, so the core measures their digests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from reconciler.plugin import Gone, Group, Malformed, NotCached, Page
from reconciler_python.options.conduit import Conduit
from reconciler_python.reading.documents import JSON_TYPE, ProjectDocument
from reconciler_python.reading.filenames import (
    FilenameReader,
    UnreadableFilename,
    possible_projects,
    project_name,
    stem_and_type,
)

SCHEME: Final = "file:"
_FOLDER_TYPE: Final = "application/vnd.reconciler.folder+json"
_FOLDERS: Final = ("simple/", "web/simple/", "")
_INDEXES: Final = ("index.v1_json", "index.html")
_META: Final = {"api-version": "1.1"}


class LocalFile(msgspec.Struct, gc=False):
    """A file of a listing, as the core lists it."""

    path: str
    size: int
    etag: str


class _Listing(msgspec.Struct):
    files: list[LocalFile]


class FolderProject(NamedTuple):
    """The page that a project's files amount to, and what else belongs to its group."""

    page: Page
    data: Any = None


class PageTree:
    """A tree with pages. `list_page`: the list of its projects."""

    def __init__(self, list_page: Page) -> None:
        self.list_page = list_page

    async def project_page(self, conduit: Conduit, name: str) -> Page:
        """Return the page of a project. Raises Gone."""
        return await project_page(conduit, name)

    async def with_page(self, conduit: Conduit, group: Group) -> Group:
        """Return the group as it is: its page is found by its name."""
        return group


class FolderTree:
    """A folder of distributions. `list_page`: made of their names."""

    def __init__(self, listing: Page, files: Mapping[str, list[LocalFile]]) -> None:
        self._url = listing.url if listing.url.endswith("/") else f"{listing.url}/"
        self._files = files
        projects = [{"name": name} for name in sorted(files)]
        self.list_page = self._page({"projects": projects}, listing.validator)

    async def project_page(self, conduit: Conduit, name: str) -> Page:
        """Return the page that the files of a project amount to. Raises Gone."""
        files = self._files.get(name)
        if files is None:
            raise Gone(f"`{self._url}` holds no distribution of `{name}`")
        listed = [
            {
                "filename": file.path.rpartition("/")[2],
                "url": self._url + quote(file.path),
                "hashes": {},
                "size": file.size,
            }
            for file in files
        ]
        state = sha256(repr([(file.path, file.etag) for file in files]).encode()).hexdigest()
        return self._page({"name": name, "files": listed}, state)

    async def with_page(self, conduit: Conduit, group: Group) -> Group:
        """Return the group with its page, so that the folder is not searched again for it."""
        if group.name not in self._files or group.refused:
            return group
        page = await self.project_page(conduit, group.name)
        return msgspec.structs.replace(group, data=FolderProject(page, group.data))

    def _page(self, keys: Mapping[str, Any], validator: str) -> Page:
        body = json.dumps({"meta": _META, **keys}).encode()
        return Page(self._url, body, validator, JSON_TYPE)


async def local_tree(conduit: Conduit) -> PageTree | FolderTree | None:
    """Return the tree that the remote is; None for one that is no place on disk.

    Raises Gone where there is nothing, Malformed for a folder without any distribution.
    """
    if not is_local(conduit.url):
        return None
    page = await _first_page(conduit, _FOLDERS)
    if page is not None:
        return PageTree(page)
    listing = await conduit.get("")
    files = await asyncio.to_thread(_by_project, listing)
    if not files:
        raise Malformed(
            f"`{listing.url}` holds neither pages of an index nor distributions",
            hint="the folder above `simple`, or a folder with wheels and source distributions",
        )
    return FolderTree(listing, files)


async def project_page(conduit: Conduit, name: str) -> Page:
    """Return the page of a project of a tree, or what its files in a folder amount to."""
    page = await _first_page(conduit, [f"{folder}{name}/" for folder in _FOLDERS])
    if page is not None:
        return page
    page = await _first_page(conduit, [f"{folder}{name[0]}/{name}/" for folder in _FOLDERS])
    if page is not None:
        return _as_served(page, name)
    tree = await local_tree(conduit)
    if isinstance(tree, FolderTree):
        return await tree.project_page(conduit, name)
    raise Gone(f"`{conduit.url}` has no page of `{name}`")


def _as_served(page: Page, name: str) -> Page:
    """Return a page of a tree with `hash-index`: its links are those of `simple/<name>/`."""
    folder = page.url.removesuffix(page.url.rpartition("/")[2]).removesuffix(f"{name[0]}/{name}/")
    return msgspec.structs.replace(page, url=f"{folder}{name}/")


def is_local(url: str) -> bool:
    return url.startswith(SCHEME)


def localised(document: ProjectDocument, page: Page) -> ProjectDocument:
    """Return a document whose links to a server lead into the tree that the page is part of."""
    root, mark, _ = page.url.rpartition("/simple/")
    for number, file in enumerate(document.files if mark else ()):
        if file.url.startswith(("https://", "http://")):
            path = _path(file.url)
            document.files[number] = msgspec.structs.replace(file, url=f"{root}{path}")
    return document


def _path(url: str) -> str:
    try:
        return urlsplit(url).path or "/"
    except ValueError:
        return "/"


async def _first_page(conduit: Conduit, folders: Iterable[str]) -> Page | None:
    """Return the first page that is there; None where none is. Raises NotCached offline."""
    unknown: NotCached | None = None
    for folder in folders:
        for name in _INDEXES:
            try:
                return await conduit.get(folder + name)
            except Gone:
                continue
            except NotCached as error:
                unknown = unknown or error
    if unknown is not None:
        raise unknown
    return None


def _by_project(listing: Page) -> dict[str, list[LocalFile]]:
    """Return the distributions of a folder by project; of two of one name the first counts."""
    if listing.media_type != _FOLDER_TYPE:
        raise Malformed(f"`{listing.url}` is no folder")
    try:
        files = msgspec.json.decode(listing.body, type=_Listing).files
    except msgspec.DecodeError as error:
        raise Malformed(f"`{listing.url}`: the listing cannot be read: {error}") from None
    projects: dict[str, list[LocalFile]] = {}
    seen: set[str] = set()
    for file in files:
        filename = file.path.rpartition("/")[2]
        name = _project_of(filename)
        if name is not None and filename not in seen:
            seen.add(filename)
            projects.setdefault(name, []).append(file)
    return projects


def _project_of(filename: str) -> str | None:
    """Return the project of a filename: the longest name that leaves a version behind it."""
    names = list(_possible(filename))
    for name in reversed(names):
        try:
            FilenameReader(name).read(filename)
        except UnreadableFilename:
            continue
        return name
    return names[0] if names else None


def _possible(filename: str) -> Iterator[str]:
    parts = stem_and_type(filename)
    for text in possible_projects(*parts) if parts is not None else ():
        name = project_name(text)
        if name is not None:
            yield name
