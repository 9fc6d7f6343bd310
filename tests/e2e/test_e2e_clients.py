"""Real clients install from what an apply made: served by us, and exported for any web server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Site
from tests.support.clients import pip_installs, poetry_installs, python_http_server, uv_installs
from tests.support.nginx import serving_tree

PACKAGES = ("alpha", "Beta-Gamma<1.1")


def complaints(said: str) -> list[str]:
    """Lines in which a client is not happy."""
    return [
        line
        for line in said.splitlines()
        if any(
            word in line.lower() for word in ("warn", "error", "deprecat", "could not", "insecure")
        )
    ]


def assert_installed(place: Path) -> None:
    """The newest alpha and the older beta-gamma, as upstream built them."""
    assert (place / "alpha.py").read_text(encoding="utf-8") == 'VERSION = "2.0"\n'
    assert (place / "beta_gamma.py").read_text(encoding="utf-8") == 'VERSION = "1.0"\n'


def test_pip_installs_from_the_served_index_without_a_warning(site: Site, tmp_path: Path) -> None:
    assert complaints(pip_installs(site.index, tmp_path, *PACKAGES)) == []
    assert_installed(tmp_path / "pip")


def test_two_spellings_of_a_project_are_one_to_pip(site: Site, tmp_path: Path) -> None:
    spellings = ("alpha", "BETA.gamma<1.1", "beta__Gamma")
    assert complaints(pip_installs(site.index, tmp_path, *spellings)) == []
    assert_installed(tmp_path / "pip")


def test_uv_installs_from_the_served_index_without_a_warning(site: Site, tmp_path: Path) -> None:
    assert complaints(uv_installs(site.index, tmp_path, *PACKAGES)) == []
    assert_installed(tmp_path / "uv")


def test_poetry_locks_and_installs_from_the_served_index_without_a_warning(
    site: Site, tmp_path: Path
) -> None:
    assert (
        complaints(poetry_installs(site.index, tmp_path, {"alpha": "", "beta-gamma": "<1.1"})) == []
    )
    [place] = (tmp_path / "poetry" / ".venv" / "lib").glob("python3*/site-packages")
    assert_installed(place)
    assert site.index.removesuffix("simple/") in (tmp_path / "poetry" / "poetry.lock").read_text(
        encoding="utf-8"
    )


def test_a_yanked_release_is_installed_only_when_pinned_and_its_reason_is_shown(
    site: Site, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=r"No matching distribution|No solution found"):
        uv_installs(site.index, tmp_path, "delta")
    assert 'broken "badly"' in pip_installs(site.index, tmp_path, "delta==1.0")


def test_pip_installs_from_the_exported_directory_behind_nginx(site: Site, tmp_path: Path) -> None:
    with serving_tree(site.exported, tmp_path / "nginx") as nginx:
        assert complaints(pip_installs(f"{nginx.url}/simple/", tmp_path, *PACKAGES)) == []
    assert_installed(tmp_path / "pip")


def test_uv_installs_from_the_exported_directory_behind_nginx(site: Site, tmp_path: Path) -> None:
    with serving_tree(site.exported, tmp_path / "nginx") as nginx:
        assert complaints(uv_installs(f"{nginx.url}/simple/", tmp_path, *PACKAGES)) == []
    assert_installed(tmp_path / "uv")


def test_pip_installs_from_the_exported_directory_behind_the_plainest_web_server(
    site: Site, tmp_path: Path
) -> None:
    with python_http_server(site.exported) as url:
        assert complaints(pip_installs(f"{url}simple/", tmp_path, *PACKAGES)) == []
    assert_installed(tmp_path / "pip")


def test_the_apply_says_the_plan_and_what_came_of_it(site: Site) -> None:
    lines = site.said.splitlines()
    assert "Plan: 3 to add, 0 to change, 0 to destroy. 5 content changes" in site.said
    assert lines[-1] == "Apply: 3 done."
    assert "+ Publication team   -> version 1" in lines
