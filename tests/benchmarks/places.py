"""Where benchmarks work: `.bench/` in the checkout. Indexes and peers stay there; the folders of a
run go when it has ended.
"""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".bench"
RESULTS = KEPT / "results.jsonl"
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"


class Scratch:
    """Fresh folders, removed all together at the very end: making files right after removing
    thousands costs ext4 five times as much.
    """

    def __init__(self) -> None:
        self.root = KEPT / f"run-{os.getpid()}"
        self._numbers = count(1)

    def folder(self, name: str) -> Path:
        path = self.root / f"{next(self._numbers):03}-{name}"
        path.mkdir(parents=True)
        return path

    def remove(self) -> None:
        shutil.rmtree(self.root)
