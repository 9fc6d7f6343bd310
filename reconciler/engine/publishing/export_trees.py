"""Entries of a publication as files of a tree: which name each has there, and what it holds."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from reconciler.database import Entry, Reader
from reconciler.database.page_bodies import page_body, present
from reconciler.engine.publishing.linked_copies import write_new
from reconciler.engine.transfer.stored_bytes import DamagedBytes, check_sizes
from reconciler.errors import ReconcilerError, StateFault
from reconciler.model import Digest, read_body, with_base_url
from reconciler.store import Store

ENTRIES_AT_ONCE = 200
GZIP_LEVEL = 6


class TreeWriter:
    """Writes entries into trees. `base_url`: the address that pages say; empty without one."""

    def __init__(self, reader: Reader, store: Store, base_url: str | None) -> None:
        self.reader = reader
        self.base_url = base_url or ""
        self._store = store

    def write(self, tree: Path, entries: Iterable[Entry]) -> None:
        iterator = iter(entries)
        while batch := list(islice(iterator, ENTRIES_AT_ONCE)):
            self._write_files(tree, [entry for entry in batch if not entry.page])
            self._write_pages(tree, [entry for entry in batch if entry.page])

    def keep(self, tree: Path, name: str, entry: Entry) -> bool:
        """Keep something dropped, where its place is free; return True if it is there now.

        A page without a compressed copy.
        """
        path = tree / name
        if os.path.lexists(path):
            return False
        try:
            if entry.page:
                self._write_pages(tree, [entry], compressed=False)
            else:
                _link_or_copy(self._store, entry.digest, path)
        except (KeyError, OSError, ReconcilerError):  # a new file where its folder was, lost bytes
            with suppress(OSError):  # a part of a copy, where the disk is full
                path.unlink()
            return False
        return True

    def _write_files(self, tree: Path, entries: list[Entry]) -> None:
        """Link or copy files whose bytes are in the store, with their size.

        Raises DamagedBytes before anything of them is written.
        """
        sizes = self.reader.stored_sizes({entry.digest for entry in entries}) if entries else {}
        check_sizes(self._store, sizes.items())
        for entry in entries:
            if entry.digest not in sizes and not self._store.has(entry.digest):
                raise _not_stored(self.reader, entry)
            _link_or_copy(self._store, entry.digest, tree / entry.path)

    def _write_pages(self, tree: Path, entries: list[Entry], *, compressed: bool = True) -> None:
        digests = {entry.digest for entry in entries}
        bodies = self.reader.pages(digests)
        chunked = self.reader.chunked_bodies(digests - bodies.keys())
        for entry in entries:
            name = file_name(entry)
            if name is None:
                continue
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if entry.digest in chunked:
                path.unlink(missing_ok=True)  # the other tree may have the same file
                with path.open("wb") as file:
                    file.writelines(read_body(chunked[entry.digest], self.reader.chunks))
                continue
            body, packed = self._bodies(entry, bodies.get(entry.digest))
            write_new(path, body)
            if compressed and _is_folder_index(entry):
                write_new(_compressed(path), packed)

    def _bodies(self, entry: Entry, packed: bytes | None) -> tuple[bytes, bytes]:
        """Return the body of a page as clients of a tree get it, and compressed.

        Raises StateFault where it is missing or damaged, or says an address and none is declared.
        """
        packed = present(entry, packed)
        body = page_body(entry, packed)
        if not entry.addressed:
            return body, packed
        if not self.base_url:
            raise StateFault(
                f"`{entry.path}` says where it is served, which an export cannot know",
                hint="say it with `baseUrl` in the Publication",
            )
        body = with_base_url(body, self.base_url)
        return body, gzip.compress(body, GZIP_LEVEL, mtime=0)


def _not_stored(reader: Reader, entry: Entry) -> StateFault:
    """Return the error for a file that was left upstream, or is known to be damaged."""
    problems = {
        record.digest: record.problem for record in reader.damage() if record.digest == entry.digest
    }
    if problems:
        return DamagedBytes(problems)
    return StateFault(
        f"`{entry.path}` cannot be exported: its bytes were left upstream, as the `policy` of its"
        " remote says",
        hint="an export holds every file: set `policy: immediate`, or publish without `exports`",
    )


def _compressed(index: Path) -> Path:
    """Return the path of the compressed copy of a folder index.

    Other pages have none: a file of that name may be published beside them.
    """
    return index.with_name(f"{index.name}.gz")


def remove_entry(tree: Path, entry: Entry) -> None:
    """Remove what a tree holds of an entry."""
    name = file_name(entry) if entry.page else entry.path
    if name is None:
        return
    if _is_folder_index(entry):
        _compressed(tree / name).unlink(missing_ok=True)
    remove_file(tree, name)


def remove_file(tree: Path, name: str) -> None:
    """Remove a file, and folders that are empty now.

    What is a folder, or lies where a file is, was never written: its name was taken.
    """
    path = tree / name
    with suppress(NotADirectoryError, IsADirectoryError):
        path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == tree or not folder.exists() or any(folder.iterdir()):
            return
        folder.rmdir()


def _is_folder_index(entry: Entry) -> bool:
    """Return True for the page of a folder; that of the root has no path."""
    return entry.page and (not entry.path or entry.path.endswith("/"))


def file_name(entry: Entry) -> str | None:
    """Return the path of a page in the tree, None for a representation that has none there."""
    if not _is_folder_index(entry):
        return entry.path if entry.position == 0 else None
    if entry.position == 0:
        return f"{entry.path}{'index.html' if entry.media_type == 'text/html' else 'index'}"
    return f"{entry.path}index.json" if entry.media_type.endswith("json") else None


def _link_or_copy(store: Store, digest: Digest, path: Path) -> None:
    """Make a hard link where the file system allows it, else a copy. Stored bytes never change."""
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
