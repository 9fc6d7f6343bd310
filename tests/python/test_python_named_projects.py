"""Projects that a source names without a glob are asked for, whatever the index's list says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mirror import Mirror, publication, remote, repository
from tests.support.upstream import Upstream, upstream


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", "1.0")
        served.release("beta", "1.0")
        yield served


@pytest.mark.parametrize("include", ["alpha, beta", '"b*", alpha'])
def test_a_named_project_stays_whether_a_list_or_its_page_says_that_it_is_gone(
    index: Upstream, tmp_path: Path, include: str
) -> None:
    """With a glob beside it the list of projects decides what else is meant."""
    site = Mirror(
        tmp_path,
        remote(index.url),
        repository(sources=[f"name: up, include: [{include}]"]),
        publication(),
    )
    site.applied()
    index.drop("alpha")
    index.release("beta", "7.0")
    done = site.apply()
    assert done.code == 1
    assert "remote:up: alpha: upstream took it away" in done.out
    assert "guard.namedProjects: allow" in done.out
    assert "alpha-1.0-py3-none-any.whl" in site.filenames()
    assert "beta-7.0-py3-none-any.whl" in site.filenames(), "other projects go on"
    site.applied("--allow-destroy")
    assert not any(name.startswith("alpha") for name in site.filenames())
    assert not site.pending()


@pytest.mark.parametrize("is_gone", [True, False], ids=["gone", "without files"])
def test_a_project_that_only_requirements_name_is_said_to_be_taken_away(
    index: Upstream, tmp_path: Path, is_gone: bool
) -> None:
    """Kind: an absence that is an error of its own is an absence all the same."""
    site = Mirror(
        tmp_path,
        remote(index.url),
        repository(sources=["name: up, requirements: [r.txt]"]),
        publication(),
    )
    (tmp_path / "r.txt").write_text("alpha==1.0\nbeta\n", encoding="utf-8")
    site.applied()
    if is_gone:
        index.drop("alpha")
    else:
        index.withdraw("alpha", "1.0")
    done = site.apply()
    assert done.code == 1
    assert "r.txt:1: `alpha==1.0`: the index has no" in done.out
    assert "upstream took it away, 1 unit of it is kept" in done.out
    assert "alpha-1.0-py3-none-any.whl" in site.filenames()
