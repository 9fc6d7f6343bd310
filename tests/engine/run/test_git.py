"""Provenance asks git only where git could find something."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.engine.run.git import ask_git


def test_git_is_run_only_within_a_work_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho asked\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.delenv("GIT_DIR", raising=False)
    tree = tmp_path / "tree" / "deep"
    tree.mkdir(parents=True)
    (tree.parent / ".git").touch()  # a file, as in a work tree of `git worktree`
    (tmp_path / "link").symlink_to(tree)
    places = {name: tmp_path / name for name in ("bin", "link", "tree", "tree/deep")}
    assert {name: ask_git(place, "log") for name, place in places.items()} == {
        "bin": None,
        "link": "asked",
        "tree": "asked",
        "tree/deep": "asked",
    }
    monkeypatch.setenv("GIT_DIR", str(tree.parent / ".git"))
    assert ask_git(places["bin"], "log") == "asked"
