"""`reconciler init`: what a team starts with is valid, and nothing that is there is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli.main import run

CONFIGURATION = """\
[mirror]
directory = pypi
master = https://index.example.org
json = true
[plugins]
enabled = allowlist_project
[allowlist]
packages =
    idna
"""


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def held(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_written_is_valid_and_the_next_commands_name_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "site"]) == 0
    assert "reconciler plan site/manifests " in capsys.readouterr().out
    files = held(tmp_path / "site")
    assert set(files) == {"manifests/team.yaml", "manifests/manifest.schema.json"}
    assert files["manifests/team.yaml"].startswith("# yaml-language-server: $schema=manifest.schem")
    assert json.loads(files["manifests/manifest.schema.json"])["$schema"]
    assert run(["validate", "site/manifests"]) == 0


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "take-over").mkdir()
    (tmp_path / "take-over" / "mine.yaml").write_text("")
    assert run(["init"]) == 1
    assert "`take-over` is not empty" in capsys.readouterr().err
    assert held(tmp_path) == {"take-over/mine.yaml": ""}


def test_a_description_becomes_manifests_and_a_list_of_what_has_no_equal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pypi" / "web").mkdir(parents=True)
    (tmp_path / "bandersnatch.conf").write_text(CONFIGURATION)
    assert run(["init", "--from", "bandersnatch.conf"]) == 0
    told = capsys.readouterr().out
    assert "  [mirror] json (bandersnatch.conf:4): " in told
    tree = (tmp_path / "pypi" / "web").resolve()
    assert f"reconciler apply take-over --allow-path {tree}" in told
    assert "# - [mirror] json (bandersnatch.conf:4): " in held(tmp_path)["manifests/mirror.yaml"]
    assert f"url: {tree}/" in held(tmp_path)["take-over/mirror.yaml"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "none.conf"], "`none.conf` does not exist"),
        (["--from", "other.txt"], "is no description that an importer knows"),
        (["--from", "other.txt", "--from-kind", "tar"], "no importer reads descriptions of `tar`"),
        (["--type", "tar"], "no importer `tar` is installed"),
        (["--type", "file"], "the importer `file` has no start to offer"),
    ],
)
def test_what_cannot_be_written_is_said_and_nothing_is(
    words: list[str], message: str, *, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.txt").write_text("hello")
    assert run(["init", *words]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "manifests").exists()
