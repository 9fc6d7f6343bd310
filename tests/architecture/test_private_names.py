"""Tests reach what they test by its public names; the exceptions stand here, each with a reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.support.source import ROOT

ALLOWED = {
    ("tests/database/test_crash.py", "_reading"): "counts rows that no query returns",
    ("tests/database/test_leases.py", "_writing"): "writes a lease of another process",
    (
        "tests/database/test_opening.py",
        "_reading",
    ): "writes where writing is refused",
    (
        "tests/database/test_postgresql_statements.py",
        "_names",
    ): "quoting is tested without a server",
    ("tests/database/test_resources.py", "_reading"): "counts rows that no query returns",
    ("tests/database/test_signatures.py", "_writing"): "damages a page",
    ("tests/database/test_sources.py", "_reading"): "listens to the statements of a query",
    ("tests/database/test_sources.py", "_url"): "listens to the statements of a query",
    ("tests/e2e/test_e2e_progress.py", "_progress"): "bars are drawn by rich, without a terminal",
    (
        "tests/python/test_python_pushing.py",
        "_convert_metadata_to_list_of_tuples",
    ): "the form of twine itself is what ours is compared with",
    ("tests/python/test_python_licences.py", "_APPROVED"): "a table compared with its source",
    ("tests/python/test_python_licences.py", "_OTHERS"): "a table compared with its source",
    ("tests/database/test_write_ahead_log.py", "_reading"): "a reader that stays for long",
    ("tests/e2e/test_home.py", "_exit"): "`os._exit` ends a forked process",
    (
        "tests/engine/integrity/test_damage.py",
        "_writing",
    ): "removes rows that only a retention of versions would remove",
    (
        "tests/engine/sources/test_outcome_keys.py",
        "_rules_digest",
    ): "every key must change it, which whole runs would show too slowly",
    (
        "tests/engine/sources/test_outcome_keys.py",
        "_session",
    ): "makes resolvers as the engine does",
    ("tests/remote/test_measurement.py", "_entries"): "the bound of a cache in memory",
    ("tests/support/indexed.py", "_reading"): "counts rows that no query returns",
    ("tests/support/indexed.py", "_writing"): "removes rows as a retention of versions would",
    ("tests/support/large_states.py", "_writing"): "writes in bulk what would take minutes",
    ("tests/serve/test_on_demand.py", "_source"): "the source fails in the middle of an answer",
    ("tests/serve/test_on_demand.py", "_tasks"): "counts transfers that are under way at the end",
}


def private_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of each private name that is neither `self`'s nor the file's own."""
    own = _own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if _private(node.attr) and not _of_itself(node) and node.attr not in own:
                yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, name.name) for name in node.names if _private(name.name))


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _own_names(tree: ast.Module) -> set[str]:
    """Return what a file defines, and the attributes that its classes set."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.update({node.attr} if _of_itself(node) else ())
    return names


def _of_itself(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def used() -> dict[tuple[str, str], str]:
    """Return the place of each private name that a test uses, by file and name."""
    return {
        (place, name): f"{place}:{line} {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for place in [path.relative_to(ROOT).as_posix()]
        for line, name in private_names(ast.parse(path.read_text(encoding="utf-8")))
    }


def test_no_test_uses_a_private_name_but_for_a_reason() -> None:
    """An exception that nothing uses is none."""
    places = used()
    assert [place for key, place in places.items() if key not in ALLOWED] == []
    assert sorted(ALLOWED.keys() - places.keys()) == []


def test_a_private_name_would_be_found() -> None:
    code = "from a import _b\nclass C:\n    def d(self): self._e = 1\nx._f\ny._e\n"
    assert list(private_names(ast.parse(code))) == [(1, "_b"), (4, "_f")]
