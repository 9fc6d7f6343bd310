"""A publication as a static tree that any web server can serve, switched atomically.

The export directory is a symbolic link into a folder beside it, `.<name>.export/`, that keeps two
trees. The tree that is not shown is advanced by its own difference and then shown by replacing the
link: one rename. A file `<tree>.json` says what its tree holds; it is removed before the tree is
touched and written when it is whole, so a crash leaves a tree that is built anew, never one that
lies.

Folder indexes become `index.html` (the default representation) and `index.json`, and lie there
compressed as well (`.gz`), for servers that send precompressed files.
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from reconciler.database import Entry, PublicationRecord, Reader
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.errors import StateFault
from reconciler.model import Digest
from reconciler.store import Store
from reconciler.store.durability import flush_files, syncfs

TREES = ("a", "b")
PAGES_AT_ONCE = 200


class Marker(msgspec.Struct, frozen=True):
    """What a tree holds: the publication's row, its number there, and its digest (`sha256:...`)."""

    publication: int
    number: int
    digest: str


def exported(directory: str) -> str | None:
    """The publication digest (`sha256:...`) that an export shows now, or None."""
    shown = _shown(Path(directory))
    marker = _read_marker(shown) if shown else None
    return marker.digest if marker else None


def export(
    reader: Reader, store: Store, publication_id: int, record: PublicationRecord, directory: str
) -> bool:
    """Bring an export directory to `record`. Returns whether anything had to be done.

    Raises StateFault where something else than our link stands in its place.
    """
    link = Path(directory)
    if os.path.lexists(link) and _shown(link) is None:
        raise StateFault(
            f"`{directory}` exists and is not an export of ours",
            hint="move it away, or export to another directory",
        )
    if exported(directory) == str(record.digest):
        return False
    tree = _hidden_tree(link)
    marker = _read_marker(tree)
    _marker_path(tree).unlink(missing_ok=True)
    if (
        marker is None
        or not _recorded(reader, publication_id, marker)
        or marker.number > record.number
    ):
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        _write(reader, store, tree, reader.all_entries(publication_id, record.number))
    else:
        _advance(reader, store, tree, publication_id, marker.number, record.number)
    _flush(tree)
    _write_marker(tree, Marker(publication_id, record.number, str(record.digest)))
    _switch(link, tree)
    reached(Checkpoint.EXPORT_SWITCHED)
    return True


def _recorded(reader: Reader, publication_id: int, marker: Marker) -> bool:
    """Is the tree one that this very database has published? Another may have left it, under the
    same numbers.
    """
    found = (
        reader.publication_numbered(publication_id, marker.number)
        if marker.publication == publication_id
        else None
    )
    return found is not None and str(found.digest) == marker.digest


def forget(directory: str) -> None:
    """Remove an export: the link first, then the trees. What is not ours stays."""
    link = Path(directory)
    if link.is_symlink() and _shown(link) is not None:
        link.unlink()
        shutil.rmtree(_trees(link), ignore_errors=True)


def written_exports(spec: Mapping[str, Any]) -> list[str]:
    """The directories that a Publication exports to, as its manifest writes them."""
    return [one["directory"]["path"] for one in spec.get("exports", []) if "directory" in one]


def overlap(one: str, other: str) -> bool:
    """Are two paths equal, or is one below the other?"""
    a, b = ([part for part in path.split("/") if part] for path in (one, other))
    return a[: len(b)] == b[: len(a)]


def _advance(
    reader: Reader, store: Store, tree: Path, publication_id: int, before: int, after: int
) -> None:
    """Remove what vanished, then write what appeared: a path whose body changed is in both."""
    appeared: list[Entry] = []
    for change in reader.entries_between(publication_id, before, after):
        if change.appears:
            appeared.append(change.entry)
        else:
            _remove(tree, change.entry)
    _write(reader, store, tree, appeared)


def _write(reader: Reader, store: Store, tree: Path, entries: Iterable[Entry]) -> None:
    pages: list[Entry] = []
    for entry in entries:
        if entry.page:
            pages.append(entry)
            if len(pages) == PAGES_AT_ONCE:
                _write_pages(reader, tree, pages)
                pages = []
        else:
            _write_file(reader, store, tree, entry)
    _write_pages(reader, tree, pages)


def _write_file(reader: Reader, store: Store, tree: Path, entry: Entry) -> None:
    try:
        _place(store, entry.digest, tree / entry.path)
    except StateFault:
        if reader.stored([entry.digest]):  # then they are lost, and that is another matter
            raise
        raise StateFault(
            f"`{entry.path}` cannot be exported: its bytes were left upstream, as `policy:"
            " on-demand` of its remote says",
            hint=(
                "an export holds every file: set `policy: immediate`, or publish without `exports`"
            ),
        ) from None


def _write_pages(reader: Reader, tree: Path, entries: list[Entry]) -> None:
    bodies = reader.pages({entry.digest for entry in entries}) if entries else {}
    for entry in entries:
        name = _file_name(entry)
        if name is None:
            continue
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.decompress(bodies[entry.digest]))
        if entry.path.endswith("/"):
            _twin(path).write_bytes(bodies[entry.digest])


def _twin(index: Path) -> Path:
    """The same page compressed. Folder indexes alone have one: beside a page with a name of its own
    there may be a file of that name.
    """
    return index.with_name(f"{index.name}.gz")


def _remove(tree: Path, entry: Entry) -> None:
    name = _file_name(entry) if entry.page else entry.path
    if name is None:
        return
    path = tree / name
    path.unlink(missing_ok=True)
    if entry.path.endswith("/"):
        _twin(path).unlink(missing_ok=True)
    for folder in path.parents:
        if folder == tree or not folder.exists() or any(folder.iterdir()):
            return
        folder.rmdir()


def _file_name(entry: Entry) -> str | None:
    """Where a page lies in the tree; None for a representation that a static tree has no room for."""
    if not entry.path.endswith("/"):
        return entry.path if entry.position == 0 else None
    if entry.position == 0:
        return (
            f"{entry.path}index.html" if entry.media_type == "text/html" else f"{entry.path}index"
        )
    return f"{entry.path}index.json" if entry.media_type.endswith("json") else None


def _place(store: Store, digest: Digest, path: Path) -> None:
    """A hard link where the file system allows it (bytes in the store never change), else a copy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    source = store.path(digest)
    if source is not None:
        try:
            os.link(source, path)
            return
        except OSError:  # another file system, or one without links
            pass
    with store.open(digest) as reading, path.open("wb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)


def _trees(link: Path) -> Path:
    return link.parent / f".{link.name}.export"


def _shown(link: Path) -> Path | None:
    """The tree that the link shows, if it is one of ours."""
    if not link.is_symlink():
        return None
    target = link.parent / os.readlink(link)
    return target if target.parent == _trees(link) else None


def _hidden_tree(link: Path) -> Path:
    """The tree that may be touched: the one that is not shown."""
    shown = _shown(link)
    return _trees(link) / next(name for name in TREES if shown is None or shown.name != name)


def _switch(link: Path, tree: Path) -> None:
    beside = link.with_name(f".{link.name}.link")
    beside.unlink(missing_ok=True)
    beside.symlink_to(Path(tree.parent.name) / tree.name)
    beside.replace(link)


def _marker_path(tree: Path) -> Path:
    return tree.with_name(f"{tree.name}.json")


def _flush(tree: Path) -> None:
    """What a marker promises survives a power cut, so the tree is durable before there is one."""
    if syncfs is not None:
        syncfs(str(tree))
    else:
        flush_files((str(path) for path in tree.rglob("*") if path.is_file()), str(tree))


def _write_marker(tree: Path, marker: Marker) -> None:
    path = _marker_path(tree)
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(msgspec.json.encode(marker))
    beside.replace(path)


def _read_marker(tree: Path) -> Marker | None:
    try:
        return msgspec.json.decode(_marker_path(tree).read_bytes(), type=Marker)
    except (OSError, msgspec.DecodeError):
        return None
