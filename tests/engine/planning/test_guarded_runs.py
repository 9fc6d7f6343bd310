"""The guards through the command line: a refused repository is untouched, others go on, and the
message names the setting and the flag.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mirror import Mirror, export, publication, remote, repository
from tests.support.upstream import Upstream, upstream

VERSIONS = [f"1.{number}" for number in range(10)]


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", *VERSIONS)
        served.release("beta", "1.0", "1.1")
        yield served


def a_site(index: Upstream, folder: Path, guard: str = "") -> Mirror:
    """`team` holds twelve units, `other` two."""
    more = f"guard: {{{guard}}}" if guard else ""
    other = repository("other", sources=["name: up, include: [beta]"])
    return Mirror(
        folder,
        remote(index.url),
        repository(more=more),
        other,
        publication(more=export("public")),
        publication("other"),
    )


def withdraw(index: Upstream, count: int) -> None:
    for version in VERSIONS[:count]:
        index.withdraw("alpha", version)


@pytest.mark.parametrize(
    ("guard", "removals", "refused"),
    [
        ("", 3, False),
        ("", 4, True),
        ("maxRemovals: 50%", 6, False),
        ("maxRemovals: 50%", 7, True),
        ("maxRemovals: 2", 2, False),
        ("maxRemovals: 2", 3, True),
        ("maxRemovals: 0", 1, True),
        ("maxRemovals: 100%", 10, False),
    ],
)
def test_more_removals_than_the_guard_lets_pass_are_refused(
    guard: str, removals: int, refused: bool, index: Upstream, tmp_path: Path
) -> None:
    site = a_site(index, tmp_path, guard)
    site.applied()
    withdraw(index, removals)
    plan = site.plan()
    assert plan.code == int(refused)
    done = site.apply()
    assert done.code == int(refused)
    assert ("`guard.maxRemovals`" in done.out and "--allow-destroy" in done.out) is refused
    assert site.version()[0] == (1 if refused else 2)


def test_a_refused_repository_is_untouched_and_others_go_on(
    index: Upstream, tmp_path: Path
) -> None:
    site = a_site(index, tmp_path)
    site.applied()
    before = site.version(), site.filenames(), site.get("publication", "team")
    withdraw(index, 6)
    index.release("alpha", "2.0")
    index.release("beta", "1.2")
    done = site.apply()
    assert done.code == 1
    assert "publication/team: blocked: repository/team was refused" in done.out
    after = site.version(), site.filenames(), site.get("publication", "team")
    assert [*before[:2], before[2]["status"]["digest"]] == [
        *after[:2],
        after[2]["status"]["digest"],
    ]
    assert site.version("other")[0] == 2
    assert site.get("publication", "other")["status"]["version"] == 2
    assert "alpha-2.0-py3-none-any.whl" not in index.downloads()


def test_what_was_meant_passes_with_the_flag(index: Upstream, tmp_path: Path) -> None:
    site = a_site(index, tmp_path)
    site.applied()
    withdraw(index, 6)
    assert site.apply().code == 1
    site.applied("--allow-destroy")
    assert len(site.filenames()) == 6
    assert not site.pending()


def test_down_to_empty_is_refused_however_small(index: Upstream, tmp_path: Path) -> None:
    site = a_site(index, tmp_path)
    site.applied()
    site.declare(
        remote(index.url),
        repository("other", sources=["name: up, include: [beta], exclude: [beta]"]),
        publication("other"),
    )
    done = site.apply()
    assert done.code == 1
    assert "repository `other` would lose all of its 2 distributions" in done.out
    assert len(site.filenames("other")) == 2
    site.applied("--allow-destroy")
    assert site.filenames("other") == []


def test_a_repository_that_must_not_be_destroyed_is_not(index: Upstream, tmp_path: Path) -> None:
    site = a_site(index, tmp_path, "preventDestroy: true, maxRemovals: 100%")
    site.applied()
    index.drop("alpha")
    index.drop("beta")
    done = site.apply("--allow-destroy")
    assert done.code == 1
    assert "`guard.preventDestroy` forbids that" in done.out
    assert len(site.filenames()) == 12
    site.declare(remote(index.url))
    done = site.apply("--prune", "--allow-destroy")
    assert done.code == 1
    assert "`guard.preventDestroy` forbids that" in done.out
    assert len(site.filenames()) == 12


def test_what_no_manifest_declares_is_named_and_stays(index: Upstream, tmp_path: Path) -> None:
    site = a_site(index, tmp_path)
    site.applied()
    site.declare(
        remote(index.url),
        repository("other", sources=["name: up, include: [beta]"]),
        publication("other"),
    )
    assert (
        "? Repository team   no manifest declares it any more; `--prune` removes it"
        in site.applied()
    )
    assert len(site.filenames()) == 12
    assert (tmp_path / "public" / "simple" / "index.html").exists()


def test_pruning_takes_publications_and_asks_for_the_flag_for_repositories(
    index: Upstream, tmp_path: Path
) -> None:
    site = a_site(index, tmp_path)
    site.applied()
    site.declare(
        remote(index.url),
        repository("other", sources=["name: up, include: [beta]"]),
        publication("other"),
    )
    done = site.apply("--prune")
    assert done.code == 1
    assert "repository `team` would be removed with all its versions" in done.out
    assert "--allow-destroy" in done.out
    assert len(site.filenames()) == 12
    site.applied("--prune", "--allow-destroy")
    assert not site.pending()
    with site.home.database() as database:
        assert list(database.reader().actual_state().repositories) == ["other"]


def test_what_a_refusal_blocks_is_not_recorded_as_done(index: Upstream, tmp_path: Path) -> None:
    """A publication of a refused repository keeps its path until it really moves, and the plan goes
    on saying so.
    """
    site = a_site(index, tmp_path)
    site.applied()
    withdraw(index, 8)
    moved = publication(more=export("public")).replace("path: team", "path: elsewhere")
    other = repository("other", sources=["name: up, include: [beta]"])
    site.declare(remote(index.url), repository(), other, moved, publication("other"))
    for _ in range(2):
        done = site.apply()
        assert done.code == 1
        assert "publication/team: blocked: repository/team was refused" in done.out
        assert site.get("publication", "team")["status"]["path"] == "team"
    site.applied("--allow-destroy")
    assert site.get("publication", "team")["status"]["path"] == "elsewhere"
