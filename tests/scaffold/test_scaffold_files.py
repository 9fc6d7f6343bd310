"""Files of a generated distribution, and folders that are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from reconciler.cli import plugins_new
from reconciler.cli.main import run
from reconciler.errors import UsageFault
from reconciler.scaffold import Names, write, writer

NAMES = Names.parse("maps")
FILES = {
    ".gitignore",
    "README.md",
    "manifests/maps.yaml",
    "pyproject.toml",
    "src/reconciler_maps/__init__.py",
    "src/reconciler_maps/content.py",
    "src/reconciler_maps/document_importer.py",
    "src/reconciler_maps/document_publisher.py",
    "src/reconciler_maps/py.typed",
    "tests/test_conformance.py",
}


def held(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_whole_distribution_is_written_and_named(tmp_path: Path) -> None:
    written = write(NAMES, tmp_path / "new" / "maps")
    assert held(tmp_path / "new" / "maps") == FILES
    assert {path.relative_to(tmp_path / "new" / "maps").as_posix() for path in written} == FILES


def test_an_empty_folder_is_as_good_as_none(tmp_path: Path) -> None:
    write(NAMES, tmp_path)
    assert held(tmp_path) == FILES


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UsageFault, match="is not empty"):
        write(NAMES, tmp_path)
    assert held(tmp_path) == {"README.md"}
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("mine")
    with pytest.raises(UsageFault, match="is not empty"):
        write(NAMES, tmp_path / "maps")
    assert (tmp_path / "maps").read_text() == "mine"


def test_a_folder_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageFault, match="cannot be written"):
        write(NAMES, tmp_path / "file" / "maps")


def test_no_file_ends_without_a_line_break(tmp_path: Path) -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in write(NAMES, tmp_path)}
    assert [
        name for name, text in texts.items() if text and (not text.endswith("\n") or "{{" in text)
    ] == []


def test_a_template_that_names_what_is_unknown_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "a.txt.jinja").write_text("fine")
    (tmp_path / "templates" / "b.txt.jinja").write_text("{{ unknown }}")
    monkeypatch.setattr(writer, "TEMPLATES", tmp_path / "templates")
    with pytest.raises(UndefinedError):
        write(NAMES, tmp_path / "maps")
    assert not (tmp_path / "maps").exists()


def test_the_command_writes_beside_you_and_says_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert plugins_new.command("Maps") == 0
    assert held(tmp_path / "reconciler-maps") == FILES
    first, *steps = capsys.readouterr().out.splitlines()
    assert (
        first == "reconciler-maps: 10 files of the distribution reconciler-maps; what to do next:"
    )
    assert [step.split()[0] for step in steps] == ["cd", "pytest", "$EDITOR", "reconciler"]


def test_the_command_is_part_of_plugins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins", "new", "maps", str(tmp_path / "here")]) == 0, capsys.readouterr().err
    assert held(tmp_path / "here") == FILES


def test_the_id_of_an_installed_plugin_is_taken(tmp_path: Path) -> None:
    with pytest.raises(
        UsageFault, match="`python` is taken: package-reconciler provides the importer"
    ):
        plugins_new.command("python", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_no_other_command_pays_for_templates() -> None:
    script = """
import sys
from reconciler.cli.main import run
run(["plugins"])
assert "reconciler.cli.plugins_new" in sys.modules
assert "jinja2" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
