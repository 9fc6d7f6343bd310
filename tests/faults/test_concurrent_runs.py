"""Two runs at once on one state, dead owners, and content that moves between plan and flip."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.engine import Checkpoint, listen
from reconciler.engine.run import checkpoints
from reconciler.model import Artifact, Digest, Unit, identify
from tests.support.databases import change
from tests.support.driver import killed_at, other_run
from tests.support.mirror import Mirror, export, publication, remote, repository
from tests.support.soundness import check_sound
from tests.support.upstream import Upstream, upstream

FIRST = "alpha-1.0-py3-none-any.whl"
UPLOADED = "alpha-0.9-py3-none-any.whl"


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", "1.0", "1.1")
        served.release("beta", "1.0")
        yield served


@pytest.fixture
def site(index: Upstream, tmp_path: Path) -> Mirror:
    return Mirror(tmp_path, remote(index.url), repository(), publication(more=export("public")))


@pytest.fixture(autouse=True)
def _nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_listeners", [])


def once_at(step: Checkpoint, act: Callable[[], None], *, times: int = 1) -> None:
    """Run `act` in the middle of an apply of this process, at the first passings of a step."""
    left = [act] * times

    def reached(passed: Checkpoint) -> None:
        if passed == step and left:
            left.pop()()

    listen(reached)


@pytest.mark.parametrize(
    "step", [Checkpoint.LEASE_TAKEN, Checkpoint.BYTES_WRITTEN, Checkpoint.BEFORE_FLIP]
)
def test_of_two_runs_one_works_and_the_other_says_who_does(
    step: Checkpoint, site: Mirror, tmp_path: Path
) -> None:
    log, codes = tmp_path / "log", []
    once_at(step, lambda: codes.append(other_run(site.words("apply"), log)))
    site.applied()
    assert codes == [1]
    assert f"the lease `repository/team` is held by process {os.getpid()}" in log.read_text()
    assert site.version()[0] == 1
    assert not site.pending()
    check_sound(site.home, tmp_path / "public")


@pytest.mark.parametrize(
    "step", [Checkpoint.PAGE_RENDERED, Checkpoint.PUBLICATION_COMPLETE, Checkpoint.POINTER_SET]
)
def test_a_publication_is_worked_on_by_one_run_at_a_time(
    step: Checkpoint, site: Mirror, tmp_path: Path
) -> None:
    log, codes = tmp_path / "log", []
    once_at(step, lambda: codes.append(other_run(site.words("apply"), log)))
    site.applied()
    assert codes == [1]
    assert f"the lease `publication/team` is held by process {os.getpid()}" in log.read_text()
    assert not site.pending()
    check_sound(site.home, tmp_path / "public")


def test_what_another_run_has_published_meanwhile_does_not_go_back(
    index: Upstream, tmp_path: Path
) -> None:
    names = ("ahead", "team")
    site = Mirror(
        tmp_path,
        remote(index.url),
        *(repository(name) for name in names),
        *(publication(name) for name in names),
    )
    site.applied()

    def another_run() -> (
        None
    ):  # comes to `team` before this one, which already knows what it wants to serve there
        index.release("alpha", "1.3")
        assert other_run(site.words("apply"), tmp_path / "log") == 1

    index.release("alpha", "1.2")
    once_at(Checkpoint.POINTER_SET, another_run)
    site.applied()
    assert site.version()[0] == 3
    assert site.get("publication", "team")["status"]["version"] == 3


@pytest.mark.parametrize(
    "step", [Checkpoint.LEASE_TAKEN, Checkpoint.BEFORE_FLIP, Checkpoint.PUBLICATION_COMPLETE]
)
def test_the_lease_of_a_dead_run_is_taken_over(
    step: Checkpoint, site: Mirror, tmp_path: Path
) -> None:
    killed_at(step, 1, site.words("apply"), log=tmp_path / "log")
    site.applied()
    assert not site.pending()


def upload(site: Mirror, index: Upstream, group: str = "alpha") -> None:
    """What an upload would do: a unit of its own in a group that the run is about to change,
    without a lease.
    """
    metadata = {"name": group, "version": "0.9", "packageType": "wheel"}
    body = index.sent(FIRST)
    unit = Unit(
        "python.distribution",
        UPLOADED,
        metadata,
        [Artifact(UPLOADED, Digest.of(body).hex, len(body))],
    )
    with site.home.database(read_only=False) as database:
        writer = database.writer()
        change(
            writer,
            writer.actual_state().repositories["team"].id,
            joins=[identify(unit, group)],
            source="upload",
        )


def test_content_that_moved_before_the_flip_is_planned_again(index: Upstream, site: Mirror) -> None:
    once_at(Checkpoint.BEFORE_FLIP, lambda: upload(site, index))
    site.applied()
    assert site.version()[0] == 2
    assert UPLOADED in site.filenames()
    assert len(site.filenames()) == 2, "the name is the upload's from now on"
    assert index.downloads() == dict.fromkeys(index.downloads(), 1)
    assert not site.pending()
    check_sound(site.home)


def test_a_repository_that_moves_all_the_time_is_given_up_with_a_reason(
    index: Upstream, site: Mirror
) -> None:
    numbers = iter(range(10))

    def another() -> None:
        body = index.sent(FIRST)
        unit = Unit(
            "python.distribution",
            f"alpha-0.{next(numbers)}-py3-none-any.whl",
            {"name": "alpha", "version": "0.9", "packageType": "wheel"},
            [Artifact(UPLOADED, Digest.of(body).hex, len(body))],
        )
        with site.home.database(read_only=False) as database:
            writer = database.writer()
            change(
                writer,
                writer.actual_state().repositories["team"].id,
                joins=[identify(unit, "alpha")],
                source="remote:theirs",
            )

    once_at(Checkpoint.BEFORE_FLIP, another, times=10)
    done = site.apply()
    assert done.code == 1
    assert "changed since they were planned: `alpha`" in done.out


def test_bytes_that_two_repositories_want_are_downloaded_once(
    index: Upstream, tmp_path: Path
) -> None:
    names = ("one", "two", "three")
    site = Mirror(
        tmp_path,
        remote(index.url),
        *(repository(name) for name in names),
        *(publication(name) for name in names),
    )
    site.applied()
    assert index.downloads() == dict.fromkeys(index.downloads(), 1)
    assert len({site.version(name)[1] for name in names}) == 1
