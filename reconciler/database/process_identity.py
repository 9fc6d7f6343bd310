"""Which process holds something, and whether it still runs."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process on a host. `start`: where its number counts (the PID namespace) and when it began;
    tells it from a later one with its number.
    """

    host: str
    pid: int
    start: str

    @property
    def gone(self) -> bool:
        """Can this be known, and has it ended? A process of another host or container is never
        known to be gone.
        """
        if self.host != socket.gethostname() or self.start.partition("/")[0] != _namespace():
            return False
        start = _start(self.pid)
        return not _exists(self.pid) if start is None else start != self.start


def this_process() -> Process:
    """The process that runs this code."""
    pid = os.getpid()
    return Process(socket.gethostname(), pid, _start(pid) or "")


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _start(pid: int) -> str | None:
    """Namespace and start time of a process; '' when it has ended and only waits for its parent,
    None when nothing can be read of it.
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
    """Where there is no /proc (macOS, BSD)."""
    answer = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return f"/{answer}" if answer else None


def _exists(pid: int) -> bool:
    """A process of another user may hide everything but its existence."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
