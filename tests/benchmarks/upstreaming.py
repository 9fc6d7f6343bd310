"""Everything upstream: no `include`, so that the index's own list says what there is, and filters
that let one project in a hundred pass.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.costs import Cost, Unmeasured, measured
from tests.benchmarks.rows import Row, said, within
from tests.benchmarks.vast_index import ACME, FILES, PROJECTS, VastIndex, vast_index
from tests.support.clients import isolated, program
from tests.support.mirror import remote, repository, resource

FLAT = 400  # MiB
HALF = 0.5  # of the requests of a whole run: where the interrupted one is


def everything(bench: Bench) -> list[Row]:
    """A first sync, the same again, a filter that takes away what it let in, and a first sync that
    is killed half-way.
    """
    with vast_index() as index:
        folder = bench.folder("everything")
        _declare(folder, index, 'allow: ["acme-*"]')
        first, again = _apply(folder, index), _apply(folder, index)
        _declare(folder, index, 'allow: ["acme-*"]\ndeny: ["acme-000*"]')
        filtered = _apply(folder, index)
        rest = _interrupted(bench.folder("interrupted"), index, first)
    name = f"a list of {PROJECTS:,} projects, {ACME:,} of them and {ACME * FILES:,} files to sync"
    assert first.requests is not None
    assert filtered.requests is not None
    return [
        Row(name, said(first), "", "", "", None, {"first": first.fields()}),
        within("the same, peak memory", first.memory, FLAT, unit="MiB"),
        Row(
            "the same list again, unchanged",
            said(again),
            f"the first sync {said(first)}",
            f"{again.cpu / first.cpu:.3f}",
            "",
            None,
        ),
        Row(
            "a filter that takes 1,000 projects away again",
            said(filtered),
            "",
            "",
            "no page twice",
            filtered.requests <= ACME + 1,
        ),
        Row(
            "the first sync, killed half-way, and run again",
            rest,
            f"the first sync {first.requests:,} requests",
            "",
            "",
            None,
        ),
    ]


def _declare(folder: Path, index: VastIndex, rules: str) -> None:
    documents = (
        remote(index.url, more="concurrency: 32"),
        repository(more="filters: [ours]"),
        resource("Filter", "ours", f"type: python\n{rules}"),
    )
    folder.joinpath("site.yaml").write_text("---\n".join(documents), encoding="utf-8")


def _apply(folder: Path, index: VastIndex) -> Cost:
    return measured(_words(), folder, index, environment=isolated(folder))


def _words() -> list[str | Path]:
    return [program("reconciler"), "apply", "site.yaml", "--home", "home"]


def _interrupted(folder: Path, index: VastIndex, whole: Cost) -> str:
    """How many requests both runs need together."""
    assert whole.requests is not None
    _declare(folder, index, 'allow: ["acme-*"]')
    before = len(index.requests())
    process = subprocess.Popen(
        _words(),
        cwd=folder,
        env=isolated(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(index.requests()) - before < whole.requests * HALF and process.poll() is None:
        time.sleep(0.05)
    if process.poll() is not None:
        raise Unmeasured("the run that was to be interrupted ended by itself")
    process.kill()
    process.wait()
    killed = len(index.requests()) - before
    again = _apply(folder, index)
    assert again.requests is not None
    return f"{killed:,} + {again.requests:,} requests, {again.wall:.2f} / {again.cpu:.2f} s"
