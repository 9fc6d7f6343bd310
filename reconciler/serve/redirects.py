"""Redirects for paths that a publication does not hold.

Its publisher suggests them: plugin code, called with a time limit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

from reconciler.redaction import exception_summary
from reconciler.threads import Bulkhead, BulkheadClosed, BulkheadFull


class GroupOf(NamedTuple):
    """The group that a path belongs to, if there is such a path."""

    group: str


SuggestPath = Callable[[str, str], str | GroupOf | None]
"""Return the path that was meant, the group that it belongs to, or None, from a publication's name
and a path within it. Called in a worker thread.
"""

TIMEOUT = 2.0  # seconds
CONCURRENCY = 4  # calls of one publisher's code, and again as many that were abandoned

logger = logging.getLogger(__name__)


class PathSuggestions:
    """Suggestions of publishers, by publisher ID. Belongs to one event loop, which it never blocks.

    timeout: seconds, the wait for a free slot included, after which there is no suggestion.
    """

    def __init__(self, suggest: Mapping[str, SuggestPath], timeout: float = TIMEOUT) -> None:
        self._suggest = suggest
        self._timeout = timeout
        self._bulkhead = Bulkhead(
            concurrency=CONCURRENCY, max_abandoned=CONCURRENCY, name="publisher"
        )
        self._reported: set[str] = set()

    async def get(self, publisher: str, publication: str, path: str) -> str | None:
        """Return the path that the publisher suggests. Never raises."""
        suggestion = await self._asked(publisher, publication, path)
        return suggestion if isinstance(suggestion, str) else None

    async def group(self, publisher: str, publication: str, path: str) -> str:
        """Return the group that a path belongs to, empty for none. Never raises."""
        suggestion = await self._asked(publisher, publication, path)
        return suggestion.group if isinstance(suggestion, GroupOf) else ""

    async def _asked(self, publisher: str, publication: str, path: str) -> str | GroupOf | None:
        """Return what the publisher suggests.

        An error of a plugin must not turn a 404 into a 500, nor end the server.
        """
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._bulkhead.slot(publisher, seconds=self._timeout) as slot,
            ):
                suggestion = await slot.call(self._call, publisher, publication, path)
        except BulkheadClosed:
            return None
        except (TimeoutError, BulkheadFull):
            self._report_once(publisher)
            return None
        if isinstance(suggestion, BaseException):
            logger.error(
                "publisher `%s` failed to suggest a path for `%s`: %s",
                publisher,
                path,
                exception_summary(suggestion),
            )
        return suggestion if isinstance(suggestion, str | GroupOf) else None

    def _call(
        self, publisher: str, publication: str, path: str
    ) -> str | GroupOf | BaseException | None:
        try:
            suggest = self._suggest.get(publisher)
            return suggest(publication, path) if suggest else None
        except BaseException as error:  # foreign code: a TimeoutError of its own is not ours
            return error

    def _report_once(self, publisher: str) -> None:
        if publisher not in self._reported:
            self._reported.add(publisher)
            logger.error(
                "publisher `%s` does not suggest a path within %g s: such paths are not found",
                publisher,
                self._timeout,
            )
