"""Detection of calls that block the event loop, however short they are in this run."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, SupportsIndex

from reconciler.plugin.testing.plugin_modules import calling_place, replaced_globals

# Events that Python reports (`sys.audit`), with their words in messages.
_EVENTS: Mapping[str, str] = {
    "socket.connect": "connects a blocking socket",
    "socket.getaddrinfo": "looks up a host name",
    "socket.gethostbyname": "looks up a host name",
    "urllib.Request": "sends a request with `urllib`",
    "subprocess.Popen": "starts a process",
    "os.system": "runs a command",
}


@dataclass
class BlockingCallWatch:
    """Modules whose calls are observed, and the calls found: `file:line, in function, action`."""

    modules: dict[str, ModuleType]
    calls: list[str] = field(default_factory=list)

    def record(self, action: str, depth: int) -> None:
        """Record a blocking call. `depth`: number of frames between the call and this one."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # a thread without an event loop may block
            return
        place = calling_place(sys._getframe(depth + 1), self.modules)
        if place is not None and f"{place}, {action}" not in self.calls:
            self.calls.append(f"{place}, {action}")


_ACTIVE: list[BlockingCallWatch] = []
_HOOKED: list[bool] = []  # audit hooks stay for good: one is enough


@contextmanager
def record_blocking_calls(modules: list[ModuleType]) -> Iterator[list[str]]:
    """Collect the blocking calls that these modules make on an event loop within the block."""
    if not _HOOKED:
        _HOOKED.append(True)
        sys.addaudithook(_hook)
    watch = BlockingCallWatch({module.__name__: module for module in modules})

    def sleep(seconds: SupportsIndex | float, /) -> None:
        watch.record("sleeps", 1)
        original_sleep(seconds)

    original_sleep = time.sleep
    _ACTIVE.append(watch)
    time.sleep = sleep
    try:
        with replaced_globals(modules, {id(original_sleep): sleep}):
            yield watch.calls
    finally:
        time.sleep = original_sleep
        _ACTIVE.remove(watch)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _ACTIVE or event not in _EVENTS:
        return
    if (
        event == "socket.connect"
        and isinstance(arguments[0], socket.socket)
        and arguments[0].gettimeout() == 0
    ):
        return  # a socket of an event loop
    for watch in list(_ACTIVE):
        watch.record(_EVENTS[event], 1)
