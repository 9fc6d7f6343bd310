"""Files that a publication holds and the store does not have yet: brought when somebody asks for
them.

All who ask for one file at a time share one run. What has arrived lies in a file without a name,
which everybody reads at their own pace: a slow client holds up nobody, nor does one that leaves.
The last block is not there before the digest was right; a part of a file, and a small file, wait
for that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import BinaryIO

from reconciler.errors import Malformed, ReconcilerError, StateFault
from reconciler.model import Digest
from reconciler.serve.ports import Files, Supply
from reconciler.store.temporary import write_all
from reconciler.threads import in_thread

PIECE = 256 * 1024  # bytes that a reader takes at once

log = logging.getLogger(__name__)


class Arrival:
    """One file on its way in, for one event loop. Closed once by each who joined, and once by who
    made it: the last one drops the bytes.
    """

    def __init__(self, digest: Digest, size: int) -> None:
        self.digest = digest
        self.size = size
        self._file: BinaryIO | None = None
        self._arrived = 0
        self._over = False
        self._error: ReconcilerError | None = None
        self._moved = asyncio.Event()
        self._users = 1

    def join(self) -> Arrival:
        self._users += 1
        return self

    def close(self) -> None:
        self._users -= 1
        if self._users == 0 and self._file is not None:
            self._file.close()

    async def ready(self, *, whole: bool) -> None:
        """Wait for the first bytes, or for all of them. Raises what kept them away."""
        while not (self._over or (self._arrived and not whole)):
            await self._moved.wait()
        if self._over and (self._error is not None or self._arrived < self.size):
            raise self._error or StateFault(
                f"the server stopped while {self.digest.short} was on its way"
            )

    async def read(self, part: range) -> AsyncIterator[bytes]:
        """The bytes of `part`, as they come. Raises EOFError where the rest does not."""
        position = part.start
        while position < part.stop:
            while self._arrived <= position:
                if self._over:
                    raise EOFError(
                        f"{self.size - position} bytes of {self.digest.short} are missing:"
                        f" {self._error or 'the server stopped'}"
                    )
                await self._moved.wait()
            assert self._file is not None
            length = min(PIECE, self._arrived - position, part.stop - position)
            data = await in_thread(os.pread, self._file.fileno(), length, position)
            position += len(data)
            yield data

    async def fill(self, blocks: AsyncIterator[bytes], folder: Path) -> None:
        """Take in what is brought, to its end."""
        try:
            self._file = await in_thread(_nameless, folder)
            await self._copy(blocks, self._file)
        except ReconcilerError as error:
            self._error = error
        except OSError as error:
            self._error = StateFault(f"cannot write to `{folder}`: {error.strerror or error}")
        except Exception:  # the supply's mistake: whoever waits must hear of it
            log.exception("%s could not be brought", self.digest.short)
            self._error = StateFault("the server made a mistake; its log says which")
        else:
            return
        finally:
            self._over = True
            self._wake()
            if isinstance(blocks, AsyncGenerator):
                await blocks.aclose()
        log.warning("%s could not be brought: %s", self.digest.short, self._error)

    async def _copy(self, blocks: AsyncIterator[bytes], file: BinaryIO) -> None:
        async for block in blocks:
            if self._arrived + len(block) > self.size:
                raise Malformed(
                    f"more than the {self.size} bytes that {self.digest.short} should have"
                )
            await in_thread(write_all, file.fileno(), block)
            self._arrived += len(block)
            self._wake()
        if self._arrived < self.size:
            raise Malformed(
                f"{self._arrived} of the {self.size} bytes that {self.digest.short} should have"
            )

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


class OnDemand:
    """See the module. `files`: the store that `supply` fills; `folder`: on the disk that takes what
    is on its way. For one event loop.
    """

    def __init__(self, supply: Supply, files: Files, folder: Path) -> None:
        self._supply = supply
        self._files = files
        self._folder = folder
        self._arriving: dict[Digest, Arrival] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def arrival(self, digest: Digest, size: int) -> Arrival | None:
        """The missing file on its way in, to be closed; None where nobody knows where it can be
        had, or it has come meanwhile.
        """
        if digest not in self._arriving and not await in_thread(self._wanted, digest):
            return None
        if digest not in self._arriving:
            self._start(Arrival(digest, size))
        return self._arriving[digest].join()

    async def close(self) -> None:
        """Stop bringing anything."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _wanted(self, digest: Digest) -> bool:
        try:
            self._files.open(digest).close()
        except StateFault:
            return self._supply.lacks(digest)
        return False

    def _start(self, arrival: Arrival) -> None:
        """Bring it whoever stays to see it: the next one finds it in the store."""
        self._arriving[arrival.digest] = arrival
        task = asyncio.create_task(self._bring(arrival))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring(self, arrival: Arrival) -> None:
        try:
            await arrival.fill(self._supply.bring(arrival.digest, arrival.size), self._folder)
        finally:
            del self._arriving[arrival.digest]
            arrival.close()


def _nameless(folder: Path) -> BinaryIO:
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, buffering=0)
