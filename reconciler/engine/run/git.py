"""Questions to git about a work tree; nothing that lies in the work tree runs a program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_SAFE = ("-c", "safe.bareRepository=explicit", "-c", "core.fsmonitor=false")


def ask_git(folder: Path, *arguments: str, trusted: bool = False) -> str | None:
    """Return the answer of git in a folder; None where it cannot be run, or refuses.

    It is not run where it would find no repository. `trusted`: it answers also where the work tree
    belongs to another user.
    """
    if not _may_be_tracked(folder):
        return None
    own = ("-c", "safe.directory=*") if trusted else ()
    try:
        result = subprocess.run(
            ["git", *_SAFE, *own, "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _may_be_tracked(folder: Path) -> bool:
    """Return False if no folder up to the root holds `.git`; bare repositories are not taken."""
    here = folder.resolve()
    return "GIT_DIR" in os.environ or any(
        os.path.lexists(place / ".git") for place in (here, *here.parents)
    )
