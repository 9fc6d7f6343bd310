"""Every public name of `reconciler.plugin`, and every public method, has a docstring."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import reconciler.plugin as door
from tests.support.source import modules

NAMES = sorted(
    name
    for name in door.__all__
    if inspect.isclass(getattr(door, name)) or inspect.isfunction(getattr(door, name))
)
PLAIN = sorted(set(door.__all__) - set(NAMES))


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class declares itself."""
    for name, value in dict(vars(cls)).items():  # a model that is built while we look adds to it
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if not name.startswith("_") and inspect.isfunction(function):
            yield name, function


def assignment_docs() -> dict[str, str]:
    """Return the text that follows an assignment, by the name assigned to."""
    docs: dict[str, str] = {}
    for module in modules():
        if module.room in ("plugin", "model"):
            for statement, after in zip(module.tree.body, module.tree.body[1:], strict=False):
                target = (
                    statement.targets[0]
                    if isinstance(statement, ast.Assign)
                    else statement.target
                    if isinstance(statement, ast.AnnAssign)
                    else None
                )
                if (
                    isinstance(target, ast.Name)
                    and isinstance(after, ast.Expr)
                    and isinstance(after.value, ast.Constant)
                ):
                    docs[target.id] = str(after.value.value)
    return docs


@pytest.mark.parametrize("name", NAMES)
def test_every_class_and_function_of_the_door_says_what_it_is(name: str) -> None:
    assert len((getattr(door, name).__doc__ or "").split()) >= 3


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isclass(getattr(door, name))])
def test_every_public_method_of_the_door_says_what_it_does(name: str) -> None:
    assert [
        method for method, function in members(getattr(door, name)) if not function.__doc__
    ] == []


@pytest.mark.parametrize("name", PLAIN)
def test_every_constant_of_the_door_says_what_it_is(name: str) -> None:
    assert name in assignment_docs()
