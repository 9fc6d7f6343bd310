"""A marker is written only when the tree that it vouches for is durable."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.engine.publishing import exports
from tests.support.mirror import Mirror, export, publication, remote, repository
from tests.support.upstream import upstream


@pytest.mark.parametrize("whole", [True, False])
def test_the_tree_is_flushed_before_its_marker_is_written(
    whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, bool]] = []

    def flush(tree: str) -> None:
        seen.append(
            ((Path(tree) / "simple" / "index.html").exists(), Path(f"{tree}.json").exists())
        )

    monkeypatch.setattr(exports, "syncfs", flush if whole else None)
    monkeypatch.setattr(exports, "flush_files", lambda files, root: flush(root))
    with upstream() as index:
        index.release("alpha", "1.0")
        site = Mirror(tmp_path, remote(index.url), repository(), publication(more=export("out")))
        site.applied()
        index.release("alpha", "2.0")
        site.applied()
    assert seen == [(True, False)] * 3, "the first tree, its copy, and the second one"
    assert sorted(path.name for path in (tmp_path / ".out.export").iterdir()) == [
        "a",
        "a.json",
        "b",
        "b.json",
    ]
