"""The house's words: names of modules, variables and docstrings that a reader from the field knows.

`tests/golden/words.json` counts, by rule and room, what was there before the rule. A count may only
shrink; `RECONCILER_GOLDEN=write` records smaller ones. `pytest -s tests/architecture/test_words.py`
prints where they are.

A new word for a module: look in the glossary of the PyPA, in the nouns of Pulp, the verbs of
kubectl and Terraform, HTTP and SQL; then add it to `house_words.txt`, one word a line.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.source import PACKAGES, ROOT

RECORDED = ROOT / "tests" / "golden" / "words.json"
HOUSE_WORDS = frozenset(
    Path(__file__).with_name("house_words.txt").read_text(encoding="utf-8").split()
)
MAX_LINE = 100
QUESTION_WORDS = ("what", "whether", "who", "whose", "whom", "why", "how", "when", "where", "which")
REFUSED_NAMES = frozenset({"found", "it", "one"})
REFUSED_WORDS = re.compile(
    r"\b(anybody|everybody|nobody|somebody|whatsoever|whoever|whomever|what is more)\b",
    re.IGNORECASE,
)
Finding = tuple[int, str]


class File(NamedTuple):
    """A Python file; `room`: the folder that counts it, `module`: its name where it is ours."""

    room: str
    place: str
    module: str
    tree: ast.Module
    text: str


@lru_cache(maxsize=1)
def files() -> tuple[File, ...]:
    """Return every Python file of the core, the plugins and the tests."""
    folders = [(path, path / name) for name, path in PACKAGES.items()] + [(ROOT, ROOT / "tests")]
    return tuple(
        _file(base, path)
        for base, folder in folders
        for path in sorted(folder.rglob("*.py"))
        if "migrations" not in path.parts
    )


def _file(base: Path, path: Path) -> File:
    parts = path.relative_to(base).with_suffix("").parts
    text = path.read_text(encoding="utf-8")
    depth = 3 if parts[:2] == ("reconciler", "engine") else 2
    room = ".".join(parts[: min(depth, len(parts) - 1)])
    module = "" if parts[0] == "tests" else parts[-1]
    return File(room, str(path.relative_to(ROOT)), module, ast.parse(text), text)


def module_names(file: File) -> Iterator[Finding]:
    """Names of modules with a word that is not the house's."""
    for word in file.module.strip("_").split("_"):
        if file.module not in ("", "__init__", "__main__") and word not in HOUSE_WORDS:
            yield 1, f"module name: `{word}`"


def variables(file: File) -> Iterator[Finding]:
    """Variables and arguments that are called `one`, `found` or `it`."""
    for node in ast.walk(file.tree):
        name, line = "", getattr(node, "lineno", 0)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        if name in REFUSED_NAMES:
            yield line, f"variable `{name}`"


def docstrings(file: File) -> Iterator[Finding]:
    """Docstrings that ask, and those whose first sentence does not fit in one line."""
    for line, text, indent in _docstrings(file.tree):
        first = text.strip().split("\n")[0].rstrip()
        if first.endswith("?"):
            yield line, f"docstring asks: {first}"
        elif (first.split() or [""])[0].strip(",:").lower() in QUESTION_WORDS:
            yield line, f"docstring begins with a question word: {first}"
        elif not first.endswith((".", ":")) or len(first) + indent > MAX_LINE:
            yield line, f"first line is no sentence: {first}"


def words(file: File) -> Iterator[Finding]:
    """Docstrings and comments with words of an older English."""
    if not REFUSED_WORDS.search(file.text):
        return  # to take a file apart into tokens is what costs
    for line, text, _ in _docstrings(file.tree):
        for match in REFUSED_WORDS.finditer(text):
            yield line + text[: match.start()].count("\n"), f"word `{match.group()}`"
    for token in tokenize.generate_tokens(io.StringIO(file.text).readline):
        if token.type == tokenize.COMMENT:
            for match in REFUSED_WORDS.finditer(token.string):
                yield token.start[0], f"word `{match.group()}`"


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str, int]]:
    """Yield line, text and indent with quotes of every docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            statement = node.body[0] if node.body else None
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.lineno, value.value, value.col_offset + 3


RULES: dict[str, Callable[[File], Iterator[Finding]]] = {
    "module names": module_names,
    "variables": variables,
    "docstrings": docstrings,
    "words": words,
}


@lru_cache(maxsize=1)
def recorded() -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return counts


def test_no_room_has_more_of_what_a_rule_refuses_than_is_recorded() -> None:
    """All rules at once: reading every file is what costs."""
    grown = {f"{rule}, {text}": places for rule in RULES for text, places in _grown(rule)}
    assert not grown, f"rooms that have more than before: {grown}"


def _grown(rule: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the rooms that have more than is recorded of them, each with the places."""
    places: dict[str, list[str]] = {}
    for file in files():
        for line, text in RULES[rule](file):
            places.setdefault(file.room, []).append(f"{file.place}:{line} {text}")
    counts = Counter({room: len(listed) for room, listed in places.items()})
    known = recorded().get(rule, {})
    print(f"\n{rule}: {counts.total()}")
    for room, listed in sorted(places.items()):
        print(f"  {room}: {len(listed)}", *listed, sep="\n    ")
    for room, number in counts.items():
        if number > known.get(room, 0):
            yield f"{room}: {number}, {known.get(room, 0)} are recorded", places[room]
    if os.environ.get("RECONCILER_GOLDEN") == "write":
        _record(rule, counts)


def _record(rule: str, counts: Counter[str]) -> None:
    document: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    document[rule] = dict(sorted(counts.items()))
    RECORDED.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def test_the_words_of_the_house_are_sorted() -> None:
    path = Path(__file__).with_name("house_words.txt")
    listed = path.read_text(encoding="utf-8").split()
    assert listed == sorted(set(listed))


def made(text: str, module: str = "") -> File:
    return File("room", "room/file.py", module, ast.parse(text), text)


@pytest.mark.parametrize(
    ("rule", "text", "refused"),
    [
        ("docstrings", '"""What is served."""', True),
        ("docstrings", '"""Whether a path is safe."""', True),
        ("docstrings", 'def f():\n    """Is the name this source\'s?"""', True),
        ("docstrings", '"""A sentence that goes on\nin the next line."""', True),
        ("docstrings", f'"""{"x" * 98}."""', True),
        ("docstrings", '"""Return the names that a source owns."""', False),
        ("docstrings", '"""Whatever goes wrong is named."""', False),
        ("variables", "found = 1", True),
        ("variables", "for one in (): pass", True),
        ("variables", "[it for it in ()]", True),
        ("variables", "def f(one): pass", True),
        ("variables", "unit = found", False),
        ("words", "x = 1  # nobody reads it", True),
        ("words", '"""Somebody waits."""', True),
        ("words", "x = 'nobody'", False),
    ],
)
def test_a_rule_refuses_what_it_says(rule: str, text: str, refused: bool) -> None:
    assert bool(list(RULES[rule](made(text)))) is refused


def test_a_module_is_named_by_the_words_of_the_house() -> None:
    assert list(module_names(made("", "pad_book")))
    assert not list(module_names(made("", "version_view")))
    assert not list(module_names(made("", "__init__")))
