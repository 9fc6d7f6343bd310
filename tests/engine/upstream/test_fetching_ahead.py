"""`reconciler fetch`: what was left upstream comes ahead of time, verified, each file on its own.

Kind: a store that is filled by what clients happen to ask for, so that an outage upstream is one of
ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli import settings
from reconciler.cli.main import run as run_command
from reconciler.engine.upstream.fetching_ahead import FetchReport
from reconciler.errors import UsageFault
from reconciler.manifest import read_recorded
from reconciler.model import Digest, Kind, Ref
from tests.support.faulty import corrupted, status
from tests.support.rehearsal import Rehearsal, publication, rehearsal, repository, rules, source

LATER = "policy: on-demand"
TEAM = Ref(Kind.REPOSITORY, "team")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Rehearsal]:
    with rehearsal(tmp_path) as site:
        site.says("a", site.file("one"), site.file("two"))
        site.says("b", site.file("three"))
        site.declare(site.remote(more=LATER), repository(), publication())
        site.applied()
        yield site


def fetch(site: Rehearsal, *names: str, ref: Ref = TEAM) -> FetchReport:
    async def run() -> FetchReport:
        async with site.engine(writes=True) as engine:
            return await engine.fetch(
                ref, names, lambda actual: read_recorded(actual, site.registry, ()).desired
            )

    return asyncio.run(run())


def test_everything_comes_once_and_a_second_run_asks_for_nothing(site: Rehearsal) -> None:
    first = fetch(site)
    assert (first.fetched, first.present, first.size, first.failed) == (3, 0, 110, [])
    assert site.downloads() == ["/one", "/three", "/two"]
    second = fetch(site)
    assert (second.fetched, second.present) == (0, 3)
    assert len(site.downloads()) == 3
    assert site.number() == 1
    assert site.settled()


def test_a_dry_run_counts_what_is_missing_and_asks_no_host(
    site: Rehearsal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "registry", lambda: site.registry)
    assert run_command(["fetch", "team", "--dry-run", "--home", str(site.home.root)]) == 0
    assert "Fetch: 3 files (110 B) missing, 0 there already." in capsys.readouterr().out
    assert site.downloads() == []


@pytest.mark.parametrize("policy", ["on-demand", "streamed"])
def test_a_plan_says_what_is_left_upstream_apart_from_what_it_downloads(
    site: Rehearsal, policy: str
) -> None:
    """Kind: 0 bytes to download, of a plan that leaves gigabytes to the first client."""
    site.says("c", site.file("four"), site.file("five", size=False))
    site.declare(site.remote(more=f"policy: {policy}"), repository(), publication())
    assert "+2 lines, 40 B left upstream (size unknown: 1 file)" in site.text()
    counts = site.content().counts
    assert (counts.download, counts.unsized, counts.upstream) == (0, 0, 40)
    site.applied()
    assert site.settled()
    assert "left upstream" not in site.text()


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        (["B"], ["/three"]),
        (["t*"], ["/three", "/two"]),
        (["one", "b"], ["/one", "/three"]),
    ],
)
def test_names_are_globs_of_groups_and_files(
    site: Rehearsal, names: list[str], paths: list[str]
) -> None:
    assert fetch(site, *names).fetched == len(paths)
    assert site.downloads() == paths


def test_a_name_of_nothing_is_an_error(site: Rehearsal) -> None:
    with pytest.raises(UsageFault, match="no file of repository/team matches `seven`"):
        fetch(site, "seven")
    with pytest.raises(UsageFault, match="there is no repository/other"):
        fetch(site, ref=Ref(Kind.REPOSITORY, "other"))


def test_one_that_fails_is_named_and_the_next_run_asks_for_it_alone(site: Rehearsal) -> None:
    site.server.on("/two", corrupted(b"two" * 10))
    report = fetch(site)
    [(file, reason)] = report.failed
    assert (file.group, file.path, report.fetched) == ("a", "two", 2)
    assert "/two`" in reason
    assert not site.has(b"two" * 10)
    site.file("two")
    site.server.requests.clear()
    again = fetch(site)
    assert (again.fetched, again.present, again.failed) == (1, 2, [])
    assert site.downloads() == ["/two"]


def test_bytes_of_a_run_that_died_before_it_recorded_them_are_not_asked_for_again(
    site: Rehearsal,
) -> None:
    data = b"one" * 10
    site.home.store().put(data, Digest.of(data))
    assert fetch(site).fetched == 3
    assert "/one" not in site.downloads()


def test_of_a_publication_only_what_it_shows_comes(site: Rehearsal) -> None:
    site.declare(site.remote(more=LATER), repository(), publication(), rules("deny: [two]"))
    site.applied()
    assert fetch(site, ref=Ref(Kind.PUBLICATION, "team")).fetched == 2
    assert site.downloads() == ["/one", "/three"]


def test_another_source_of_the_repository_gives_what_the_first_does_not(site: Rehearsal) -> None:
    site.script.upstream("other").groups["x"] = [site.bare("x"), site.file("mirror", b"one" * 10)]
    both = [site.remote(more=LATER), site.remote("other", more=LATER)]
    site.declare(*both, repository("team", source("up"), source("other")), publication())
    site.applied()
    site.server.on("/one", status(404))
    site.server.on("/mirror", status(404))
    assert fetch(site, "one").failed
    site.file("mirror", b"one" * 10)
    assert not fetch(site, "one").failed


def test_the_command_names_what_failed_and_exits_with_1(
    site: Rehearsal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "registry", lambda: site.registry)
    site.server.on("/two", status(404))
    command = ["fetch", "team", "--home", str(site.home.root)]
    assert run_command(command) == 1
    written = capsys.readouterr()
    assert "repository/team: `two` cannot be fetched: " in written.out
    assert "Fetch: 2 files (80 B) fetched, 0 there already, 1 failed." in written.out
    site.file("two")
    assert run_command([*command, "-o", "json"]) == 0
    assert '"fetched": 1' in capsys.readouterr().out
