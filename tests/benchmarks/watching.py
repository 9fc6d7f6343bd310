"""Rounds of a daemon: an engine opened once, manifests read once, then plan and apply with nothing
to do. Says what a round costs as JSON.

python -m tests.benchmarks.watching MANIFEST HOME
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import median

from reconciler.engine import Engine, Home, PlanOptions
from reconciler.manifest import read, read_recorded
from reconciler.plugin.registry import Registry

ROUNDS = 20


async def costs(manifest: Path, home: Path) -> list[tuple[float, float]]:
    """CPU and wall seconds of each round but the first, which opens connections."""
    registry = Registry()
    desired = read([manifest], registry)
    found = []
    async with Engine(Home(home), registry, read_recorded, writes=True) as engine:
        for _ in range(ROUNDS + 1):
            cpu, wall = time.process_time(), time.perf_counter()
            report = await engine.apply(desired, PlanOptions(), {}, show=lambda plan: None)
            found.append((time.process_time() - cpu, time.perf_counter() - wall))
            assert all(outcome.result == "unchanged" for outcome in report.outcomes), (
                "a round that was to have nothing to do"
            )
    return found[1:]


def _main(manifest: str, home: str) -> None:
    rounds = asyncio.run(costs(Path(manifest), Path(home)))
    cpu, wall = (median(column) for column in zip(*rounds, strict=True))
    print(json.dumps({"cpu": cpu, "wall": wall, "rounds": len(rounds)}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
