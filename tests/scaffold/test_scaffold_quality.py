"""A generated plugin passes formatter, linter, type checker, pip, and the kit."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

from reconciler.scaffold import Names, write
from reconciler.scaffold.names import MAX_LENGTH
from tests.support.clients import program, run
from tests.support.source import ROOT, code_lines
from tests.support.strictness import check_types


@pytest.mark.parametrize("name", ["a", "json-schemas", "x" * MAX_LENGTH])
def test_it_is_formatted_and_linted_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    write(Names.parse(name), tmp_path / "new")
    for words in (["check", "--no-cache"], ["format", "--no-cache", "--check"]):
        run([program("ruff"), *words, "."], tmp_path, folder=tmp_path / "new")


def test_its_rules_are_ours(distribution: Path) -> None:
    ours, its = (
        tomllib.loads((folder / "pyproject.toml").read_text())["tool"]
        for folder in (ROOT, distribution)
    )
    of_signatures = {"PLR0913", "PLR0917"}  # those of plugin API 1.x are longer
    chosen = [rule for rule in ours["ruff"]["lint"]["select"] if rule not in of_signatures]
    assert its["ruff"]["lint"]["select"] == chosen
    assert its["ruff"]["line-length"] == ours["ruff"]["line-length"]
    assert its["mypy"]["strict"] is ours["mypy"]["strict"] is True


def test_its_types_are_strict(distribution: Path, tmp_path: Path) -> None:
    check_types(
        [distribution / "src", distribution / "tests"],
        [distribution / "src", distribution],
        tmp_path,
    )


def test_installed_it_is_listed_as_enabled(site: Path, tmp_path: Path) -> None:
    listed = json.loads(
        run([program("reconciler"), "plugins", "-o", "json"], tmp_path, PYTHONPATH=str(site))
    )
    mine = [item for item in listed if item["distribution"] == "reconciler-json-schemas"]
    assert {(plugin["id"], plugin["kind"], plugin["state"]) for plugin in mine} == {
        ("json-schemas", "importer", "enabled"),
        ("json-schemas", "publisher", "enabled"),
        ("json-schemas.document", "content-type", "enabled"),
    }


def test_its_manifest_is_valid(distribution: Path, site: Path, tmp_path: Path) -> None:
    run(
        [program("reconciler"), "validate", distribution / "manifests"],
        tmp_path,
        PYTHONPATH=str(site),
    )


def test_it_passes_the_kit_as_generated(distribution: Path, site: Path, tmp_path: Path) -> None:
    words: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--basetemp",
        tmp_path / "base",
    ]
    run(words, tmp_path, folder=distribution, PYTHONPATH=str(site))


def test_it_has_fewer_than_a_hundred_lines_of_code(distribution: Path) -> None:
    """It has a schema, and plans, serves, explains and takes uploads in them."""
    files = (distribution / "src").rglob("*.py")
    assert sum(code_lines(path.read_text(encoding="utf-8")) for path in files) < 100
