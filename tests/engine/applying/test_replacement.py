"""What replaces something stands before what it replaces goes: paths, export directories, and what
an outcome says of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faulty import closed_port, status
from tests.support.mirror import Mirror, export, publication, remote, repository, resource
from tests.support.upstream import Upstream, upstream


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", "1.0", "1.1")
        served.release("beta", "1.0")
        yield served


def shown(name: str, path: str, more: str = "", *, of: str = "team") -> str:
    return resource("Publication", name, f"repository: {of}\npath: {path}\n{more}")


def served(site: Mirror) -> list[tuple[str, str]]:
    """(path, publication) of everything that is served."""
    with site.home.database() as database:
        return [(publication.path, publication.name) for publication in database.reader().served()]


def a_renaming(index: Upstream, folder: Path, exports: str) -> Mirror:
    """`old` is served and exported; the manifest says `new` instead."""
    site = Mirror(folder, remote(index.url), repository(), shown("old", "team", exports))
    site.applied()
    site.declare(remote(index.url), repository(), shown("new", "team", exports))
    return site


@pytest.mark.parametrize("relative", [False, True])
def test_what_is_replaced_stays_while_its_replacement_is_blocked(
    relative: bool, index: Upstream, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    site = a_renaming(index, tmp_path, export("out" if relative else str(out)))
    index.drop("alpha")
    index.drop("beta")
    done = site.apply("--prune")
    assert done.code == 1
    assert "publication/old: blocked: publication/new did not succeed" in done.out
    assert served(site) == [("team", "old")]
    assert (out / "simple" / "index.html").exists()
    assert "removed" in site.applied("--prune", "--allow-destroy")
    assert served(site) == [("team", "new")]
    assert (out / "simple" / "index.html").exists()
    assert not site.pending()


def test_a_replacement_takes_path_and_directory_over(index: Upstream, tmp_path: Path) -> None:
    site = a_renaming(index, tmp_path, export("out"))
    assert "left where it is" not in site.applied("--prune")
    assert served(site) == [("team", "new")]
    assert (tmp_path / "out" / "simple" / "index.html").exists()
    assert not site.pending()


def test_a_publication_that_cannot_move_to_a_freed_path_leaves_it_to_who_has_it(
    index: Upstream, tmp_path: Path
) -> None:
    site = Mirror(
        tmp_path, remote(index.url), repository(), shown("old", "team"), shown("new", "elsewhere")
    )
    site.applied()
    (tmp_path / "real").mkdir()
    site.declare(remote(index.url), repository(), shown("new", "team", export("real")))
    assert site.apply("--prune").code == 1
    assert served(site) == [("elsewhere", "new"), ("team", "old")]
    (tmp_path / "real").rmdir()
    site.applied("--prune")
    assert served(site) == [("team", "new")]
    assert not site.pending()


def test_the_repository_of_what_stays_stays(index: Upstream, tmp_path: Path) -> None:
    other = repository("other", sources=["name: up, include: [beta]"])
    site = Mirror(
        tmp_path, remote(index.url), repository(), other, shown("old", "team", of="other")
    )
    site.applied()
    index.drop("alpha")
    index.drop("beta")
    site.declare(
        remote(index.url), repository(more="guard: {preventDestroy: true}"), shown("new", "team")
    )
    done = site.apply("--prune", "--allow-destroy", "--format", "json")
    results = {outcome["resource"]: outcome["result"] for outcome in done.document["outcomes"]}
    assert results == {
        "repository/team": "failed",
        "publication/new": "blocked",
        "publication/old": "blocked",
        "repository/other": "blocked",
        "remote/up": "unchanged",
    }
    assert served(site) == [("team", "old")]


@pytest.mark.parametrize(
    ("before", "after"), [("team", "team"), ("team/simple", "team"), ("team", "team/simple")]
)
def test_a_path_that_is_still_served_is_refused_until_its_owner_is_pruned(
    before: str, after: str, index: Upstream, tmp_path: Path
) -> None:
    site = Mirror(tmp_path, remote(index.url), repository(), shown("old", before))
    site.applied()
    site.declare(remote(index.url), repository(), shown("new", after))
    done = site.apply()
    assert done.code == 1
    assert f"`/{before}/` is still served by publication/old" in done.out
    assert "`--prune` removes publication/old" in done.out
    assert served(site) == [(before, "old")]
    site.applied("--prune")
    assert served(site) == [(after, "new")]


def test_a_publication_goes_back_to_a_version_while_the_next_one_is_refused(
    index: Upstream, tmp_path: Path
) -> None:
    site = Mirror(tmp_path, remote(index.url), repository(), publication())
    site.applied()
    index.release("alpha", "2.0")
    site.applied()
    index.drop("alpha")
    index.drop("beta")
    site.declare(remote(index.url), repository(), publication(more="version: 1"))
    done = site.apply()
    assert done.code == 1
    assert site.get("publication", "team")["status"]["version"] == 1
    assert site.get("publication", "team")["spec"]["version"] == 1


def test_an_outcome_says_what_was_committed(index: Upstream, tmp_path: Path) -> None:
    site = Mirror(tmp_path, remote(index.url), repository(), publication())
    site.applied()
    index.release("alpha", "2.0", "3.0")
    index.withdraw("alpha", "1.0")
    index.on(index.file_path("alpha-2.0-py3-none-any.whl"), status(503))
    done = site.apply("--format", "json")
    assert done.code == 1
    message = next(
        load["message"]
        for load in json.loads(done.out)["outcomes"]
        if load["resource"] == "repository/team"
    )
    assert ", +1 distribution\n" in message


def test_a_publication_that_only_moved_is_done(index: Upstream, tmp_path: Path) -> None:
    site = Mirror(tmp_path, remote(index.url), repository(), shown("team", "here"))
    site.applied()
    site.declare(remote(index.url), repository(), shown("team", "there"))
    results = {
        load["resource"]: load["result"]
        for load in json.loads(site.applied("--format", "json"))["outcomes"]
    }
    unchanged = {"repository/team": "unchanged", "remote/up": "unchanged"}
    assert results == {"publication/team": "done", **unchanged}
    assert served(site) == [("there", "team")]


@pytest.mark.parametrize("relative", [False, True])
def test_an_export_goes_with_its_declaration(
    relative: bool, index: Upstream, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    site = Mirror(
        tmp_path,
        remote(index.url),
        repository(),
        publication(more=export("out" if relative else str(out))),
    )
    site.applied()
    assert out.is_symlink()
    site.declare(remote(index.url), repository(), publication(more=export("elsewhere")))
    assert f"no longer exported to {out}" in site.applied()
    assert not out.is_symlink()
    assert not (tmp_path / ".out.export").exists()
    assert (tmp_path / "elsewhere" / "simple" / "index.html").exists()
    assert not site.pending()


def test_an_export_that_another_publication_has_now_stays(index: Upstream, tmp_path: Path) -> None:
    site = Mirror(
        tmp_path, remote(index.url), repository(), shown("a", "a", export("out")), shown("b", "b")
    )
    site.applied()
    site.declare(remote(index.url), repository(), shown("a", "a"), shown("b", "b", export("out")))
    site.applied()
    assert (tmp_path / "out" / "simple" / "index.html").exists()
    assert not site.pending()


def test_pruning_forgets_absolute_exports_and_names_the_others(
    index: Upstream, tmp_path: Path
) -> None:
    exports = (
        f"exports: [{{directory: {{path: public}}}}, {{directory: {{path: {tmp_path / 'out'}}}}}]"
    )
    site = Mirror(tmp_path, remote(index.url), repository(), publication(more=exports))
    site.applied()
    site.declare(remote(index.url), repository())
    assert "publication/team: removed, its export `public` is left where it is" in site.applied(
        "--prune"
    )
    assert not (tmp_path / "out").is_symlink()
    assert (tmp_path / "public").is_symlink()


def test_a_refused_prune_takes_nothing_down(tmp_path: Path) -> None:
    """An empty checkout with `--prune`: where the guard keeps the repository, what serves and feeds
    it stays too.
    """
    with upstream() as index:
        index.release("alpha", "1.0")
        site = Mirror(tmp_path, remote(index.url), repository(), publication())
        site.applied()
        site.declare("")
        done = site.apply("--prune")
        assert done.code == 1
        assert "publication/team stays: nothing at all is declared here" in done.out
        assert site.get("publication", "team")["status"]["version"] == 1
        site.applied("--prune", "--allow-destroy")
        with site.home.database() as database:
            assert database.reader().served() == []


def test_a_repository_that_never_had_content_is_not_published_when_it_fails(tmp_path: Path) -> None:
    """An index that is empty because its first sync failed would tell pip that nothing exists."""
    site = Mirror(
        tmp_path, remote(f"http://127.0.0.1:{closed_port()}/"), repository(), publication()
    )
    done = site.apply()
    assert done.code == 1
    assert "publication/team: blocked: repository/team has no content yet" in done.out
    with site.home.database() as database:
        assert database.reader().served() == []
