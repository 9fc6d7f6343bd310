"""On-demand files: fetched into the store when a client asks for them first.

Requests for one file of a publication at the same time share one fetch. What has arrived lies in a
file without a name, which each request reads at its own pace: a slow client holds up no other, nor
does one that leaves. The last block is not there before the digest was right; a part of a file, and
a small file, wait for that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import BinaryIO

from reconciler.errors import ReconcilerError, StateFault
from reconciler.model import Digest
from reconciler.serve.ports import ArtifactSource, Files
from reconciler.store.temporary import write_all
from reconciler.threads import in_thread

PIECE = 256 * 1024  # bytes that a reader takes at once

logger = logging.getLogger(__name__)


class IncomingFile:
    """A file that is being fetched, for one event loop.

    `size`: as upstream announces it, before the first bytes; what arrived, in the end; None where
    it is not known yet.

    Closed once for each `join` and once by its maker; the last close drops the bytes.
    """

    def __init__(self, digest: Digest) -> None:
        self.digest = digest
        self.size: int | None = None
        self._file: BinaryIO | None = None
        self._arrived = 0
        self._over = False
        self._complete = False
        self._error: ReconcilerError | None = None
        self._moved = asyncio.Event()
        self._users = 1

    def join(self) -> IncomingFile:
        """Add a reader, which has to call `close`."""
        self._users += 1
        return self

    def close(self) -> None:
        """Release the file for one reader, or for its maker."""
        self._users -= 1
        if self._users == 0 and self._file is not None:
            self._file.close()

    async def ready(self, *, whole: bool) -> None:
        """Wait for the first bytes, or for all of them. Raises the error that kept them away."""
        while not (self._over or (self._arrived and not whole)):
            await self._moved.wait()
        if self._over and not self._complete:
            raise self._error or StateFault(
                f"the server stopped while {self.digest.short} was on its way"
            )

    async def read(self, part: range | None) -> AsyncIterator[bytes]:
        """Yield the bytes of `part`, or all, as they arrive.

        Raises EOFError where the rest does not.
        """
        position = 0 if part is None else part.start
        while part is None or position < part.stop:
            while self._arrived <= position:
                if self._complete:
                    return
                if self._over:
                    raise EOFError(
                        f"bytes of {self.digest.short} after the first {position} are missing:"
                        f" {self._error or 'the server stopped'}"
                    )
                await self._moved.wait()
            assert self._file is not None
            stop = self._arrived if part is None else min(self._arrived, part.stop)
            length = min(PIECE, stop - position)
            data = await in_thread(os.pread, self._file.fileno(), length, position)
            position += len(data)
            yield data

    async def fill(self, blocks: AsyncIterator[bytes], folder: Path) -> None:
        """Write the blocks to a file in `folder`, to their end. Errors are kept for the readers."""
        try:
            self._file = await in_thread(_nameless, folder)
            await self._copy(blocks, self._file)
        except ReconcilerError as error:
            self._error = error
        except OSError as error:
            self._error = StateFault(f"cannot write to `{folder}`: {error.strerror or error}")
        except Exception:  # a bug of the source: the readers must hear of it
            logger.exception("%s could not be fetched", self.digest.short)
            self._error = StateFault("the server made a mistake; its log says which")
        else:
            self.size, self._complete = self._arrived, True
            return
        finally:
            self._over = True
            self._wake()
            if isinstance(blocks, AsyncGenerator):
                await blocks.aclose()
        logger.warning("%s could not be fetched: %s", self.digest.short, self._error)

    async def _copy(self, blocks: AsyncIterator[bytes], file: BinaryIO) -> None:
        async for block in blocks:
            await in_thread(write_all, file.fileno(), block)
            self._arrived += len(block)
            self._wake()

    def announce(self, length: int | None) -> None:
        """Take the number of bytes that upstream is about to send; None where it does not say."""
        self.size = length

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


class OnDemand:
    """Fetches missing files into the store, as the module describes. For one event loop.

    files: the store that `source` fills. folder: where incoming files lie.
    """

    def __init__(self, source: ArtifactSource, files: Files, folder: Path) -> None:
        self._source = source
        self._files = files
        self._folder = folder
        self._incoming: dict[tuple[str, Digest], IncomingFile] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, publication: str, digest: Digest, size: int | None) -> IncomingFile | None:
        """Return a missing file that is being fetched; the caller closes it.

        `size`: as declared.

        Returns None where no source of the publication is known, or it is in the store by now.
        """
        key = publication, digest
        if not await self.has(publication, digest):
            return None
        if key not in self._incoming:
            self._start(publication, IncomingFile(digest), size)
        return self._incoming[key].join()

    async def has(self, publication: str, digest: Digest) -> bool:
        """Return True where `open` would return a missing file; nothing is fetched."""
        return (publication, digest) in self._incoming or await in_thread(
            self._can_fetch, publication, digest
        )

    async def close(self) -> None:
        """Stop fetching."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _can_fetch(self, publication: str, digest: Digest) -> bool:
        try:
            self._files.open(digest).close()
        except StateFault:
            return self._source.can_fetch(publication, digest)
        return False

    def _start(self, publication: str, incoming: IncomingFile, size: int | None) -> None:
        """Fetch the file to the end even when its readers leave.

        The next one finds it in the store.
        """
        self._incoming[publication, incoming.digest] = incoming
        task = asyncio.create_task(self._fetch(publication, incoming, size))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, publication: str, incoming: IncomingFile, size: int | None) -> None:
        blocks = self._source.fetch(publication, incoming.digest, size, announce=incoming.announce)
        try:
            await incoming.fill(blocks, self._folder)
        finally:
            del self._incoming[publication, incoming.digest]
            incoming.close()


def _nameless(folder: Path) -> BinaryIO:
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, buffering=0)
