"""Growth: what an apply costs at 200, 2,000 and 20,000 projects of 15 files, of which only the
metadata is mirrored.

Every line compares sizes, so that what grows faster than it should is seen at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.request import Request, urlopen

from tests.benchmarks.bench import Bench
from tests.benchmarks.costs import REPEATS, Cost, middle
from tests.benchmarks.mirrors import Reconciler
from tests.benchmarks.rows import Row, said
from tests.benchmarks.vast_index import VastIndex, vast_index
from tests.support.mirror import publication, remote, repository, resource

SIZES = (200, 2_000, 20_000)
FILES = 15
GROWTH = 11  # times the first apply of a tenth
ONE_CHANGED = 0.2  # seconds of CPU more than when nothing changed
FILTERED = 15  # seconds of CPU, 20,000 projects
MEMORY = 170  # MiB, 20,000 projects
DATABASE = 1.2  # KB a file, at most


@dataclass
class Size:
    """A mirror of so many projects, and what was measured of it."""

    projects: int
    costs: dict[str, Cost] = field(default_factory=dict)
    database: float = 0.0  # KB a file
    start: float = 0.0  # seconds until `serve` has answered

    @property
    def memory(self) -> str:
        return f"{self.costs['first'].memory:.0f} MiB"

    def cpu(self, work: str) -> float:
        return self.costs[work].cpu


def scale(bench: Bench) -> list[Row]:
    sizes = []
    for projects in SIZES:
        with vast_index(projects=projects, files=FILES) as index:
            sizes.append(_measured(bench.folder(f"scale-{projects}"), index, projects))
    largest = sizes[-1]
    growth = largest.cpu("first") / sizes[-2].cpu("first")
    one_more = largest.cpu("one") - largest.cpu("nothing")
    first, filtered = largest.costs["first"], largest.costs["filter"]
    apply, figures = partial(_row, sizes), partial(_figures, sizes)
    return [
        apply("first apply", "first").promised(f"{GROWTH} x 2,000", growth <= GROWTH),
        apply("nothing changed", "nothing"),
        apply("one project changed", "one").promised(
            f"nothing changed + {ONE_CHANGED} s of CPU", one_more <= ONE_CHANGED
        ),
        apply("1 % changed", "hundredth"),
        apply("a rule of a global filter changed", "filter").promised(
            f"{FILTERED} s of CPU", filtered.cpu <= FILTERED
        ),
        figures("peak memory of the first apply", lambda size: size.memory).promised(
            f"{MEMORY} MiB", first.memory <= MEMORY
        ),
        figures("database, a file", lambda size: f"{size.database:.2f} KB").promised(
            f"{DATABASE} KB", largest.database <= DATABASE
        ),
        figures("`serve` has answered a page after", lambda size: f"{size.start:.2f} s"),
    ]


def _measured(folder: Path, index: VastIndex, projects: int) -> Size:
    size, mirror = Size(projects), Reconciler(folder, index.url.removesuffix("/simple/"))
    _declare(mirror, index, 'deny: ["none-0"]')
    size.costs["first"] = _apply(mirror, index)
    size.database = _database(mirror) / (projects * FILES)
    size.costs["nothing"] = middle(_apply(mirror, index) for _ in range(REPEATS))
    size.costs["one"] = middle(_changed(mirror, index, 1) for _ in range(REPEATS))
    size.costs["hundredth"] = _changed(mirror, index, projects // 100)
    _declare(mirror, index, 'deny: ["none-1"]')
    size.costs["filter"] = _apply(mirror, index)
    size.start = _start(mirror)
    return size


def _declare(mirror: Reconciler, index: VastIndex, rules: str) -> None:
    documents = (
        remote(index.url, more="policy: on-demand\nconcurrency: 32"),
        resource("Filter", "house", f"type: python\nglobal: true\n{rules}"),
        repository("all"),
        publication("all"),
    )
    mirror.manifest.write_text("---\n".join(documents), encoding="utf-8")


def _changed(mirror: Reconciler, index: VastIndex, projects: int) -> Cost:
    index.change(projects)
    return _apply(mirror, index)


def _apply(mirror: Reconciler, index: VastIndex) -> Cost:
    return mirror.sync(index)


def _database(mirror: Reconciler) -> float:
    """Return the size of the database, in KB (1,000 bytes), its pages included."""
    return sum(file.stat().st_size for file in mirror.home.glob("state.db*")) / 1_000


def _start(mirror: Reconciler) -> float:
    began = time.perf_counter()
    with mirror.serving() as (url, _):
        urlopen(Request(f"{url}acme-000000/", headers={"Accept": "text/html"})).read()
        return time.perf_counter() - began


def _row(sizes: list[Size], work: str, key: str) -> Row:
    row = _figures(sizes, work, lambda size: said(size.costs[key]))
    return replace(row, ratio=f"{sizes[-1].cpu(key) / sizes[-2].cpu(key):.1f}")


def _figures(sizes: list[Size], work: str, figure: Callable[[Size], str]) -> Row:
    figures = [f"{size.projects:,}: {figure(size)}" for size in sizes]
    return Row(f"{work}, by projects", "; ".join(figures), "", "", "", None)
