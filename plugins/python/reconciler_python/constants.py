"""A public constant of a library, read without importing the library.

Importing `pypi_simple` for one text loads an HTTP client and an HTML parser: a third of a second in
every command whose manifests say `index: pypi`. Reading its source takes two milliseconds.
"""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def constant(module: str, name: str) -> str:
    """Return the text that `module` assigns to `name` at its top level.

    Raises AttributeError where there is none.
    """
    spec = find_spec(module)
    if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
        for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
            if (
                isinstance(node, ast.Assign | ast.AnnAssign)
                and isinstance(node.value, ast.Constant)
                and name in _names(node)
            ):
                return str(node.value.value)
    return str(
        getattr(import_module(module), name)
    )  # a library that computes it, or comes without source


def _names(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]
