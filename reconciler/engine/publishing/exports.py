"""A publication as a static tree that any web server can serve, switched atomically.

The export directory is a symbolic link into a folder beside it, `.<name>.export/`, that keeps two
trees. The spare tree, at first a copy of links, is updated by its own difference and then shown by
replacing the link: one rename. A marker file `<tree>.json` says what its tree holds; it is removed
before the tree is touched and written when the tree is complete and durable, so that a crash leaves
a tree that is built anew, never one whose marker is wrong.

A file that the publication merely dropped is kept in the next tree, beside what that one holds: a
client that has read a page of the tree before still finds it. It goes with the tree after that, or
with an apply once its grace is over. What a publisher lets linger by itself is kept in every tree
until its time is over; the marker names it.

Folder indexes become `index.html` (the default representation) and `index.json`, each beside a
compressed copy (`.gz`), for servers that send precompressed files.
"""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from reconciler.database import Entry, LingeringEntry, PublicationRecord, Reader
from reconciler.engine.publishing.export_trees import (
    TreeWriter,
    file_name,
    remove_entry,
    remove_file,
)
from reconciler.engine.publishing.linked_copies import copy_by_links
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.errors import StateFault
from reconciler.model import Digest, FileTree
from reconciler.store import Store
from reconciler.store.durability import flush_files, syncfs

TREES = ("a", "b")


class Lingering(msgspec.Struct, frozen=True):
    """A file that lingers by itself in a tree. `until`: seconds since 1970."""

    digest: str
    until: float


class Marker(msgspec.Struct, frozen=True, omit_defaults=True):
    """Content of a tree: ID, number and digest (`sha256:...`) of the publication.

    `kept_from`: number of the publication shown before, of which dropped files are kept; None where
    none are. `kept_until`: seconds since 1970. `lingering`: what lingers by itself, by its name in
    the tree. `base_url`: the address that pages say; empty where none is declared.
    """

    publication: int
    number: int
    digest: str
    kept_from: int | None = None
    kept_until: float = 0.0
    lingering: dict[str, Lingering] = {}
    base_url: str = ""

    def outlived(self, now: datetime) -> bool:
        """Return True if something is kept whose time is over."""
        moment = now.timestamp()
        over = self.kept_from is not None and self.kept_until <= moment
        return over or any(each.until <= moment for each in self.lingering.values())


def is_exported(directory: str, digest: Digest | None, base_url: str | None) -> bool:
    """Return True if an export shows a publication now, and under this address."""
    marker = _shown_marker(Path(directory))
    return marker is not None and (marker.digest, marker.base_url) == (str(digest), base_url or "")


def has_outlived_files(directory: str, now: datetime) -> bool:
    """Return True if an export keeps something dropped whose time is over."""
    marker = _shown_marker(Path(directory))
    return marker is not None and marker.outlived(now)


def export(
    reader: Reader,
    store: Store,
    publication_id: int,
    *,
    record: PublicationRecord,
    directory: str,
    now: datetime | None = None,
    grace: int = 0,
    base_url: str | None = None,
) -> bool:
    """Bring an export directory to the publication `record`.

    Args:
        now: The moment of the export; without it no dropped file is kept.
        grace: Seconds for which dropped files are kept.
        base_url: The address that pages say.

    Returns:
        True if another tree is shown now.

    Raises:
        StateFault: Something else lies where the link belongs, a file is not stored, or a page says
            an address and none is declared.
        DamagedBytes: A file is missing from the store, or truncated there.
    """
    link = Path(directory)
    if os.path.lexists(link) and _linked_tree(link) is None:
        raise StateFault(
            f"`{directory}` exists and is not an export of reconciler",
            hint="move it away, or export to another directory",
        )
    writer = TreeWriter(reader, store, base_url)
    return _Trees(writer, publication_id, link=link, grace=grace).update(record, now)


def forget_export(directory: str) -> None:
    """Forget what an export holds, so that it is written anew; it goes on to be shown."""
    for name in TREES:
        _marker_path(_trees(Path(directory)) / name).unlink(missing_ok=True)


class _Trees:
    """The two trees of one export directory.

    `grace`: seconds for which dropped files are kept.
    """

    def __init__(self, writer: TreeWriter, publication_id: int, *, link: Path, grace: int) -> None:
        self._writer = writer
        self._reader = writer.reader
        self._publication_id = publication_id
        self._link = link
        self._grace = grace

    def update(self, record: PublicationRecord, now: datetime | None) -> bool:
        """Write the spare tree and show it, as `export` says."""
        shown = _shown_marker(self._link)
        same = str(record.digest), self._writer.base_url
        if shown is not None and (shown.digest, shown.base_url) == same:
            if now is not None:
                self._tidy(shown, record, now)
            return False
        tree = _spare_tree(self._link)
        self._fill_spare(shown)
        marker = self._usable(_read_marker(tree))
        _marker_path(tree).unlink(missing_ok=True)
        if (
            marker is None
            or marker.number > record.number
            or marker.base_url != self._writer.base_url
        ):
            shutil.rmtree(tree, ignore_errors=True)
            tree.mkdir(parents=True)
            entries = self._reader.all_entries(self._publication_id, record.number)
            self._writer.write(tree, entries)
        else:
            self._advance(tree, marker, record.number)
        written = Marker(
            self._publication_id,
            record.number,
            str(record.digest),
            lingering={} if now is None else self._linger(tree, record, now),
            base_url=self._writer.base_url,
        )
        before = self._usable(shown)
        if now is not None and before is not None and self._keep(tree, before, record.number):
            until = now.timestamp() + self._grace
            written = replace(written, kept_from=before.number, kept_until=until)
        _flush(tree)
        _write_marker(tree, written)
        _switch(self._link, tree)
        reached(Checkpoint.EXPORT_SWITCHED)
        self._fill_spare(written)
        return True

    def _fill_spare(self, shown: Marker | None) -> None:
        """Copy the shown tree by links to the spare one, unless that holds the publication too.

        What is exported next is then written by its difference, the second time as well.
        """
        source, tree = _linked_tree(self._link), _spare_tree(self._link)
        if source is None or self._usable(shown) is None or self._usable(_read_marker(tree)):
            return
        _marker_path(tree).unlink(missing_ok=True)
        shutil.rmtree(tree, ignore_errors=True)
        if shown is not None and copy_by_links(source, tree):
            _flush(tree)
            _write_marker(tree, shown)

    def _usable(self, marker: Marker | None) -> Marker | None:
        """Return the marker if it is of a publication in this database, not of another one's."""
        if marker is None or marker.publication != self._publication_id:
            return None
        record = self._reader.publication_numbered(self._publication_id, marker.number)
        return marker if record is not None and str(record.digest) == marker.digest else None

    def _advance(self, tree: Path, marker: Marker, number: int) -> None:
        """Remove what was kept in a tree and what disappeared, then write what is new.

        A path with a new body is in both.
        """
        for name in marker.lingering:
            remove_file(tree, name)
        if marker.kept_from is not None:
            for entry in self._dropped(marker.kept_from, marker.number):
                remove_entry(tree, entry)
        appeared: list[Entry] = []
        changes = self._reader.entries_between(self._publication_id, marker.number, number)
        for change in changes:
            if change.appears:
                appeared.append(change.entry)
            else:
                remove_entry(tree, change.entry)
        self._writer.write(tree, appeared)

    def _linger(self, tree: Path, record: PublicationRecord, now: datetime) -> dict[str, Lingering]:
        """Put what lingers by itself where its place is free; return it by its name."""
        kept: dict[str, Lingering] = {}
        for name, each in self._lingering(record, now).items():
            if self._writer.keep(tree, name, each.entry):
                kept[name] = Lingering(str(each.entry.digest), each.until.timestamp())
        return kept

    def _lingering(self, record: PublicationRecord, now: datetime) -> dict[str, LingeringEntry]:
        """Return by its name in a tree what lingers by itself; of one name, what was last there."""
        lingering: dict[str, LingeringEntry] = {}
        for each in self._reader.lingering_by_themselves(
            self._publication_id, record.number, now=now, longest=record.linger
        ):
            name = file_name(each.entry) if each.entry.page else each.entry.path
            if name is not None:
                lingering.setdefault(name, each)
        return lingering

    def _keep(self, tree: Path, before: Marker, number: int) -> bool:
        """Put files of the tree before that linger beside a tree's own; return True for any."""
        lingering = self._lingering_paths(before.number, number)
        kept = [
            entry
            for entry in self._dropped(before.number, number)
            if entry.path in lingering and self._writer.keep(tree, entry.path, entry)
        ]
        return bool(kept)

    def _tidy(self, marker: Marker, record: PublicationRecord, now: datetime) -> None:
        """Remove what is kept and a rule has taken away since, or whose time is over."""
        tree = _linked_tree(self._link)
        if tree is None or self._usable(marker) is None:
            return
        left = marker
        if marker.lingering:
            alive = self._alive(marker, record, now)
            for name in marker.lingering.keys() - alive.keys():
                remove_file(tree, name)
            left = replace(left, lingering=alive)
        if marker.kept_from is not None:
            over = marker.kept_until <= now.timestamp()
            lingering = set() if over else self._lingering_paths(marker.kept_from, marker.number)
            for entry in self._dropped(marker.kept_from, marker.number):
                if entry.path not in lingering and entry.path not in marker.lingering:
                    remove_entry(tree, entry)
            if over:
                left = replace(left, kept_from=None, kept_until=0.0)
        if left != marker:
            _write_marker(tree, left)

    def _alive(
        self, marker: Marker, record: PublicationRecord, now: datetime
    ) -> dict[str, Lingering]:
        """Return what a tree keeps and still lingers: the same bytes, not others of the name."""
        lingering = self._lingering(record, now)
        return {
            name: kept
            for name, kept in marker.lingering.items()
            if name in lingering and str(lingering[name].entry.digest) == kept.digest
        }

    def _lingering_paths(self, before: int, number: int) -> set[str]:
        entries = self._reader.lingering_files(self._publication_id, before, number)
        return {entry.path for entry in entries}

    def _dropped(self, before: int, number: int) -> list[Entry]:
        """Return the files of the publication `before` whose names are free in `number`.

        A name is taken by an entry at the same path, by a folder in its place or a file in the
        place of its folder, and by a name that a file system takes for the same one.
        """
        changes = list(self._reader.entries_between(self._publication_id, before, number))
        appearing = {change.entry.path for change in changes if change.appears}
        gone = [
            change.entry
            for change in changes
            if not change.appears and not change.entry.page and change.entry.path not in appearing
        ]
        names = FileTree([entry.path for entry in gone], folded=True)
        for path in appearing:
            names.meet(path)
        taken = names.faults()
        return [entry for entry in gone if entry.path not in taken]


def remove_export(directory: str) -> None:
    """Remove an export: the link first, then the trees. Anything but an export stays."""
    link = Path(directory)
    if link.is_symlink() and _linked_tree(link) is not None:
        link.unlink()
        shutil.rmtree(_trees(link), ignore_errors=True)


def _shown_marker(link: Path) -> Marker | None:
    tree = _linked_tree(link)
    return _read_marker(tree) if tree else None


def _trees(link: Path) -> Path:
    return link.parent / f".{link.name}.export"


def _linked_tree(link: Path) -> Path | None:
    """Return the tree that the link points to, or None if it is not the link of an export."""
    if not link.is_symlink():
        return None
    target = link.parent / os.readlink(link)
    return target if target.parent == _trees(link) else None


def _spare_tree(link: Path) -> Path:
    """Return the tree that is not shown: the one that may be changed."""
    linked = _linked_tree(link)
    return _trees(link) / next(name for name in TREES if linked is None or linked.name != name)


def _switch(link: Path, tree: Path) -> None:
    replacement = link.with_name(f".{link.name}.link")
    replacement.unlink(missing_ok=True)
    replacement.symlink_to(Path(tree.parent.name) / tree.name)
    replacement.replace(link)


def _marker_path(tree: Path) -> Path:
    return tree.with_name(f"{tree.name}.json")


def _flush(tree: Path) -> None:
    """Make the tree durable, because a marker vouches for it even after a power cut."""
    if syncfs is not None:
        syncfs(str(tree))
    else:
        flush_files((str(path) for path in tree.rglob("*") if path.is_file()), str(tree))


def _write_marker(tree: Path, marker: Marker) -> None:
    path = _marker_path(tree)
    replacement = path.with_name(f"{path.name}.new")
    replacement.write_bytes(msgspec.json.encode(marker))
    replacement.replace(path)


def _read_marker(tree: Path) -> Marker | None:
    try:
        return msgspec.json.decode(_marker_path(tree).read_bytes(), type=Marker)
    except (OSError, msgspec.DecodeError):
        return None
