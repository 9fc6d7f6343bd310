"""Collection of bytes that no version needs.

Safe beside applies, uploads and servers. What a version, a commit in preparation or a publication
refers to stays. Of everything else, what was written or claimed within the grace stays, and what
was since the oldest run that goes on began: a run claims the bytes that it finds in the store, and
writes rows that refer to them later. The file goes first, then the row that calls it stored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from reconciler.database import Writer
from reconciler.errors import GuardRefusal
from reconciler.process_identity import ABANDONED_AFTER
from reconciler.store import LocalStore
from reconciler.store.local_files import KeptFile
from reconciler.store.temporary import TemporaryFolder
from reconciler.store.temporary_trees import sweep_trees

ROWS_AT_ONCE = 500
FEW = 10  # files of which no database is suspected to be the wrong one
ARRIVING = "arriving"  # the folder of a home in which servers receive uploads
_CACHE_LEFTOVER = re.compile(r"[0-9a-f]{62}\.[0-9]+\.[0-9]+")


@dataclass(slots=True)
class Collected:
    """Outcome of a collection: numbers, and bytes of files.

    Attributes:
        files: Files that no version needed.
        damaged: Damaged files that were set aside.
        leftovers: Temporary files of processes that have ended.
        pages: Rendered pages that no publication shows any more.
        parts: Parts of large pages, kept once each, that no page holds any more.
        young: Files that no version needs, and that are too young to go.
    """

    files: int = 0
    size: int = 0
    damaged: int = 0
    damaged_size: int = 0
    leftovers: int = 0
    pages: int = 0
    parts: int = 0
    young: int = 0


class Collection:
    """One collection of a home.

    Args:
        home: Its caches and incoming uploads may hold leftovers.
        grace: How long bytes stay after they were last written or claimed.
        allow_destroy: Remove files although the database describes few of what is in the store.
    """

    def __init__(
        self,
        writer: Writer,
        store: LocalStore,
        home: Path,
        *,
        grace: timedelta,
        now: datetime,
        dry_run: bool,
        allow_destroy: bool = False,
    ) -> None:
        self._writer = writer
        self._store = store
        self._cache = home / "cache"
        self._arriving = TemporaryFolder(str(home / ARRIVING))
        self._dry_run = dry_run
        self._allow_destroy = allow_destroy
        self._abandoned_before = (now - ABANDONED_AFTER).timestamp()
        running = writer.oldest_lease(now)
        self._unused_since = min(now - grace, running or now).timestamp()

    def run(self) -> Collected:
        """Remove what is not needed; with `dry_run`, only count it."""
        result = Collected()
        self._check_database()
        needed = self._writer.needed_artifacts()
        batch: list[KeptFile] = []
        for file in self._store.files():
            if file.digest.raw in needed:
                continue
            if file.used_at > self._unused_since:
                result.young += 1
                continue
            batch.append(file)
            if len(batch) >= ROWS_AT_ONCE:
                self._remove(batch, result)
                batch = []
        self._remove(batch, result)
        result.damaged, result.damaged_size = self._store.remove_damaged(
            self._unused_since, dry_run=self._dry_run
        )
        result.pages, result.parts = self._writer.remove_unused_pages(dry_run=self._dry_run)
        result.leftovers = self._sweep()
        return result

    def _check_database(self) -> None:
        """Raise GuardRefusal where the database describes few of the files.

        It may be another one, or one that was begun afresh: what it does not know may be needed.
        """
        if self._allow_destroy:
            return
        known = self._writer.known_artifacts()
        number = strangers = 0
        for file in self._store.files():
            number += 1
            strangers += file.digest.raw not in known
        if number >= FEW and strangers > number / 2:
            raise GuardRefusal(
                f"the database knows nothing of {strangers} of the {number} files in the store: it"
                " may be another one than they were stored by",
                hint="check `--home` and the database; `--allow-destroy` removes them nevertheless",
            )

    def _remove(self, files: list[KeptFile], result: Collected) -> None:
        removed = [
            file
            for file in files
            if self._dry_run or self._store.remove(file.digest, self._unused_since)
        ]
        result.files += len(removed)
        result.size += sum(file.size for file in removed)
        if not self._dry_run and removed:
            self._writer.artifacts_removed(file.digest for file in removed)

    def _sweep(self) -> int:
        leftovers = list(self._cache_leftovers())
        if self._dry_run:
            return len(leftovers)
        for path in leftovers:
            with suppress(FileNotFoundError):
                path.unlink()
        return len(leftovers) + self._store.sweep() + self._arriving.sweep() + sweep_trees()

    def _cache_leftovers(self) -> Iterator[Path]:
        """Yield files of the caches whose writing was broken off."""
        for folder, _, names in os.walk(self._cache):
            for name in filter(_CACHE_LEFTOVER.fullmatch, names):
                path = Path(folder, name)
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < self._abandoned_before:
                        yield path
