"""Group commit: changes that are decided while a commit runs are committed together, as the next.

One version, and one release of the publications, cost about the same for one file and for a
hundred. No timer: what comes to a repository at rest is committed at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from reconciler.engine.plugin_calls.plugin_errors import error_message
from reconciler.engine.uploads.decided_changes import (
    COMMITTING,
    Decided,
    OvertakenError,
    UploadResult,
)
from reconciler.engine.uploads.receiving import Uploads
from reconciler.errors import ReconcilerError

logger = logging.getLogger(__name__)

OpenUploads = Callable[[str], AbstractAsyncContextManager[Uploads]]
"""Provides a worker slot under a key, and the uploads that work in it."""

Decide = Callable[[Uploads], Awaitable[Decided]]


@dataclass(slots=True, eq=False)
class _Waiting:
    """A decided change, and the task that waits for its result."""

    decided: Decided
    result: asyncio.Future[UploadResult] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def fail(self, error: BaseException) -> None:
        if not self.result.done():
            self.result.set_exception(error)

    def succeed(self, result: UploadResult) -> None:
        if not self.result.done():
            self.result.set_result(result)


class GroupCommits:
    """Commits the changes of each repository one after the other, as many at once as there are.

    Belongs to one event loop. Several processes have one each: the database decides between them.
    """

    def __init__(self, uploads: OpenUploads) -> None:
        self._uploads = uploads
        self._waiting: dict[str, list[_Waiting]] = {}  # of repositories that are being committed
        self._tasks: set[asyncio.Task[None]] = set()

    async def change(self, repository: str, decide: Decide, *, what: str) -> UploadResult:
        """Decide about a change and commit it; again where another was faster.

        The slot in which it is decided is free for others while it waits for its commit. `what`:
        the change, for the log.
        """
        try:
            result = await self._changed(repository, decide)
        except ReconcilerError as error:
            logger.info("%s: %s not taken: %s", repository, what, error_message(error))
            raise
        logger.info("%s: %s, version %d", repository, what, result.version)
        return result

    async def _changed(self, repository: str, decide: Decide) -> UploadResult:

        async def attempt() -> UploadResult:
            async with self._uploads(repository) as uploads:
                decided = await decide(uploads)
            return await self._committed(repository, decided)

        while True:
            try:
                return await COMMITTING.run(attempt)
            except OvertakenError:  # by an upload of this process, which is committed
                continue

    async def _committed(self, repository: str, decided: Decided) -> UploadResult:
        waiting = _Waiting(decided)
        if repository in self._waiting:
            self._waiting[repository].append(waiting)
        else:
            self._waiting[repository] = [waiting]
            task = asyncio.create_task(self._commit_all(repository))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await waiting.result

    async def _commit_all(self, repository: str) -> None:
        """Commit until nothing waits. A task of its own: no client that leaves may end it."""
        try:
            while batch := [each for each in self._waiting[repository] if not each.result.done()]:
                self._waiting[repository] = []
                await self._commit_batch(repository, batch)
        finally:
            for each in self._waiting.pop(repository):
                each.fail(asyncio.CancelledError())

    async def _commit_batch(self, repository: str, batch: list[_Waiting]) -> None:
        try:
            async with self._uploads(f"{repository} (commits)") as uploads:
                outcomes = await uploads.commit([each.decided for each in batch])
                for each, outcome in zip(batch, outcomes, strict=True):
                    if isinstance(outcome, Exception):
                        each.fail(outcome)
                # What changed nothing may still wait to be shown: a release may have failed.
                shown, delayed = await uploads.release(repository)
        except BaseException as error:  # any: it is for the clients, and the next batch goes on
            for each in batch:
                each.fail(error)
            if isinstance(error, Exception):
                return
            raise
        for each, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, int):
                each.succeed(each.decided.result(outcome, shown, delayed))
