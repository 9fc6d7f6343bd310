"""What a command costs: wall time, CPU of its whole process tree, peak memory, requests that
reached upstream.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Sequence, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from tests.benchmarks.processes import Peak
from tests.support.clients import isolated

REPEATS = 3
QUOTED = 2_000  # characters of its output that a failed command is quoted with


class Counting(Protocol):
    """An upstream that knows the requests that reached it."""

    def requests(self) -> Sized: ...


class Unmeasured(Exception):
    """What was to be measured did not happen: its numbers would be those of something else."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds, seconds, MiB (of the process itself), and requests where somebody counted them."""

    wall: float
    cpu: float
    memory: float = 0.0
    requests: int | None = None

    def fields(self) -> dict[str, Any]:
        return asdict(self)


def measured(
    words: Sequence[str | Path],
    folder: Path,
    upstream: Counting | None = None,
    *,
    environment: dict[str, str] | None = None,
) -> Cost:
    """Run a command to its end in `folder`, where its output is kept, with `folder` as its home.
    `upstream`: whose requests are counted.

    The environment holds nothing of this machine's settings; in particular nothing that keeps
    Python from writing byte code. Raises Unmeasured.
    """
    before = len(upstream.requests()) if upstream else 0
    output = folder / f"{Path(words[0]).name}.{time.monotonic_ns()}.log"
    os.sync()  # what the previous command left to be written is not this one's burden
    with output.open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment or isolated(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        with Peak(process.pid) as memory:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = output.read_text(errors="replace")[-QUOTED:]
        raise Unmeasured(f"`{' '.join(map(str, words))}` exited with {process.returncode}:\n{said}")
    requests = len(upstream.requests()) - before if upstream else None
    return Cost(wall, usage.ru_utime + usage.ru_stime, memory.peak, requests)


def middle(costs: Iterable[Cost]) -> Cost:
    """The median of each number."""
    all_of = list(costs)
    counted = [cost.requests for cost in all_of if cost.requests is not None]
    return Cost(
        median(cost.wall for cost in all_of),
        median(cost.cpu for cost in all_of),
        median(cost.memory for cost in all_of),
        round(median(counted)) if counted else None,
    )
