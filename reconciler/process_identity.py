"""Identity of a process, and whether it still runs.

Leases, commits in preparation and temporary files carry it: what an ended process has left is swept
away at once. Of a process of another machine or container nothing is known; what it leaves is swept
once it is a day old.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

ABANDONED_AFTER = timedelta(days=1)
"""Age at which what an unknown process has left counts as abandoned, unless something locks it."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a host.

    `start`: ID of the boot, PID namespace and time when it began; they distinguish it from a later
    process with its number, whatever the host is called by then.
    """

    host: str
    pid: int
    start: str

    @property
    def gone(self) -> bool:
        """Return True if the process is known to have ended."""
        return self._visible and not self._runs

    @property
    def alive(self) -> bool:
        """Return True if the process is known to run."""
        return self._visible and self._runs

    @property
    def _visible(self) -> bool:
        """True if this process sees it: it is of the same boot and PID namespace."""
        scope = self.start.rpartition("/")[0]
        return scope == _scope() and (scope != "/" or self.host == socket.gethostname())

    @property
    def _runs(self) -> bool:
        start = _start(self.pid)
        return _exists(self.pid) if start is None else start == self.start


def this_process() -> Process:
    """Return the process that runs this code."""
    return _process(os.getpid())


@lru_cache(maxsize=1)
def _process(pid: int) -> Process:
    return Process(socket.gethostname(), pid, _start(pid) or "")


def _scope() -> str:
    """Return boot ID and PID namespace: `/` where the system has neither."""
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
        namespace = re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
    except (OSError, ValueError):
        return "/"
    return f"{boot}/{namespace}"


def _start(pid: int) -> str | None:
    """Return scope and start time of a process; None when nothing can be read of it.

    Returns an empty text when it has ended and only waits for its parent.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_by_ps(pid)
    state, *fields = re.sub(
        r"^.*\)\s*", "", stat, flags=re.DOTALL
    ).split()  # the name in parentheses may hold anything
    return "" if state in "ZX" else f"{_scope()}/{fields[18]}"


def _start_by_ps(pid: int) -> str | None:
    """Return the start time as `ps` shows it, where there is no /proc (macOS, BSD)."""
    answer = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return f"//{answer}" if answer else None


def _exists(pid: int) -> bool:
    """Return True if a process exists; one of another user may show nothing else."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
