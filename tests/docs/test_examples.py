"""What documents show works: every YAML block validates, every command line parses."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from reconciler.cli.main import tree
from tests.support.documents import DOCUMENTS, Block, blocks, commands
from tests.support.mirror import call
from tests.support.source import ROOT

TESTED_ELSEWHERE = {"plugins/README.md", "plugins/example/README.md"}  # by tests/plugin_guide
DOCUMENTS_HERE = [name for name in DOCUMENTS if name not in TESTED_ELSEWHERE]
YAML = [block for name in DOCUMENTS_HERE for block in blocks(name) if block.language == "yaml"]
SHELL = [block for name in DOCUMENTS for block in blocks(name) if commands(block)]
LOCK = """version = 1

[[package]]
name = "idna"
version = "3.7"
source = { registry = "https://index.example.org/simple/" }
sdist = { url = "https://files.example.org/idna-3.7.tar.gz", hash = "sha256:%s" }
""" % ("0" * 64)
NAMED_FILES = {
    "requirements.txt": "idna==3.7\n",
    "frozen.txt": "idna==3.7\n",
    "uv.lock": LOCK,
    "service.lock": LOCK,
}
HEADER = "apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: shown}}\nspec:\n"
COMMANDS: Any = typer.main.get_command(tree())


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.place)
def test_yaml_validates(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = complete(block.text)
    prepare(manifest, tmp_path)
    (tmp_path / "shown.yaml").write_text(manifest + missing_resources(manifest), encoding="utf-8")
    done = call(["validate", "shown.yaml"])
    assert done.code == 0, done.out + done.err


PASTED = sorted({block.document for block in YAML if "apiVersion:" in block.text})


@pytest.mark.parametrize("page", PASTED)
def test_whole_manifests_of_a_page_work_when_pasted(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: a block that works for its author only, who has the files and remotes it names.

    Each block goes into an empty folder as it stands, beside the earlier ones of its page.
    """
    monkeypatch.chdir(tmp_path)
    for number, block in enumerate(block for block in YAML if block.document == page):
        if "apiVersion:" not in block.text:
            continue  # a part of a manifest
        name = re.match(r"# (\S+\.yaml)", block.text)
        Path(name[1] if name else f"{number}.yaml").write_text(block.text, encoding="utf-8")
        done = call(["validate", "."])
        assert done.code == 0, f"{block.place}\n{done.err}"


def test_command_lines_within_the_text_exist() -> None:
    """Kind: a table of commands, which no block shows and no test has read."""
    seen = 0
    for name in DOCUMENTS:
        text = re.sub(
            r"^```.*?^```$", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.M | re.S
        )
        for line in re.findall(r"`(reconciler (?!--)[a-z][^`]*)`", text):
            for words in reconciler_calls(re.sub(r"\[[^\]]*\]", "", line)):
                check(words, f"{name}: {line}")
                seen += 1
    assert seen > 50


def test_make_has_the_targets_that_documents_name() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    for name in (*DOCUMENTS, "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^|`|\$ )make ([a-z][a-z-]*)", text, re.M))
        assert named <= targets, f"{name}: {sorted(named - targets)}"


def complete(text: str) -> str:
    """Return a manifest from a block: what shows a part of one gets what stands around it."""
    if re.search(r"^apiVersion:", text, re.MULTILINE):
        return text
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    kind = "Repository" if text.startswith("sources:") else "Filter"
    return f"{HEADER.format(kind=kind)}  type: python\n{indented}"


def missing_resources(manifest: str) -> str:
    """Return documents of the remotes and repositories that a manifest names and does not hold."""
    documents = [document for document in yaml.safe_load_all(manifest) if document]
    declared = {(document["kind"], document["metadata"]["name"]) for document in documents}
    made = ""
    for document in documents:
        spec = document["spec"]
        for source in spec.get("sources", ()) if document["kind"] == "Repository" else ():
            name = source.get("remote", {}).get("name")
            if name and ("Remote", name) not in declared:
                made += (
                    "---\napiVersion: reconciler/v1\nkind: Remote\n"
                    f"metadata: {{name: {name}}}\n"
                    f"spec: {{type: {spec['type']}, url: 'https://index.example.org/simple/'}}\n"
                )
    return made


def prepare(manifest: str, folder: Path) -> None:
    """Write the files that a manifest names: requirements, locks, dumps of advisories."""
    for name, text in NAMED_FILES.items():
        if name in manifest:
            for place in (folder / name, folder / "locks" / name):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
    for name in re.findall(r"osv: \{path: ([\w/.]+)", manifest):
        (folder / name).mkdir(parents=True)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.place)
def test_command_lines_name_commands_and_options_that_exist(block: Block) -> None:
    for line in commands(block):
        for words in reconciler_calls(line):
            check(words, f"{block.place}: {line}")


def reconciler_calls(line: str) -> list[list[str]]:
    """Return the words of each `reconciler` call in a command line."""
    words = shlex.split(line, comments=True)
    calls: list[list[str]] = []
    for index, word in enumerate(words):
        if word == "reconciler" and (index == 0 or words[index - 1] in {"&&", ";", "|"}):
            calls.append([])
        elif calls:
            calls[-1].append(word)
    return calls


def check(words: list[str], place: str) -> None:
    command = COMMANDS
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    assert command is not COMMANDS or words[:1] in (["--version"], ["--help"]), place
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= known, f"{place}: {sorted(used - known)}"


def test_the_examples_are_seen() -> None:
    assert len(YAML) > 8
    assert any("reconciler plan" in block.text for block in SHELL)
    assert {block.document for block in YAML} >= {"README.md", "docs/tutorial/first-mirror.md"}
    assert (ROOT / "docs").is_dir()
