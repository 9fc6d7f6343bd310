"""How long a plugin may keep a run waiting: awaiting is cut after a limit, blocking is noticed by a
thread that watches the event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import monotonic

from reconciler.engine.plugin_calls.plugin_errors import error_message
from reconciler.errors import PluginFault


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Seconds. `call`: that a plugin may await, or work in a thread, without asking the core for
    anything. `block`: that it may hold up the loop.
    """

    call: float = 600.0
    block: float = 60.0


class CallTimer:
    """Counts for one call of a plugin; it stands still while the core works for it, whose time-outs
    are its own.
    """

    def __init__(self, seconds: float, timeout: asyncio.Timeout) -> None:
        self._seconds = seconds
        self._timeout = timeout
        self._working = 0

    @contextmanager
    def working(self) -> Iterator[None]:
        """The core works for the call."""
        self._working += 1
        self._set(None)
        try:
            yield
        finally:
            self._working -= 1
            if not self._working:
                self.restart()

    def restart(self) -> None:
        """The plugin gave a sign of life. It is heeded when the last one is a while ago: a plugin
        may give a million of them.
        """
        when = asyncio.get_running_loop().time() + self._seconds
        until = self._timeout.when()
        if until is None or when - until > self._seconds / 100:
            self._set(when)

    def since(self) -> float:
        """Seconds for which the call goes on although it was cut; 0 while it may. From any thread."""
        when = self._timeout.when()
        return monotonic() - when if when is not None and self._timeout.expired() else 0.0

    def _set(self, when: float | None) -> None:
        if not self._timeout.expired():
            self._timeout.reschedule(when)


class CallTimeouts:
    """Cuts calls that await too long, and knows what runs, for the watchdog."""

    def __init__(self, limits: CallLimits) -> None:
        self._limits = limits
        self._running: dict[asyncio.Task[object] | None, str] = {}
        self._clocks: dict[CallTimer, str] = {}

    @asynccontextmanager
    async def call(self, what: str) -> AsyncIterator[CallTimer]:
        """One call of a plugin, in the current task. `what`: for messages. Raises PluginFault once
        it has awaited too long.
        """
        seconds = self._limits.call
        timeout = asyncio.timeout(seconds)
        clock = CallTimer(seconds, timeout)
        self._clocks[clock] = what
        try:
            async with timeout:
                with self.named(what):
                    yield clock
        except TimeoutError:
            if not timeout.expired():
                raise
            raise PluginFault(
                f"{what} awaited for more than {seconds:g} s without asking the core for anything:"
                " it was cut",
                hint="a plugin asks upstream through its call or conduit",
            ) from None
        finally:
            del self._clocks[clock]

    @contextmanager
    def named(self, what: str) -> Iterator[None]:
        """Foreign code runs in the current task: should it hold up the loop, this is its name.

        What would end more than this call, SystemExit or a cancellation that nobody asked for,
        becomes a PluginFault.
        """
        task = asyncio.current_task()
        outer = self._running.get(task)
        self._running[task] = what
        try:
            yield
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            raise PluginFault(f"{what} failed: {error_message(error)}") from error
        finally:
            if outer is None:
                self._running.pop(task, None)
            else:
                self._running[task] = outer

    def blocking_call(self, loop: asyncio.AbstractEventLoop) -> str | None:
        """Whose code `loop` is executing right now, if it is a plugin's. From any thread."""
        return self._running.get(asyncio.current_task(loop))

    def uncancellable(self, seconds: float) -> list[str]:
        """Calls that were cut longer ago than that and go on nevertheless. From any thread."""
        return [what for clock, what in list(self._clocks.items()) if clock.since() > seconds]


class Watchdog:
    """Notices plugins that hold up the event loop, will not be cancelled, or never come back from a
    thread, and says so to `blocked`.

    That must end the run. Nothing else could: Python cannot interrupt a call from outside. What was
    committed stays, the rest is rubbish that the next run sweeps up.
    """

    def __init__(
        self, patience: CallTimeouts, limits: CallLimits, blocked: Callable[[str], None]
    ) -> None:
        self._patience = patience
        self._limits = limits
        self._blocked = blocked
        self._stopped = threading.Event()
        self._answered = threading.Event()
        self._threads: dict[int, tuple[str, float]] = {}
        self._numbers = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch the running loop."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._watch, args=(loop,), name="watchdog", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._answered.set()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def thread(self, what: str) -> Iterator[Callable[[], None]]:
        """Foreign code runs in a worker thread; calling what is yielded is a sign of life."""
        self._numbers += 1
        number = self._numbers

        def alive() -> None:
            self._threads[number] = (what, monotonic())

        alive()
        try:
            yield alive
        finally:
            del self._threads[number]

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stopped.wait(self._limits.block / 4):
            self._answered.clear()
            try:
                loop.call_soon_threadsafe(self._answered.set)
            except RuntimeError:  # the loop is closed
                return
            while not self._answered.wait(self._limits.block) and not self._stopped.is_set():
                self._look_at_threads()  # some of what is watched like a thread runs on the loop
                if what := self._patience.blocking_call(loop):
                    self._blocked(
                        f"{what} held up everything else for more than {self._limits.block:g} s: it"
                        " blocks where it must await"
                    )
            self._look_at_threads()
            for what in self._patience.uncancellable(self._limits.block):
                self._blocked(f"{what} was cut and goes on: it swallows its cancellation")

    def _look_at_threads(self) -> None:
        late = monotonic() - self._limits.call
        for what, alive in list(self._threads.values()):
            if alive < late:
                self._blocked(
                    f"{what} did nothing that the core could see for more than"
                    f" {self._limits.call:g} s"
                )
