"""At most one version a minute, whatever number of workers fetch."""

from __future__ import annotations

import fcntl
from pathlib import Path

from reconciler.engine.pull_through.version_moments import VersionMoments


def test_one_worker_makes_the_version_of_each_minute(tmp_path: Path) -> None:
    now = 1_000_000.0
    first, second = (VersionMoments(tmp_path / "pulling", 60, lambda: now) for _ in range(2))
    assert first.left("team") == 60
    assert first.take("team")
    assert not second.take("team")
    assert second.take("other"), "each repository has moments of its own"
    now += 45
    assert (first.left("team"), second.left("team")) == (15, 15)
    assert not first.take("team")
    now += 16
    assert second.take("team")
    assert not first.take("team")


def test_a_worker_that_meets_another_leaves_the_version_to_it(tmp_path: Path) -> None:
    now = 1_000_000.0
    moments = VersionMoments(tmp_path, 60, lambda: now)
    assert moments.take("team")
    now += 61
    [file] = tmp_path.iterdir()
    with file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not moments.take("team")
    assert moments.take("team")
