"""`make bench`: what our work costs, side by side with the peers, in one run. Prints a table;
asserts no times.

    python -m tests.benchmarks [PART ...] [--skip-medium]

A run of everything also writes the table into the documentation. Needs nginx; `wrk` for serving; a
package registry once, for the peers.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping

from tests.benchmarks import archives, declaring, reading, scaling, serving, syncing, upstreaming
from tests.benchmarks.bench import Bench
from tests.benchmarks.costs import Unmeasured
from tests.benchmarks.rows import Row
from tests.benchmarks.table import document, keep, table

PARTS: Mapping[str, Callable[[Bench], list[Row]]] = {
    "first-sync": syncing.first_sync,
    "latency": syncing.latency,
    "unchanged": syncing.unchanged,
    "changed": syncing.changed,
    "growth": syncing.growth,
    "scale": scaling.scale,
    "everything": upstreaming.everything,
    "files": declaring.files,
    "archives": archives.archives,
    "manifests": reading.manifests,
    "serving": serving.serving,
    "install": serving.install,
    "start": reading.start,
}


def main() -> int:
    options = _options()
    parts = [part for part in PARTS if part in (options.parts or PARTS)]
    if options.skip_medium and "growth" in parts:
        parts.remove("growth")
    load = os.getloadavg()[0]
    rows: list[tuple[str, Row]] = []
    with Bench() as bench:
        bench.warm()
        for part in parts:
            began = time.monotonic()
            print(f"{part} ...", flush=True)
            try:
                found = PARTS[part](bench)
            except Unmeasured as failure:
                print(f"{part} was not measured: {failure}", file=sys.stderr)
                continue
            rows += [(part, row) for row in found]
            print(f"{part}: {time.monotonic() - began:.0f} s", flush=True)
    keep(rows, load)
    text = table([row for _, row in rows], load)
    print(f"\n{text}")
    missing = sorted(set(parts) - {part for part, _ in rows})
    if len(parts) == len(PARTS) and not missing:
        print(f"written to {document(text)}")
    return 1 if missing else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Measure, side by side with the peers."
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"default: all of {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--skip-medium",
        action="store_true",
        help="leave out `growth`, whose index takes two minutes to make once",
    )
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"no part is named `{unknown[0]}`; there are {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
