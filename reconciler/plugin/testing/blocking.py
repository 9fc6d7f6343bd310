"""Calls that hold up the event loop, noticed as they are made, however short they happen to be this
time.
"""

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

from reconciler.plugin.testing.modules import place_in, seeing

# What Python reports of itself (`sys.audit`), and what to say of it.
_EVENTS: Mapping[str, str] = {
    "socket.connect": "connects a blocking socket",
    "socket.getaddrinfo": "looks up a host name",
    "socket.gethostbyname": "looks up a host name",
    "urllib.Request": "asks upstream by `urllib`",
    "subprocess.Popen": "starts a process",
    "os.system": "runs a command",
}


@dataclass
class Watching:
    """Whose calls are looked at, and what was found: `file:line, in function, does what`."""

    modules: dict[str, ModuleType]
    found: list[str] = field(default_factory=list)

    def note(self, what: str, depth: int) -> None:
        """A blocking call is being made; `depth`: frames between it and here."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # a thread of its own: nobody waits
            return
        place = place_in(sys._getframe(depth + 1), self.modules)
        if place is not None and f"{place}, {what}" not in self.found:
            self.found.append(f"{place}, {what}")


_ACTIVE: list[Watching] = []
_HOOKED: list[bool] = []  # audit hooks stay for good: one is enough


@contextmanager
def watched_calls(modules: list[ModuleType]) -> Iterator[list[str]]:
    """Within the block, blocking calls that these modules make on an event loop come together in
    the list. They are made nevertheless.
    """
    if not _HOOKED:
        _HOOKED.append(True)
        sys.addaudithook(_hook)
    watching = Watching({module.__name__: module for module in modules})

    def sleep(seconds: SupportsIndex | float, /) -> None:
        watching.note("sleeps", 1)
        true_sleep(seconds)

    true_sleep, instead = time.sleep, {id(time.sleep): sleep}
    _ACTIVE.append(watching)
    time.sleep = sleep
    try:
        with seeing(modules, instead):
            yield watching.found
    finally:
        time.sleep = true_sleep
        _ACTIVE.remove(watching)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _ACTIVE or event not in _EVENTS:
        return
    if (
        event == "socket.connect"
        and isinstance(arguments[0], socket.socket)
        and arguments[0].gettimeout() == 0
    ):
        return  # one of an event loop's own
    for watching in list(_ACTIVE):
        watching.note(_EVENTS[event], 1)
