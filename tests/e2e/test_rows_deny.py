"""A new global deny reaches everything that is served, in one plan, with real pip."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest

from tests.support.clients import PATIENCE, ended, pip_installs, served
from tests.support.mirror import Mirror, call, export, publication, remote, repository, resource
from tests.support.upstream import Upstream, upstream

DENY = resource("Filter", "house-rules", "type: python\nglobal: true\ndeny: [beta, 'alpha==1.0']")
NO_DRAFTS = resource("Filter", "no-drafts", "type: file\nglobal: true\ndeny: ['*.draft']")
VERSIONS = [f"1.{number}" for number in range(6)]


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as made:
        made.release("alpha", *VERSIONS)
        made.release("beta", *VERSIONS)
        yield made


def site_of(index: Upstream, folder: Path) -> list[str]:
    """A mirror, the same pinned and exported, one that keeps everything, and files that people
    send.
    """
    pinned = (
        publication("team", more="version: 1\n" + export("www"))
        .replace("name: team", "name: pinned", 1)
        .replace("path: team", "path: pinned")
    )
    sent = resource(
        "Repository", "reports", "type: file\nsources: [{upload: {}}]\nguard: {maxRemovals: 100%}"
    )
    shown = resource("Publication", "reports", "repository: reports\npath: reports")
    return [
        remote(index.url),
        repository(),
        repository("kept", more="sync: {mode: additive}"),
        sent,
        publication(),
        pinned,
        publication("kept"),
        shown,
    ]


def pip_finds(url: str, home: Path, requirement: str) -> bool:
    words = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--dest",
        str(home),
        "--index-url",
        f"{url}simple/",
        requirement,
    ]
    return ended(words, home)[0] == 0


def answer(url: str) -> int:
    try:
        with urlopen(url) as found:
            return int(found.status)
    except HTTPError as error:
        return error.code


def becomes(status: int, url: str) -> bool:
    """A server looks twice a second for what was published."""
    deadline = monotonic() + PATIENCE
    while answer(url) != status and monotonic() < deadline:
        sleep(0.05)
    return answer(url) == status


def files_of(plan: Any, name: str, which: str) -> list[str]:
    [change] = [
        change
        for change in plan["changes"]
        if (change["kind"], change["name"]) == ("Publication", name)
    ]
    return [one["key"] for one in change.get("withheld", {}).get(which, [])]


def test_a_deny_is_one_plan_for_everything_and_taking_it_back_is_another(
    index: Upstream, tmp_path: Path
) -> None:
    site = Mirror(tmp_path, *site_of(index, tmp_path))
    site.apply()  # makes the version that `pinned` names
    site.applied()
    at = ["--home", str(site.home.root)]
    for name in ("q1.draft", "q1.pdf"):
        (tmp_path / name).write_bytes(name.encode())
        assert (
            call(["upload", "reports", str(tmp_path / name), "--field", f"path={name}", *at]).code
            == 0
        )
    denied = sorted(
        [
            "alpha-1.0-py3-none-any.whl",
            *(f"beta-{version}-py3-none-any.whl" for version in VERSIONS),
        ]
    )

    site.declare(DENY, NO_DRAFTS, *site_of(index, tmp_path))
    refused = site.apply()
    assert refused.code == 1
    assert (
        "repository `team` would lose 7 of its 12 distributions (58%), more than"
        " `guard.maxRemovals` (30%)" in refused.out
    )
    for name in ("pinned", "kept"):
        assert (
            f"publication `{name}` would lose 7 of its 12 distributions (58%), more than"
            " `guard.maxRemovals` (30%)" in refused.out
        )
    plan = site.plan("--allow-destroy", "--format", "json").document
    assert files_of(plan, "pinned", "added") == files_of(plan, "kept", "added") == denied
    assert files_of(plan, "team", "added") == []
    assert plan["summary"]["contentRemoved"] == 7
    assert (
        '- beta 1.0                     wheel   withheld: denied by "beta" (house-rules.deny)'
        in site.plan("--allow-destroy").out
    )

    with served(site.home.root) as url:
        paths = ("team", "pinned", "kept")
        before = {name: _file_url(f"{url}{name}/simple/beta/") for name in paths}
        assert [answer(one) for one in before.values()] == [200, 200, 200]
        site.applied("--allow-destroy")
        assert all(becomes(404, one) for one in before.values())
        for name in paths:
            assert not pip_finds(f"{url}{name}/", tmp_path, "beta"), name
        assert not pip_finds(f"{url}pinned/", tmp_path, "alpha==1.0")
        assert pip_finds(f"{url}pinned/", tmp_path, "alpha==1.1")
        assert (answer(f"{url}reports/q1.pdf"), answer(f"{url}reports/q1.draft")) == (200, 404)
        assert "q1.pdf" in _manifest(url)
        assert "q1.draft" not in _manifest(url)
        assert not (tmp_path / "www" / "simple" / "beta").exists()
        status = site.get("publication", "kept")["status"]
        assert (status["withheld"], sorted(one["key"] for one in status["withheldUnits"])) == (
            7,
            denied,
        )
        assert status["withheldUnits"][-1]["reason"] == 'denied by "beta" (house-rules.deny)'
        assert not site.pending()
        sent = call(
            ["upload", "reports", str(tmp_path / "q1.draft"), "--field", "path=q2.draft", *at]
        )
        assert (sent.code, 'denied by "*.draft" (no-drafts.deny)' in sent.err) == (1, True)

        site.declare(*site_of(index, tmp_path))
        refused = site.plan("--prune")
        assert "guard: removing filter/house-rules (with filter/no-drafts) lets in" in refused.out
        words = ("--prune", "--allow-destroy")
        plan = site.plan("--format", "json", *words).document
        assert files_of(plan, "pinned", "released") == denied
        site.applied(*words)
        assert all(becomes(200, one) for one in (*before.values(), f"{url}reports/q1.draft"))
        pip_installs(f"{url}pinned/simple/", tmp_path, "beta==1.3")
        assert (tmp_path / "www" / "simple" / "beta").exists()
        assert "withheldUnits" not in site.get("publication", "kept")["status"]
    assert os.listdir(tmp_path / "pip")


def _manifest(url: str) -> str:
    with urlopen(f"{url}reports/PULP_MANIFEST") as found:
        body: bytes = found.read()
        return body.decode()


def _file_url(page: str) -> str:
    """The first file of a project's page."""
    with urlopen(page) as found:
        body: bytes = found.read()
    href = body.decode().partition('href="')[2].partition('"')[0].partition("#")[0]
    return urljoin(page, href)
