"""Provenance of a version: the git commit that its manifests come from, and who applied it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.engine.run.git import ask_git
from reconciler.redaction import sanitize

LONGEST_NAME = 200  # characters of a principal
PATTERNS = ("*.yaml", "*.yml")


def git_commit(paths: Sequence[Path]) -> str | None:
    """Return the commit that the manifests come from, with `-dirty` when they differ from it.

    Returns None outside of git. Only manifests count: other uncommitted files are ignored.
    """
    folder = next((path if path.is_dir() else path.parent for path in paths if path.exists()), None)
    if folder is None:
        return None
    commit = ask_git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None
    changed = ask_git(folder, "status", "--porcelain", "--", *PATTERNS)
    return f"{commit}-dirty" if changed else commit


ACTORS = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID", "CI_COMMIT_AUTHOR")


def author(paths: Sequence[Path], environment: Mapping[str, str]) -> str | None:
    """Return who is behind an apply: the actor of a CI system, else the author of the commit.

    None where neither is known, or the manifests differ from the commit.
    """
    actor = next((environment[name] for name in ACTORS if environment.get(name)), None)
    if actor is not None:
        return sanitize(actor, LONGEST_NAME)
    commit = git_commit(paths)
    if commit is None or commit.endswith("-dirty"):
        return None
    folder = next((path if path.is_dir() else path.parent for path in paths if path.exists()), None)
    name = ask_git(folder, "log", "-1", "--format=%an <%ae>") if folder is not None else None
    return sanitize(name, LONGEST_NAME) if name else None
