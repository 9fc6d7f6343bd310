"""The tutorial and the how-to guides, typed in as they stand: files, commands and their output."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.documents import Block, blocks
from tests.support.mirror import Done, call
from tests.support.upstream import upstream

# Commands that need a server, another environment or the network are tested elsewhere.
ELSEWHERE = ("pip ", "curl ", "python3 ", "reconciler serve", "reconciler --version")
GUARDED = "reconciler plan team.yaml house-rules.yaml"


class Command(NamedTuple):
    """A command line that a page shows, and the output that it shows below."""

    line: str
    output: list[str]


def shown_commands(block: Block) -> list[Command]:
    commands: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append(Command(line.removeprefix("$ "), []))
        elif commands:
            commands[-1].output.append(line)
    return commands


def follow(page: str, **replaced: str) -> Iterator[tuple[Command, Done]]:
    """Write the files that a page shows and run its commands, in the current folder."""
    for block in blocks(page):
        name = re.match(r"# (\S+\.yaml)\n", block.text)
        if block.language == "yaml" and name:
            text = block.text
            for old, new in replaced.items():
                text = text.replace(f"index: {old}", f"url: {new}")
            Path(name[1]).write_text(text, encoding="utf-8")
        for command in shown_commands(block):
            if command.line.startswith("reconciler ") and not command.line.startswith(ELSEWHERE):
                yield command, call(shlex.split(command.line)[1:])
            elif not command.line.startswith(ELSEWHERE):
                subprocess.run(["bash", "-ec", command.line], check=True)


def missing_lines(command: Command, done: Done) -> list[str]:
    """Return the shown lines that the output does not have; `...` stands for anything."""
    real = done.out.splitlines()
    return [
        line
        for line in command.output
        if line.strip() and not any(fnmatchcase(each, pattern(line)) for each in real)
    ]


def pattern(line: str) -> str:
    return re.sub(r"([\[\]?*])", r"[\1]", line).replace("...", "*")


@pytest.mark.parametrize("page", ["docs/how-to/mirror-files.md", "docs/how-to/promote.md"])
def test_a_guide_works_as_it_stands(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = list(follow(page))
    assert len(steps) >= 3
    for command, done in steps:
        assert done.code == 0, f"{command.line}: {done.err}"
        assert missing_lines(command, done) == [], done.out


def test_the_tutorial_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with upstream() as index:
        index.release("packaging", *(f"25.{minor}" for minor in range(6)))
        index.release("idna", *(f"3.{minor}" for minor in range(6)))
        index.release("typing-extensions", "4.12.0", "4.13.0", "5.0")
        steps = list(follow("docs/tutorial/first-mirror.md", pypi=index.url))
    lines = [command.line for command, _ in steps]
    assert {"reconciler apply team.yaml", GUARDED} <= set(lines)
    for command, done in steps:
        assert done.code == (1 if command.line == GUARDED else 0), f"{command.line}: {done.err}"
        assert missing_lines(command, done) == [], done.out
    guarded = next(done for command, done in steps if command.line == GUARDED)
    assert "--allow-destroy" in guarded.out + guarded.err


def test_receiving_uploads_works_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form that `curl` sends is tested with the server; here `upload` stands in for it."""
    monkeypatch.chdir(tmp_path)
    for name in ("q3.pdf", "summary.pdf"):
        Path(name).write_text(name, encoding="utf-8")
    steps = []
    for command, done in follow("docs/how-to/receive-uploads.md"):
        steps.append(command.line)
        assert done.code == 0, f"{command.line}: {done.err}"
        if command.line.startswith("reconciler apply"):
            sent = call(["upload", "reports", "q3.pdf", "--field", "path=2026/q3.pdf"])
            assert sent.out == "q3.pdf: version 1 holds `2026/q3.pdf`\n"
        elif "history" not in command.line:
            assert missing_lines(command, done) == [], done.out
    assert len(steps) == 4
