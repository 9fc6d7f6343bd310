"""How big things are. `pytest -s tests/architecture/test_size.py` prints the top of the list."""

from __future__ import annotations

import ast
from statistics import median, quantiles

from tests.support.source import Module, functions, modules

MAX_FILE = 500
MAX_FUNCTION = 70
TOP = 8


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines without decorators and docstring."""
    first, last = function.lineno, function.end_lineno or function.lineno
    said = function.body[0]
    documented = (
        isinstance(said, ast.Expr)
        and isinstance(said.value, ast.Constant)
        and isinstance(said.value.value, str)
    )
    return (
        last - first + 1 - ((said.end_lineno or said.lineno) - said.lineno + 1 if documented else 0)
    )


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


def test_no_file_is_longer_than_anybody_reads() -> None:
    print("\nlongest files")
    for module in by_lines()[:TOP]:
        print(f"  {module.lines:4}  {module.place}")
    assert [
        f"{module.place}: {module.lines}" for module in modules() if module.lines > MAX_FILE
    ] == []


def test_no_function_is_longer_than_a_screen() -> None:
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
