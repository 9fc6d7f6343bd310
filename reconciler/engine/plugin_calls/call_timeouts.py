"""Limit how long plugin code may keep a run waiting.

A call that awaits too long is cancelled. Blocking code cannot be cancelled: a watchdog thread
notices it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import monotonic

from reconciler.engine.plugin_calls.plugin_errors import error_message
from reconciler.errors import PluginFault

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Limits for plugin code, in seconds.

    Attributes:
        call: Awaiting, or working in a thread, without a call into the core.
        block: Holding up the event loop.
    """

    call: float = 600.0
    block: float = 60.0


class CallTimer:
    """Timer of one plugin call. It stands still while the core works for the call."""

    def __init__(self, seconds: float, timeout: asyncio.Timeout) -> None:
        self._seconds = seconds
        self._timeout = timeout
        self._working = 0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Stop the timer for the length of the block, in which the core works for the call."""
        self._working += 1
        self._set(None)
        try:
            yield
        finally:
            self._working -= 1
            if not self._working:
                self.restart()

    def restart(self) -> None:
        """Start the timer anew.

        Cheap when called a million times: it acts once in a hundredth of the limit.
        """
        when = asyncio.get_running_loop().time() + self._seconds
        until = self._timeout.when()
        if until is None or when - until > self._seconds / 100:
            self._set(when)

    def since(self) -> float:
        """Return the seconds since the call was cancelled, 0 if it was not. Thread-safe."""
        when = self._timeout.when()
        return monotonic() - when if when is not None and self._timeout.expired() else 0.0

    def _set(self, when: float | None) -> None:
        if not self._timeout.expired():
            self._timeout.reschedule(when)


class CallTimeouts:
    """Cancels plugin calls that await too long, and tells the watchdog which plugin code runs."""

    def __init__(self, limits: CallLimits) -> None:
        self._limits = limits
        self._running: dict[asyncio.Task[object] | None, str] = {}
        self._timers: dict[CallTimer, str] = {}

    @asynccontextmanager
    async def call(self, name: str) -> AsyncIterator[CallTimer]:
        """Run one plugin call, with `name` in messages, in the current task.

        Raises PluginFault once it has awaited for longer than the limit.
        """
        seconds = self._limits.call
        timeout = asyncio.timeout(seconds)
        timer = CallTimer(seconds, timeout)
        started = monotonic()
        self._timers[timer] = name
        try:
            async with timeout:
                with self.named(name):
                    yield timer
        except TimeoutError:
            if not timeout.expired():
                raise
            raise PluginFault(
                f"{name} awaited for more than {seconds:g} s without asking the core for anything:"
                " it was cut",
                hint="a plugin asks upstream through its call or conduit",
            ) from None
        finally:
            del self._timers[timer]
            logger.debug("called %s: %.3f s", name, monotonic() - started)

    @contextmanager
    def named(self, name: str) -> Iterator[None]:
        """Register plugin code that runs in the current task under `name`.

        SystemExit and a cancellation that the core did not request become a PluginFault, so that
        they end this call only.
        """
        task = asyncio.current_task()
        outer = self._running.get(task)
        self._running[task] = name
        try:
            yield
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            raise PluginFault(f"{name} failed: {error_message(error)}") from error
        finally:
            if outer is None:
                self._running.pop(task, None)
            else:
                self._running[task] = outer

    def blocking_call(self, loop: asyncio.AbstractEventLoop) -> str | None:
        """Return the name of the plugin call that `loop` executes now, or None. Thread-safe."""
        return self._running.get(asyncio.current_task(loop))

    def uncancellable(self, seconds: float) -> list[str]:
        """Return the calls that go on although they were cancelled longer ago than `seconds`.
        Thread-safe.
        """
        return [name for timer, name in list(self._timers.items()) if timer.since() > seconds]


class Watchdog:
    """Thread that notices plugin code which cannot be stopped from outside.

    That is: code that blocks the event loop, swallows its cancellation, or never returns from a
    worker thread. `blocked` is called with a message and must end the process, since Python cannot
    interrupt a call. What was committed stays; leftovers are swept up by the next run.
    """

    def __init__(
        self, call_timeouts: CallTimeouts, limits: CallLimits, blocked: Callable[[str], None]
    ) -> None:
        self._call_timeouts = call_timeouts
        self._limits = limits
        self._blocked = blocked
        self._stopped = threading.Event()
        self._answered = threading.Event()
        self._threads: dict[int, tuple[str, float]] = {}
        self._numbers = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to watch the running event loop."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._watch, args=(loop,), name="watchdog", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and wait for the thread."""
        self._stopped.set()
        self._answered.set()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def thread(self, name: str) -> Iterator[Callable[[], None]]:
        """Watch plugin code in a worker thread; call what is yielded to restart its time limit."""
        self._numbers += 1
        number = self._numbers

        def alive() -> None:
            self._threads[number] = (name, monotonic())

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
                if name := self._call_timeouts.blocking_call(loop):
                    self._blocked(
                        f"{name} held up everything else for more than {self._limits.block:g} s: it"
                        " blocks where it must await"
                    )
            self._look_at_threads()
            for name in self._call_timeouts.uncancellable(self._limits.block):
                self._blocked(f"{name} was cut and goes on: it swallows its cancellation")

    def _look_at_threads(self) -> None:
        late = monotonic() - self._limits.call
        for name, alive in list(self._threads.values()):
            if alive < late:
                self._blocked(
                    f"{name} did nothing that the core could see for more than"
                    f" {self._limits.call:g} s"
                )
