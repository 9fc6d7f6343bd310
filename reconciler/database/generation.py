"""The mark: tells every process of a machine at once that what is served may have changed.

A look at the mark costs no query and no system call, so that `serve` can look at each request. On
SQLite it is a number in a file beside the database, `<database>-generation`, mapped into memory.
A writer that changes what is served raises it twice: to an odd number in the transaction, as its
last step, and to an even one once that is committed. A reader that looks at the mark *before* the
database knows:

- it is even and has not moved since: nothing was committed since;
- it is odd: a commit is under way, only the database knows; the next look has to ask it again.

The file's lock is held from the first raise to the second. A process that is killed in between
leaves the number odd and no lock: `tend` then raises it.

The mark is a hint about *when* to ask; the truth is the row in the database. A database server has
no such file: there `NO_MARK` never moves, and who serves asks now and then. Its place would be
taken by a mark that listens for notices of that server (PostgreSQL: LISTEN and NOTIFY).
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from reconciler.errors import StateFault

SUFFIX = "-generation"
NUMBER = struct.Struct("=Q")  # eight aligned bytes are read and written as one

logger = logging.getLogger(__name__)


class Mark(Protocol):
    """A number that moves when what is served may have changed. Thread-safe."""

    def value(self) -> int:
        """Return the number; odd while a change is being committed."""
        ...

    def raised(self) -> AbstractContextManager[None]:
        """Announce a change: enter it in the transaction, leave it after the commit."""
        ...

    def tend(self) -> None:
        """Repair what a killed process or a restored folder left; called now and then."""
        ...


class NoMark:
    """Stands where nothing tells of a change: it never moves."""

    def value(self) -> int:
        return 0

    def raised(self) -> AbstractContextManager[None]:
        return nullcontext()

    def tend(self) -> None:
        pass


NO_MARK = NoMark()


class MarkFile:
    """The mark in a file, which is opened and created when it is first needed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._file = -1
        self._numbers: memoryview | None = None

    def value(self) -> int:
        if self._numbers is None:
            self._open()
        return self._numbers[0]  # type: ignore[index]  # opened a line above

    @contextmanager
    def raised(self) -> Iterator[None]:
        with self._lock:
            self._follow()
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                self._write(self.value() + 1 | 1)
                yield
            finally:
                self._write(self.value() + 1 & ~1)
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file, if it is open; the next use opens it again."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file, self._numbers = -1, None

    def tend(self) -> None:
        with self._lock:
            self._follow()
            if self.value() % 2 and self._locked():
                try:
                    if self.value() % 2:
                        logger.info("a process ended while it changed what is served")
                        self._write(self.value() + 1)
                finally:
                    fcntl.flock(self._file, fcntl.LOCK_UN)

    def _locked(self) -> bool:
        """Take the lock if it is free, and return True then."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _write(self, number: int) -> None:
        """Write into the file and not into the mapping: a full disk is an error, not a signal."""
        try:
            os.pwrite(self._file, NUMBER.pack(number), 0)
        except OSError as error:
            raise self._fault(error) from None

    def _follow(self) -> None:
        """Open the file anew where another one lies at its path, or none."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            self._open()
            return
        if self._numbers is None or not os.path.samestat(there, os.fstat(self._file)):
            self._open()

    def _open(self) -> None:
        with self._lock:
            try:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                mapping = _mapped(file)
            except OSError as error:
                raise self._fault(error) from None
            self.close()
            self._file, self._numbers = file, memoryview(mapping).cast("Q")

    def _fault(self, error: OSError) -> StateFault:
        return StateFault(
            f"`{self._path}` cannot be used: {error.strerror}",
            hint="whoever applies and whoever serves must be able to write there",
        )


def _mapped(file: int) -> mmap.mmap:
    """Return the mapping of an open file; close the file if there can be none."""
    try:
        if os.fstat(file).st_size < NUMBER.size:
            _fill(file)
        return mmap.mmap(file, NUMBER.size, access=mmap.ACCESS_READ)
    except BaseException:
        os.close(file)
        raise


def _fill(file: int) -> None:
    """Write the first number, unless another process has just done so."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        if os.fstat(file).st_size < NUMBER.size:
            os.pwrite(file, NUMBER.pack(0), 0)
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
