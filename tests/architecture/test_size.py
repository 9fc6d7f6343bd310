"""Sizes of files and functions; `pytest -s tests/architecture/test_size.py` lists the longest."""

from __future__ import annotations

import ast
from statistics import median, quantiles

from tests.support.source import ROOT, Module, functions, modules

MAX_FILE = 500
MAX_FUNCTION = 70
TOP = 8


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without decorators and docstring."""
    first, last = function.lineno, function.end_lineno or function.lineno
    first_node = function.body[0]
    documented = (
        isinstance(first_node, ast.Expr)
        and isinstance(first_node.value, ast.Constant)
        and isinstance(first_node.value.value, str)
    )
    lines = last - first + 1
    if documented:
        lines -= (first_node.end_lineno or first_node.lineno) - first_node.lineno + 1
    return lines


def measured() -> list[tuple[int, str]]:
    return sorted(
        (
            (length(function), f"{module.place}:{function.lineno} {function.name}")
            for module in modules()
            for function in functions(module)
        ),
        reverse=True,
    )


def by_lines() -> list[Module]:
    return sorted(modules(), key=lambda module: -module.lines)


def test_no_module_is_longer_than_500_lines() -> None:
    print("\nlongest files")
    for module in by_lines()[:TOP]:
        print(f"  {module.lines:4}  {module.place}")
    assert [
        f"{module.place}: {module.lines}" for module in modules() if module.lines > MAX_FILE
    ] == []


def test_no_test_file_is_longer_than_500_lines() -> None:
    too_long = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_FILE
    }
    assert too_long == set()


def test_no_function_is_longer_than_70_lines() -> None:
    sizes = measured()
    print("\nlongest functions")
    for lines, place in sizes[:TOP]:
        print(f"  {lines:4}  {place}")
    assert [place for lines, place in sizes if lines > MAX_FUNCTION] == []


def test_most_functions_are_short() -> None:
    sizes = [lines for lines, _ in measured()]
    ninth = quantiles(sizes, n=10)[8]
    total = sum(module.lines for module in modules())
    print(
        f"\n{len(sizes)} functions, median {median(sizes):.0f} lines, nine of ten up to"
        f" {ninth:.0f}; {total:,} lines in all"
    )
    assert ninth < 35
