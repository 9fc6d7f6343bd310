"""Budget of the bytes of pages in flight, shared by all remotes of a process.

In flight: from the first byte that arrives until the plugin has let go of the page. A small body
may unpack to gigabytes, and many pages are read at once: without one budget over all of them each
limit would be multiplied by the number of connections.

Half of the budget is for every page, first come, first served. When that is used up, the page that
has waited longest goes first: it may take all of the rest, and if need be as much as a page may
have, but no second one may. It waits for pages that plugins hold, though not for ever: a plugin may
hold one page while it asks for the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from time import monotonic
from weakref import finalize

from reconciler.errors import Unreachable
from reconciler.model import Page

PAGE_MEMORY = 256 * 1024 * 1024  # bytes, also of the largest page
SLOWEST = 60.0  # seconds in which the page that goes first must arrive while others wait
PATIENCE = 5.0  # seconds for which the page that goes first waits for pages that plugins hold

_current: ContextVar[PageLease | None] = ContextVar("page_lease", default=None)

logger = logging.getLogger(__name__)


class PageBudget:
    """Budget of one event loop. size: in bytes; no page may be larger."""

    def __init__(
        self, size: int = PAGE_MEMORY, *, patience: float = PATIENCE, slowest: float = SLOWEST
    ) -> None:
        self.size = size
        self._patience = patience
        self._slowest = slowest
        self._arriving = 0
        self._held = 0  # of pages that plugins have
        self._dropped: deque[int] = deque()  # of pages that they have let go of, in any thread
        self._waiting: dict[PageLease, None] = {}  # in the order in which they came
        self._first: PageLease | None = None
        self._changed = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Bytes of all pages in flight."""
        self._settle()
        return self._arriving + self._held

    @contextmanager
    def lease(self) -> Iterator[PageLease]:
        """Provide the lease of one page, for the code that reads it: see `take`."""
        lease = PageLease(self)
        token = _current.set(lease)
        try:
            yield lease
        finally:
            _current.reset(token)
            lease.give_back()

    async def take(self, lease: PageLease, count: int) -> None:
        """Count bytes of a page; wait until there is room for them."""
        if not self._fits(lease, count):
            self._waiting[lease] = None
            try:
                await self._wait(lease, count)
            finally:
                del self._waiting[lease]
        elif lease is self._first and self._waiting and monotonic() - lease.first > self._slowest:
            raise Unreachable(
                f"a page arrives so slowly that others waited for {self._slowest:g} s",
                hint="run again; a larger `page_memory` in `reconciler.toml` lets more in at once",
            )
        lease.size += count
        self._arriving += count

    def release(self, lease: PageLease) -> None:
        """Give back all bytes of a lease."""
        self._arriving -= lease.size
        lease.size = 0
        if self._first is lease:
            self._first = None
        self._wake()

    def deliver(self, lease: PageLease, page: Page) -> None:
        """Count the bytes as the page's, until nothing refers to it any more."""
        size, lease.size = lease.size, 0
        self._arriving -= size
        self._held += size
        loop = asyncio.get_running_loop()
        # a page may be let go of by any thread, and while anything runs
        finalize(page, self._drop, size, loop).atexit = False

    def _drop(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        self._dropped.append(size)
        if self._waiting:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._wake)

    def _settle(self) -> None:
        while self._dropped:
            self._held -= self._dropped.popleft()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _fits(self, lease: PageLease, count: int) -> bool:
        after = self.in_flight + count
        if lease is not self._first:
            return after <= self.size // 2
        return after <= self.size or not self._held

    async def _wait(self, lease: PageLease, count: int) -> None:
        start = monotonic()
        while True:
            if self._first is None and lease is next(iter(self._waiting)):
                self._first, lease.first = lease, monotonic()
            if self._fits(lease, count):
                return
            if lease is self._first and monotonic() - start >= self._patience:
                logger.debug("pages held by plugins leave no room: reading on")
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    await self._changed.wait()


class PageLease:
    """Bytes of one page. `first`: since when it goes first."""

    __slots__ = ("_budget", "first", "size")

    def __init__(self, budget: PageBudget) -> None:
        self._budget = budget
        self.size = 0
        self.first = 0.0

    async def take(self, count: int) -> None:
        """Count bytes that were read; wait until there is room for more."""
        await self._budget.take(self, count)

    def give_back(self) -> None:
        """Count nothing any more: a try has failed, or the page is delivered."""
        self._budget.release(self)

    def deliver(self, page: Page) -> Page:
        """Return the page, which keeps its bytes counted as long as it lives."""
        self._budget.deliver(self, page)
        return page


class UncountedLease:
    """Lease of bodies that are no pages of a reader."""

    async def take(self, count: int) -> None:
        """Count nothing."""

    def give_back(self) -> None:
        """Give nothing back."""


def current_lease() -> PageLease | UncountedLease:
    """Return the lease of the page that the running task reads."""
    return _current.get() or UncountedLease()
