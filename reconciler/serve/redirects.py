"""What a path that a publication does not hold was meant to be, as its publisher says: foreign
code, which nobody waits for long.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.redaction import exception_summary
from reconciler.serve.threads import in_thread_of_its_own

Missing = Callable[[str, str], str | None]
"""From a publication's name and a path within it that nothing is at to the path that was meant, or
None. Called in a worker thread.
"""

PATIENCE = 2.0  # seconds
AT_ONCE = 4  # calls of one publisher's code, and again as many that never came back

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Line:
    """Who waits for one publisher, and the calls that never came back."""

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    left: list[threading.Event] = field(default_factory=list)


class Meaning:
    """Asks publishers, by their IDs. Belongs to one event loop, which it never holds up.
    `patience`: seconds after which no answer is None.
    """

    def __init__(self, missing: Mapping[str, Missing], patience: float = PATIENCE) -> None:
        self._missing = missing
        self._patience = patience
        self._lines: dict[str, _Line] = {}
        self._late: set[str] = set()

    async def of(self, publisher: str, publication: str, path: str) -> str | None:
        """The path that was meant. Never raises: a plugin's mistake must not turn a 404 into a 500,
        nor end the server.
        """
        line = self._lines.setdefault(publisher, _Line())
        line.left[:] = [one for one in line.left if not one.is_set()]
        if len(line.left) >= AT_ONCE:
            return None
        ended: threading.Event | None = None
        try:
            async with asyncio.timeout(self._patience), line.free:
                ended = threading.Event()
                answer = await in_thread_of_its_own(
                    self._asked, publisher, publication, path, ended
                )
        except TimeoutError:
            line.left += [ended] if ended is not None else []
            self._say_once(publisher)
            return None
        if isinstance(answer, BaseException):
            log.error(
                "the publisher `%s` failed to say what `%s` means: %s",
                publisher,
                path,
                exception_summary(answer),
            )
        return answer if isinstance(answer, str) else None

    def _asked(
        self, publisher: str, publication: str, path: str, ended: threading.Event
    ) -> str | BaseException | None:
        try:
            hook = self._missing.get(publisher)
            return hook(publication, path) if hook else None
        except BaseException as error:  # a plugin's code, in a thread that ends here
            return error
        finally:
            ended.set()

    def _say_once(self, publisher: str) -> None:
        if publisher not in self._late:
            self._late.add(publisher)
            log.error(
                "the publisher `%s` does not say within %g s what a path means: such paths are not"
                " found",
                publisher,
                self._patience,
            )
