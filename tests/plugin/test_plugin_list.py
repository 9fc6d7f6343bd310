"""`reconciler plugins`, with distributions that are really on the path."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.clients import isolated, program
from tests.support.mirror import call

MODULE = """
from reconciler.plugin import ContentType, Importer, Metadata, Publisher

class Notes(ContentType):
    id = "notes.note"

class NotesImporter(Importer):
    @classmethod
    def metadata(cls):
        return Metadata("notes", "Notes", ["notes.note"], api="{api}")

class NotesPublisher(Publisher):
    @classmethod
    def metadata(cls):
        return Metadata("notes", "Notes", ["notes.note"])

def importer():
    return NotesImporter, {{"colour": "red"}}

def publisher():
    return NotesPublisher, {{}}

def content_type():
    return Notes, {{}}
"""
GROUPS = {
    "importer": "reconciler.importers",
    "publisher": "reconciler.publishers",
    "content_type": "reconciler.content_types",
}


class Site:
    """A folder of installed distributions, on the path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self, name: str, *functions: str, api: str = ">=2.0,<3", version: str = "1.0"
    ) -> None:
        """Write the files that an installer leaves of a distribution.

        `functions`: those of the module that its entry points name.
        """
        module = name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(MODULE.format(api=api), encoding="utf-8")
        about = self.folder / f"{module}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
        )
        lines = [f"[{GROUPS[function]}]\nentry = {module}:{function}" for function in functions]
        self.entry_points(about.name).write_text("\n".join(lines), encoding="utf-8")

    def entry_points(self, about: str) -> Path:
        return self.folder / about / "entry_points.txt"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(tmp_path)
    yield Site(folder)
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


def rows(text: str) -> dict[tuple[str, str], str]:
    """Return the lines of the table by (id, kind)."""
    return {(line.split()[0], line.split()[1]): line for line in text.splitlines()[1:]}


def test_a_foreign_distribution_is_listed_beside_ours(site: Site) -> None:
    site.install("listed-one", "importer", "publisher", "content_type", version="3.4")
    done = call(["plugins"])
    assert done.code == 0
    assert done.out.splitlines()[0].split() == [
        "ID",
        "KIND",
        "DISTRIBUTION",
        "API",
        "TYPES",
        "STATE",
        "ORIGIN",
        "REASON",
    ]
    listed = rows(done.out)
    assert listed["notes", "importer"].split() == [
        "notes",
        "importer",
        "listed-one",
        "3.4",
        ">=2.0,<3",
        "notes.note",
        "enabled",
        "listed_one:importer",
    ]
    assert listed["notes.note", "content-type"].split()[4:6] == ["-", "-"]
    assert ("python", "publisher") in listed


def test_the_document_is_the_promised_one(site: Site) -> None:
    site.install("listed-two", "importer", "content_type")
    [plugin] = [row for row in call(["plugins", "-o", "json"]).document if row["id"] == "notes"]
    assert plugin == {
        "id": "notes",
        "kind": "importer",
        "displayName": "Notes",
        "distribution": "listed-two",
        "version": "1.0",
        "api": ">=2.0,<3",
        "types": ["notes.note"],
        "state": "enabled",
        "reason": "",
        "origin": "entry point listed_two:importer",
    }


@pytest.mark.parametrize(
    "arguments",
    [["plugins", "-o", "{}"], ["plugins", "list", "-o", "{}"], ["plugins", "-o", "{}", "list"]],
)
def test_plugins_alone_means_its_list(site: Site, arguments: list[str]) -> None:
    as_json = call([word.format("json") for word in arguments])
    as_yaml = call([word.format("yaml") for word in arguments])
    assert (
        as_json.document == yaml.safe_load(as_yaml.out) == call(["plugins", "-o", "json"]).document
    )
    assert call(["plugins", "list"]).out == call(["plugins"]).out


def test_a_plugin_for_another_api_is_listed_with_the_reason_and_is_no_error(site: Site) -> None:
    site.install("listed-three", "importer", "content_type", api=">=7")
    done = call(["plugins"])
    assert done.code == 0
    assert rows(done.out)["notes", "importer"].endswith("it supports plugin API >=7, this is 2.0.0")
    [plugin] = [
        row for row in call(["plugins", "-o", "json"]).document if row["state"] == "disabled"
    ]
    assert (plugin["id"], plugin["api"], plugin["types"]) == ("notes", ">=7", ["notes.note"])


def test_where_other_commands_refuse_to_start_the_list_shows_why(site: Site) -> None:
    site.install("listed-four", "importer", "content_type")
    site.install("listed-five", "importer")
    Path("site.yaml").write_text("", encoding="utf-8")
    for arguments in (
        ["validate", "site.yaml"],
        ["plan", "site.yaml"],
        ["apply", "site.yaml"],
        ["schema"],
        ["get", "repository"],
    ):
        refused = call(arguments)
        assert refused.code == 1
        assert refused.err.startswith(
            "error: two plugins claim the importer ID `notes`: listed-five (entry point"
        ), arguments
        assert "and listed-four (entry point" in refused.err
    assert not Path(".reconciler").exists()
    done = call(["plugins", "-o", "json"])
    assert done.code == 1
    culprits = [
        (row["distribution"], row["state"])
        for row in done.document
        if row["reason"].startswith("refused: two plugins claim the importer ID")
    ]
    assert culprits == [("listed-five", "disabled"), ("listed-four", "disabled")]
    assert [row["state"] for row in done.document if row["id"] in ("python", "notes.note")] == [
        "enabled"
    ] * 3
    assert call(["plugins"]).code == 1


def test_a_missing_content_type_is_shown_as_the_reason_too(site: Site) -> None:
    site.install("listed-six", "importer")
    done = call(["plugins", "-o", "json"])
    assert done.code == 1
    assert [row["reason"] for row in done.document if row["id"] == "notes"] == [
        "refused: the importer `notes` of listed-six handles `notes.note`, a content type that no"
        " installed plugin defines"
    ]


def test_the_first_distribution_of_a_name_on_the_path_hides_the_others(site: Site) -> None:
    site.install("Listed_Seven", "importer", "content_type", version="1.0")
    (site.folder / "later").mkdir()
    Site(site.folder / "later").install("listed-seven", "importer", version="2.0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(site.folder / "later")])
        assert [
            row["version"]
            for row in call(["plugins", "-o", "json"]).document
            if row["id"] == "notes"
        ] == ["1.0"]


@pytest.mark.parametrize(
    "content", [b"[reconciler.importers]\nno equals sign", b"[reconciler.importers]\nx = \xff"]
)
def test_somebodys_unreadable_entry_points_stop_nobody(site: Site, content: bytes) -> None:
    site.install("listed-eight", "importer", "content_type")
    site.install("garbled", "importer")
    site.entry_points("garbled-1.0.dist-info").write_bytes(content)
    done = call(["plugins", "-o", "json"])
    assert done.code == 0
    assert [row["state"] for row in done.document if row["id"] == "notes"] == ["enabled"]
    garbled = [row["reason"] for row in done.document if row["id"] == "garbled"]
    assert all(reason.startswith("its `entry_points.txt` cannot be read") for reason in garbled)
    assert len(garbled) == (b"\xff" not in content)


PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "really-installed"
version = "0.7"

[project.entry-points."reconciler.importers"]
notes = "really_installed:importer"

[project.entry-points."reconciler.publishers"]
notes = "really_installed:publisher"

[project.entry-points."reconciler.content_types"]
"notes.note" = "really_installed:content_type"
"""


def test_a_plugin_that_pip_installed_is_used_and_gone_when_it_is_gone(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (source / "really_installed.py").write_text(MODULE.format(api=">=2.0,<3"), encoding="utf-8")
    arguments: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-build-isolation",
        "--no-index",
        "--no-deps",
        "--target",
        tmp_path / "site",
    ]
    subprocess.run([*arguments, source], env=isolated(tmp_path), check=True, timeout=120)
    manifest = (
        "apiVersion: reconciler/v1\nkind: Repository\nmetadata: {name: mine}\nspec: {type: notes}\n"
    )
    (tmp_path / "site.yaml").write_text(manifest, encoding="utf-8")

    def reconciler(*arguments: str, path: str) -> subprocess.CompletedProcess[str]:
        environment = isolated(tmp_path, PYTHONPATH=path)
        return subprocess.run(
            [program("reconciler"), *arguments],
            cwd=tmp_path,
            env=environment,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )

    installed = str(tmp_path / "site")
    listed = json.loads(reconciler("plugins", "-o", "json", path=installed).stdout)
    assert [
        (item["kind"], item["version"], item["state"])
        for item in listed
        if item["distribution"] == "really-installed"
    ] == [
        ("content-type", "0.7", "enabled"),
        ("importer", "0.7", "enabled"),
        ("publisher", "0.7", "enabled"),
    ]
    assert reconciler("validate", "site.yaml", path=installed).stdout == "1 resource, no faults\n"
    assert (
        "no installed plugin provides the importer `notes`"
        in reconciler("validate", "site.yaml", path="").stderr
    )
