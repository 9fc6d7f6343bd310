"""Mirrors of a publication: bandersnatch, and another reconciler, ask for what changed alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from reconciler.plugin.registry import Registry
from reconciler.plugin.testing.publication_server import served_publications
from tests.support.clients import isolated, program
from tests.support.faulty import running
from tests.support.mirror import Mirror, publication, remote, repository, resource
from tests.support.mirrored_index import NEWEST, WHEELS, MirroredIndex
from tests.support.wheels import build_wheel

# bandersnatch keeps a file under the path of its URL, which has to begin so
FOR_BANDERSNATCH = resource("Publication", "files", "repository: team\npath: packages/team")
SETTINGS = """\
[mirror]
directory = {folder}
master = {url}packages/team
allow-non-https = true
api-method = simple
json = true
workers = 2
timeout = 10
hash-index = false
"""


def test_bandersnatch_and_another_reconciler_follow_a_publication(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(lambda _: None) as server:
        index = MirroredIndex(tmp_path / "ours", server, FOR_BANDERSNATCH)
        with served_publications(index.mirror.home, Registry()) as url:
            theirs = Bandersnatch(tmp_path / "theirs", url)
            other = Mirror(
                tmp_path / "other", remote(f"{url}team/simple/"), repository(), publication()
            )

            assert "3 packages to sync" in theirs.follow()
            assert theirs.file(NEWEST).read_bytes() == WHEELS[NEWEST].content
            assert requested(other, caplog) == ["", "app/", "dep/", "proven/"]
            assert NEWEST in other.filenames()

            index.says("dep", build_wheel("dep", "2"), build_wheel("dep", "3"))
            index.apply()
            said = theirs.follow()
            assert "1 packages to sync" in said
            assert "Fetching metadata for package: dep " in said
            assert requested(other, caplog) == ["", "dep/"]
            assert "dep-3-py3-none-any.whl" in other.filenames()
            assert requested(other, caplog) == [""]


class Bandersnatch:
    """A mirror that the real bandersnatch makes."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir()
        self._web = folder / "web"
        self._folder = folder
        (folder / "settings").write_text(SETTINGS.format(folder=folder, url=url), encoding="utf-8")

    def follow(self) -> str:
        """Mirror once more; return what it says."""
        words = [program("bandersnatch"), "-c", str(self._folder / "settings"), "mirror"]
        done = subprocess.run(
            words, env=isolated(self._folder), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def file(self, name: str) -> Path:
        [path] = self._web.rglob(name)
        return path


def requested(mirror: Mirror, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Apply; return the pages that were asked for, below the list of projects."""
    caplog.clear()
    done = mirror.apply("-vv")
    assert done.code == 0, done.err
    return sorted(re.findall(r"GET \S+/team/simple/(\S*): ", caplog.text))
