"""A row: arriving from bandersnatch, with the tree that bandersnatch itself made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bandersnatch import mirrored, upstream
from tests.support.mirror import Mirror, call
from tests.support.wheels import build_sdist, build_wheel

FILES = [
    build_wheel("foo", "1.0"),
    build_sdist("foo", "1.0"),
    build_wheel("foo", "1.1"),
    build_wheel("foo", "2.0rc1"),
    build_wheel("foo", "3.0"),
    build_wheel("bar", "1.0"),
    build_wheel("bar", "2.0"),
    build_wheel("bar", "2.1.dev1"),
    build_wheel("qux", "1.0"),
]
PLUGINS = ["allowlist_project", "allowlist_release", "blocklist_release", "exclude_platform"]


def test_a_bandersnatch_mirror_is_taken_over_without_downloading_a_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    site = Mirror(tmp_path)
    monkeypatch.setenv("RECONCILER_HOME", str(site.home.root))
    with upstream(FILES) as index:
        configuration = mirrored(
            tmp_path, index.url, ["foo<3", "bar"], plugins=PLUGINS, blocked=["bar<2"]
        )
        chosen = sorted(path.rpartition("/")[2] for path in index.files)
        assert len(chosen) == 6
        index.asked.clear()

        def succeed(*words: str) -> str:
            done = call(list(words))
            assert done.code == 0, done.out + done.err
            return done.out

        told = succeed("init", "site", "--from", str(configuration))
        [once] = [line for line in told.splitlines() if "apply site/take-over" in line]
        succeed(*once.partition("#")[0].split()[1:])
        assert index.asked == []

        assert "version 0 -> 1   +6 distributions\n" in succeed("apply", "site/manifests")
        assert site.filenames("mirror") == chosen
        assert index.files == []  # the bytes were there
        assert {path for path in index.asked if "simple" in path} == {
            "/simple/foo/",
            "/simple/bar/",
        }

        succeed("apply", "site/manifests", "--prune", "--allow-destroy")
        assert "all sound" in succeed("verify")
        assert "No changes: " in succeed("plan", "site/manifests")
