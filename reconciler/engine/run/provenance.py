"""Provenance of a version: the git commit that its manifests come from."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

PATTERNS = ("*.yaml", "*.yml")


def git_commit(paths: Sequence[Path]) -> str | None:
    """Return the commit that the manifests come from, with `-dirty` when they differ from it.

    Returns None outside of git. Only manifests count: other uncommitted files are ignored.
    """
    folder = next((path if path.is_dir() else path.parent for path in paths if path.exists()), None)
    if folder is None:
        return None
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None
    changed = _git(folder, "status", "--porcelain", "--", *PATTERNS)
    return f"{commit}-dirty" if changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
