"""Uploads by processes of their own, into the home of a rehearsal: beside this process, or until
they die at a named step.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from reconciler.engine import Checkpoint, listen
from reconciler.engine.service import Service, uploaded_file
from tests.support import forked
from tests.support.rehearsal import rehearsal


def started(
    folder: Path, names: Sequence[str], die_at: Checkpoint | None = None
) -> ForkServerProcess:
    """Start a process that uploads a file of each name in order. `folder`: of the rehearsal."""
    return forked.started(_uploads, str(folder), list(names), die_at)


def _uploads(folder: str, names: list[str], die_at: Checkpoint | None) -> None:
    listen(lambda reached: os.kill(os.getpid(), signal.SIGKILL) if reached is die_at else None)

    async def send(service: Service) -> None:
        for name in names:
            path = Path(folder, "sent", name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(name, encoding="utf-8")
            await service.upload("team", uploaded_file(path), {}, principal="ada")

    with rehearsal(Path(folder)) as stage:
        asyncio.run(stage.serviced(send))
