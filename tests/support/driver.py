"""Commands in processes of their own, which end as a power cut would end them: at a named step,
passed for the n-th time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from itertools import count
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from reconciler.cli.main import run
from reconciler.engine import Checkpoint, listen
from reconciler.engine.run import lease
from tests.support.forked import started, write_to


def killed_at(step: Checkpoint, occurrence: int, words: Sequence[str], *, log: Path) -> None:
    """Run a command that must die at this step. `log`: where its output goes."""
    process = _started(step.value, occurrence, words, log=log)
    process.join()
    assert process.exitcode == -signal.SIGKILL, f"not killed at `{step}`: {log.read_text()}"


def other_run(words: Sequence[str], log: Path, *, patience: float = 0.2) -> int:
    """The exit code of a command that runs beside this process. `patience`: seconds for which it
    waits for the lease of a publication.
    """
    process = _started("", 0, words, log=log, patience=patience)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _started(
    step: str, occurrence: int, words: Sequence[str], *, log: Path, patience: float = lease.PATIENCE
) -> ForkServerProcess:
    return started(_run, step, occurrence, list(words), str(log), patience)


def _run(step: str, occurrence: int, words: list[str], log: str, patience: float) -> None:
    lease.PATIENCE = patience
    write_to(log)
    passed = count(1)

    def die(reached: Checkpoint) -> None:
        if reached == step and next(passed) == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    listen(die)
    sys.exit(run(words))
