"""Processes that are running, from `/proc`: CPU of a server with its descendants, peak memory of a
command, a new start for nginx's workers.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import TracebackType

TICKS = os.sysconf("SC_CLK_TCK")
PAUSE = 0.02


def tree_cpu(root: int) -> float:
    """Seconds of user and system time of a live process and its descendants, the dead ones that
    were waited for included.
    """
    known = _processes()
    children: dict[int, list[int]] = defaultdict(list)
    for pid, (parent, _) in known.items():
        children[parent].append(pid)
    total, todo = 0, [root]
    while todo:
        pid = todo.pop()
        total += known.get(pid, (0, 0))[1]
        todo += children[pid]
    return total / TICKS


def reload(nginx: int) -> None:
    """Let nginx read its configuration again; back when the last worker that knows the old one has
    gone.
    """
    old = {pid for pid, (parent, _) in _processes().items() if parent == nginx}
    os.kill(nginx, signal.SIGHUP)
    while old & set(_processes()):
        time.sleep(PAUSE)


class Peak:
    """The peak memory of a process, in MiB, while the block lasts.

    The kernel's own figure for a process that has ended begins with that of the process which
    started it, so it is of no use here.
    """

    def __init__(self, pid: int) -> None:
        self.peak = 0.0
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(PAUSE):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            self.peak = next(
                (int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")),
                self.peak,
            )


def _processes() -> dict[int, tuple[int, int]]:
    """By pid: the parent, and ticks of CPU."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        found[int(folder.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    return found
