"""MemoryStore: the conformance suite."""

from __future__ import annotations

from pathlib import Path

from reconciler.store import MemoryStore, Store
from tests.conformance.store_suite import StoreConformance


class TestMemoryStore(StoreConformance):
    def make(self, folder: Path) -> Store:
        return MemoryStore()
