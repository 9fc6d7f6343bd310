"""What the parts of one run share: fresh folders, upstreams, and mirrors that several parts go on
with.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.benchmarks.costs import REPEATS, Cost, Unmeasured, measured, middle
from tests.benchmarks.indexes import advance, copy_of, read
from tests.benchmarks.mirrors import Reconciler
from tests.benchmarks.peers import BANDERSNATCH, Bandersnatch
from tests.benchmarks.places import ROOT, Scratch
from tests.benchmarks.processes import reload
from tests.benchmarks.slow_index import slow_index
from tests.support.clients import isolated
from tests.support.index import Index
from tests.support.nginx import Nginx, serving_index


@dataclass(frozen=True, slots=True)
class Pair:
    """Two mirrors of one index, made in turn."""

    ours: Reconciler
    theirs: Bandersnatch


@dataclass
class Costs:
    """What one piece of work cost, time after time, by whom."""

    ours: list[Cost] = field(default_factory=list)
    theirs: list[Cost] = field(default_factory=list)
    bare: list[Cost] = field(default_factory=list)

    def sync(self, pair: Pair, upstream: Nginx | None = None) -> None:
        """One turn each."""
        self.ours.append(pair.ours.sync(upstream))
        cost = pair.theirs.sync(upstream)
        if cost:
            self.theirs.append(cost)

    @property
    def our_middle(self) -> Cost:
        return middle(self.ours)

    @property
    def their_middle(self) -> Cost | None:
        return middle(self.theirs) if self.theirs else None


class Bench:
    """Use as a context manager; everything it started has ended with the block, everything it made
    is gone.
    """

    def __init__(self) -> None:
        self._scratch = Scratch()
        self._stack = ExitStack()

    def __enter__(self) -> Bench:
        self._stack.callback(self._scratch.remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def folder(self, name: str) -> Path:
        return self._scratch.folder(name)

    def index(self, profile: str, *, serials: bool = True) -> Path:
        """A fresh copy of an index."""
        return copy_of(profile, self.folder(f"index-{profile}") / "index", serials=serials)

    def upstream(self, profile: str, *, serials: bool = True) -> tuple[Path, Nginx]:
        """A fresh copy of an index, and nginx before it, which logs every request."""
        index, place = self.index(profile, serials=serials), self.folder("upstream")
        return index, self._stack.enter_context(
            serving_index(index, place / "nginx", serials=serials)
        )

    def pair(self, url: str) -> Pair:
        return Pair(
            Reconciler(self.folder("ours"), url), Bandersnatch(self.folder("bandersnatch"), url)
        )

    def bare(self, upstream: Nginx) -> Cost:
        """The bare loop over this index."""
        folder = self.folder("bare")
        words: list[str | Path] = [
            sys.executable,
            "-m",
            "tests.benchmarks.bare",
            f"{upstream.url}/simple/",
            folder,
        ]
        return measured(words, folder, upstream, environment=isolated(folder, PYTHONPATH=str(ROOT)))

    def slow(self, profile: str, milliseconds: int) -> str:
        """URL of an index whose answers are late."""
        return self._stack.enter_context(slow_index(self.index(profile), milliseconds))

    def warm(self) -> None:
        """Let every program run once, so that its byte code lies on disk when it is measured."""
        _, upstream = self.upstream("tiny")
        Costs().sync(self.pair(upstream.url))
        self.bare(upstream)

    @cached_property
    def small(self) -> Small:
        return Small(self)

    @cached_property
    def exported(self) -> tuple[Index, Reconciler]:
        """A mirror of `small` that is served and exported, and what it mirrors."""
        index, upstream = self.upstream("small")
        mirror = Reconciler(self.folder("exported"), upstream.url, export=True)
        mirror.sync()
        return read(index), mirror


class Small:
    """The index `small`, mirrored from nothing three times by everybody; the first sync is
    measured, the mirrors stay.
    """

    def __init__(self, bench: Bench) -> None:
        self._index, self.upstream = bench.upstream("small")
        self.pairs: list[Pair] = []
        self.first = Costs()
        for _ in range(REPEATS):
            pair = bench.pair(self.upstream.url)
            self.first.sync(pair, self.upstream)
            self.first.bare.append(bench.bare(self.upstream))
            self.pairs.append(pair)
        self._check()

    def again(self) -> Costs:
        """Every mirror once more."""
        costs = Costs()
        for pair in self.pairs:
            costs.sync(pair, self.upstream)
        return costs

    def change(self) -> None:
        """One project in a hundred gets a release."""
        advance(self._index, "small", 1)
        reload(self.upstream.pid)

    def _check(self) -> None:
        """Who did not mirror everything cannot be compared."""
        expected = len(read(self._index).files)
        for pair in self.pairs:
            counts = {
                "reconciler": pair.ours.files(),
                **({BANDERSNATCH: pair.theirs.files()} if self.first.theirs else {}),
            }
            for name, count in counts.items():
                if count != expected:
                    raise Unmeasured(
                        f"{name} holds {count} of {expected} files: nothing to compare"
                    )
