"""Manifests as commands read them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from reconciler.manifest import read as read_manifests
from reconciler.model import DesiredState
from reconciler.plugin import Registry


def read(paths: Sequence[str], registry: Registry | None = None) -> DesiredState:
    """What the manifests declare. Raises ManifestFaults."""
    return read_manifests(paths, registry or Registry(), stdin=sys.stdin.buffer.read)


def folders(paths: Sequence[str]) -> list[Path]:
    """Paths that lie on disk."""
    return [Path(path) for path in paths if path != "-"]
