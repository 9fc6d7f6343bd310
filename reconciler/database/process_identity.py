"""Identity of a process, and whether it still runs."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a host.

    `start`: the PID namespace and the time when it began; they distinguish it from a later process
    with its number.
    """

    host: str
    pid: int
    start: str

    @property
    def gone(self) -> bool:
        """Return True if the process is known to have ended.

        Never known of a process of another host or container.
        """
        if self.host != socket.gethostname() or self.start.partition("/")[0] != _namespace():
            return False
        start = _start(self.pid)
        return not _exists(self.pid) if start is None else start != self.start


def this_process() -> Process:
    """Return the process that runs this code."""
    pid = os.getpid()
    return Process(socket.gethostname(), pid, _start(pid) or "")


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _start(pid: int) -> str | None:
    """Return namespace and start time of a process; None when nothing can be read of it.

    Returns an empty text when it has ended and only waits for its parent.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_by_ps(pid)
    state, *fields = re.sub(
        r"^.*\)\s*", "", stat, flags=re.DOTALL
    ).split()  # the name in parentheses may hold anything
    return "" if state in "ZX" else f"{_namespace()}/{fields[18]}"


def _start_by_ps(pid: int) -> str | None:
    """Return the start time as `ps` shows it, where there is no /proc (macOS, BSD)."""
    answer = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return f"/{answer}" if answer else None


def _exists(pid: int) -> bool:
    """Return True if a process exists; one of another user may show nothing else."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
