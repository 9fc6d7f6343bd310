"""Bytes as plain files of a local folder.

    <root>/sha256/ab/cdef...   kept bytes, mode 0444, two hex digits of the digest a folder
    <root>/incoming/...        bytes that are being written
    <root>/damaged/abcdef...   bytes that were found to have another digest

A file is written in `incoming` and renamed into place, so what is visible under a digest is always
whole. It is not forced to the disk at once: `sync` does that for everything, before rows refer to
it. Nothing is created before something is written: a planning run leaves no trace.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from reconciler.model import Digest
from reconciler.store.durability import Flush, flush_files, syncfs
from reconciler.store.local_files import KeptFile, KeptFiles
from reconciler.store.store_errors import mismatch, missing, unwritable
from reconciler.store.temporary import TemporaryFolder, write_all

_OVER = "these bytes were kept or discarded already"


class LocalStore:
    """A store in a folder.

    `flush` makes a whole file system durable; None where the system cannot do that in one call.
    """

    def __init__(self, root: Path, *, flush: Flush | None = syncfs) -> None:
        self._root = os.path.abspath(root)
        self._files = KeptFiles(self._root)
        self._temporary = TemporaryFolder(f"{self._root}/incoming")
        self._flush = flush
        self._unflushed: set[str] = set()

    def incoming(self) -> LocalIncoming:
        """Begin to write bytes. The file is created with the first write."""
        return LocalIncoming(self._temporary, self._publish)

    def put(self, data: bytes, expected: Digest) -> None:
        """Store a small body in one call.

        Raises DigestMismatch; StateFault where the folder cannot be written.
        """
        actual = Digest(hashlib.sha256(data).digest())
        if actual != expected:
            raise mismatch(expected, actual, len(data))
        if self._files.claim(expected) == len(data):
            self._remember(self._files.file(expected))
            return
        try:
            descriptor, file = self._temporary.create()
            try:
                write_all(descriptor, data)
                self._publish(file, expected)
            except BaseException:
                with suppress(OSError):
                    os.unlink(file)
                raise
            finally:
                os.close(descriptor)
        except OSError as error:
            raise unwritable(self._root, error) from error

    def has(self, digest: Digest) -> bool:
        """Return True if there are bytes under this digest."""
        return self._files.size(digest) is not None

    def claim(self, digest: Digest) -> int | None:
        """Return the number of bytes, which count as used from now on; None where they are missing.

        Bytes that no row refers to are removed once they were not used for a while.
        """
        return self._files.claim(digest)

    def verify(self, digest: Digest) -> bool:
        """Return True if the bytes have their digest; other bytes are set aside."""
        try:
            return self._files.verify(digest)
        except OSError as error:
            raise unwritable(self._root, error) from error

    def size(self, digest: Digest) -> int:
        """Return the number of bytes. Raises StateFault where they are missing."""
        size = self._files.size(digest)
        if size is None:
            raise missing(digest, f"`{self._root}`")
        return size

    def open(self, digest: Digest) -> BinaryIO:
        """Return an open file. Raises StateFault where the bytes are missing."""
        try:
            return self._files.open(digest)
        except FileNotFoundError:
            raise missing(digest, f"`{self._root}`") from None

    def path(self, digest: Digest) -> Path:
        """Return the path of the file. Raises StateFault where the bytes are missing."""
        if not self.has(digest):
            raise missing(digest, f"`{self._root}`")
        return Path(self._files.file(digest))

    def sync(self) -> None:
        """Make everything kept so far, by any process, survive a power cut.

        Without a call for the whole file system: only what this object kept or found in place.
        """
        if not os.path.isdir(self._root):
            return
        try:
            if self._flush is not None:
                self._flush(self._root)
                return
            files = self._unflushed.copy()
            flush_files(files, self._root)
            self._unflushed -= files
        except OSError as error:
            raise unwritable(self._root, error) from error

    def sweep(self) -> int:
        """Remove temporary files that ended processes left behind; return their number."""
        return self._temporary.sweep()

    def files(self) -> Iterator[KeptFile]:
        """Yield every file with bytes, whether rows refer to it or not."""
        return self._files.walk()

    def remove(self, digest: Digest, unused_since: float) -> bool:
        """Remove bytes that were not used since then; return True if they are gone.

        Raises StateFault where the folder cannot be written.
        """
        try:
            return self._files.remove(digest, unused_since)
        except OSError as error:
            raise unwritable(self._root, error) from error

    def remove_damaged(self, unused_since: float, *, dry_run: bool = False) -> tuple[int, int]:
        """Remove bytes that were set aside before then; return their number and size."""
        try:
            return self._files.remove_damaged(unused_since, dry_run=dry_run)
        except OSError as error:
            raise unwritable(self._root, error) from error

    def _publish(self, file: str, digest: Digest) -> None:
        """Make a whole file visible. Renaming onto the same bytes changes nothing visible."""
        target = self._files.file(digest)
        try:
            os.rename(file, target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.rename(file, target)
        except (IsADirectoryError, NotADirectoryError):
            self._files.make_way(digest)
            os.rename(file, target)
        self._remember(target)

    def _remember(self, file: str) -> None:
        """Note a file for `sync`.

        Files found in place count too: the process that kept them may not have lived to flush them.
        """
        if self._flush is None:
            self._unflushed.add(file)


class LocalIncoming:
    """Bytes that are being written to a LocalStore.

    `publish(file, digest)` makes a whole file visible.
    """

    def __init__(self, temporary: TemporaryFolder, publish: Callable[[str, Digest], None]) -> None:
        self._temporary = temporary
        self._publish = publish
        self._hash = hashlib.sha256()
        self._size = 0
        self._descriptor = -1
        self._file = ""
        self._over = False

    @property
    def size(self) -> int:
        return self._size

    @property
    def digest(self) -> Digest:
        """The digest of everything written so far."""
        return Digest(self._hash.digest())

    def write(self, data: bytes) -> None:
        """Append bytes and hash them.

        Raises StateFault where the file cannot be written; the bytes are discarded then.
        """
        try:
            self._open()
            self._hash.update(data)
            write_all(self._descriptor, data)
        except OSError as error:
            self.discard()
            raise unwritable(self._temporary.folder, error) from error
        self._size += len(data)

    def keep(self, expected: Digest) -> None:
        """Make the bytes visible under their digest, or raise DigestMismatch and discard them."""
        if self._over:
            raise ValueError(_OVER)
        actual = self.digest
        if actual != expected:
            self.discard()
            raise mismatch(expected, actual, self._size)
        try:
            self._open()
            self._publish(self._file, expected)
        except OSError as error:
            self.discard()
            raise unwritable(self._temporary.folder, error) from error
        self._close()

    def discard(self) -> None:
        """Remove the bytes; does nothing after `keep`."""
        if self._descriptor >= 0:
            self._close()
            with suppress(OSError):
                os.unlink(self._file)
        self._over = True

    def _open(self) -> None:
        if self._over:
            raise ValueError(_OVER)
        if self._descriptor < 0:
            self._descriptor, self._file = self._temporary.create()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        self._over = True
