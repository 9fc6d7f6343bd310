"""Mirroring, side by side with bandersnatch: from nothing, far away, with nothing changed, with a
little changed, ten times as much.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.bench import Bench, Costs
from tests.benchmarks.costs import REPEATS, middle
from tests.benchmarks.indexes import read
from tests.benchmarks.mirrors import Reconciler
from tests.benchmarks.peers import BANDERSNATCH
from tests.benchmarks.places import ROOT
from tests.benchmarks.rows import Row, against, said, within
from tests.support.clients import isolated

LATENCY = 50  # milliseconds


def first_sync(bench: Bench) -> list[Row]:
    costs = bench.small.first
    bare = middle(costs.bare)
    return [
        against(
            "first sync and publication of `small`",
            costs.our_middle,
            BANDERSNATCH,
            peer=costs.their_middle,
            target=0.6,
            cpu=True,
        ),
        against(
            "the same, a bare fetch-hash-write loop instead of us",
            bare,
            BANDERSNATCH,
            peer=costs.their_middle,
            target=0.4,
            cpu=True,
        ).informal(),
    ]


def latency(bench: Bench) -> list[Row]:
    url = bench.slow("tiny", LATENCY)
    costs = Costs()
    for _ in range(REPEATS):
        costs.sync(bench.pair(url))
    return [
        against(
            f"first sync of `tiny`, {LATENCY} ms away",
            costs.our_middle,
            BANDERSNATCH,
            peer=costs.their_middle,
            target=0.15,
        )
    ]


def unchanged(bench: Bench) -> list[Row]:
    small = bench.small
    costs = small.again()
    index, upstream = bench.upstream("small", serials=False)
    pages = len(read(index).projects) + 1
    without = Reconciler(bench.folder("without-serials"), upstream.url)
    without.sync()
    asked = middle(without.sync(upstream) for _ in range(REPEATS))
    return [
        against(
            "nothing changed on `small`, cold command",
            costs.our_middle,
            BANDERSNATCH,
            peer=costs.their_middle,
            target=2,
        ),
        Row(
            "the same where upstream has no serials",
            said(asked),
            "",
            "",
            "one 304 a page",
            asked.requests == pages,
            {"ours": asked.fields()},
        ),
        _rounds("nothing changed on `small`, in-process", small.pairs[0].ours),
        _rounds("the same where upstream has no serials", without).informal(),
    ]


def changed(bench: Bench) -> list[Row]:
    small = bench.small
    small.change()
    costs = small.again()
    return [
        against(
            "1 % changed on `small`, cold command",
            costs.our_middle,
            BANDERSNATCH,
            peer=costs.their_middle,
            target=2.2,
        )
    ]


def growth(bench: Bench) -> list[Row]:
    small = bench.small.first.our_middle
    _, upstream = bench.upstream("medium")
    mirror = Reconciler(bench.folder("medium"), upstream.url)
    medium = mirror.sync(upstream)
    again = mirror.sync(upstream)
    work, memory = medium.cpu / small.cpu, medium.memory / small.memory
    numbers = {"small": small.fields(), "medium": medium.fields(), "again": again.fields()}
    met_memory = medium.memory <= 200 and memory <= 1.3
    return [
        Row(
            "growth: first sync of `medium`, CPU",
            said(medium),
            f"`small` {said(small)}",
            f"{work:.2f}",
            "10 x `small`",
            work <= 10,
            numbers,
        ),
        Row(
            "growth: peak memory",
            f"{medium.memory:.0f} MiB",
            f"`small` {small.memory:.0f} MiB",
            f"{memory:.2f}",
            "200 MiB and 1.3 x `small`",
            met_memory,
        ),
        Row("nothing changed on `medium`, cold command", said(again), "", "", "", None),
    ]


def _rounds(work: str, mirror: Reconciler) -> Row:
    words: list[str | Path] = [
        sys.executable,
        "-m",
        "tests.benchmarks.watching",
        mirror.manifest,
        mirror.home,
    ]
    done = subprocess.run(
        words, env=isolated(mirror.folder, PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE, check=True
    )
    found = json.loads(done.stdout)
    return within(
        work,
        found["cpu"] * 1000,
        30,
        unit="ms of CPU",
        more=f"{found['wall'] * 1000:.3g} ms of wall, median of {found['rounds']} rounds",
    )
