"""The table: on the screen, in the documentation between two markers, and as lines of JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from reconciler import __version__
from tests.benchmarks.places import PAGE, RESULTS
from tests.benchmarks.rows import Row

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
HEADINGS = ["work", "measured", "peer", "ratio", "target", "met"]


def table(rows: Sequence[Row], load: float) -> str:
    """Markdown: a line about the machine, then the rows. `load`: that of the machine before the run
    began.
    """
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in rows)]
    return f"{_machine(load)}\n\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def keep(parts: Sequence[tuple[str, Row]], load: float) -> None:
    """Append to the results of all runs."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    known = {"when": when, "machine": _machine(load)}
    with RESULTS.open("ab") as file:
        for part, row in parts:
            file.write(
                msgspec.json.encode({"part": part, **known, **msgspec.to_builtins(row)}) + b"\n"
            )


def document(text: str) -> Path:
    """Put the table into the page, in place of the one there."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")
    return PAGE


def _machine(load: float) -> str:
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    software = f"{platform.system()}, Python {platform.python_version()}, reconciler {__version__}"
    return (
        f"{day}, {os.cpu_count()} cores ({_processor()}), {software}, load average {load:.1f}"
        " before the run."
    )


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
