"""The writer's guide as its readers use it: snippets copied out, and the module that they make."""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import util
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from reconciler.plugin.registry import Registry
from tests.support.source import ROOT

GUIDE = ROOT / "plugins" / "README.md"
MODULE = "reconciler_schemas"

_SNIPPET = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A fenced block. `line`: of its first line, counted from 1."""

    language: str
    text: str
    line: int


@lru_cache(maxsize=1)
def snippets() -> tuple[Snippet, ...]:
    text = GUIDE.read_text(encoding="utf-8")
    return tuple(
        Snippet(found[1], found[2], text.count("\n", 0, found.start()) + 2)
        for found in _SNIPPET.finditer(text)
    )


def in_language(language: str) -> list[Snippet]:
    return [snippet for snippet in snippets() if snippet.language == language]


def commands() -> list[str]:
    """Every command line of ours that it shows, in a block or in a sentence."""
    inline = re.findall(
        r"`(reconciler [^`\n]+)`", _SNIPPET.sub("", GUIDE.read_text(encoding="utf-8"))
    )
    blocks = [
        line
        for snippet in in_language("sh")
        for line in snippet.text.splitlines()
        if line.startswith("reconciler ")
    ]
    return sorted({*inline, *blocks})


def written_out(folder: Path) -> list[Path]:
    """The files that the Python snippets make, in order: one that begins with `# <path>` begins a
    file, others go on with it.

    Every line stands in its file where it stands in the guide, so that whatever points at one
    points at the other.
    """
    files: dict[str, list[str]] = {}
    lines: list[str] = []
    for snippet in in_language("python"):
        if begins := re.match(r"# (\S+\.py)\n", snippet.text):
            lines = files.setdefault(begins[1], [])
        lines += [""] * (snippet.line - 1 - len(lines)) + snippet.text.splitlines()
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("\n".join(text) + "\n", encoding="utf-8")
    return [folder / path for path in files]


def plugin_module(folder: Path) -> Any:
    """The guide's plugin, imported from files written into `folder`."""
    written_out(folder)
    spec = util.spec_from_file_location(MODULE, folder / f"{MODULE}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[MODULE] = module  # its option models look their types up there
    spec.loader.exec_module(module)
    return module


def entry_points() -> list[EntryPoint]:
    """Those that the guide's `pyproject.toml` advertises."""
    [project] = [
        tomllib.loads(snippet.text)["project"]
        for snippet in in_language("toml")
        if snippet.text.startswith("# pyproject.toml")
    ]
    return [
        EntryPoint(name, value, group)
        for group, points in project["entry-points"].items()
        for name, value in points.items()
    ]


def registry() -> Registry:
    """A registry in which the guide's plugin is installed and nothing else. Its module must have
    been imported.
    """
    return Registry(
        points=lambda group: [point for point in entry_points() if point.group == group]
    )
