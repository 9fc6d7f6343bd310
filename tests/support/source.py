"""Our source as text: which modules there are, and what each imports."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGINS = {
    f"reconciler_{name}": ROOT / "plugins" / name
    for name in ("deb", "example", "file", "npm", "python")
}
PACKAGES = {"reconciler": ROOT, **PLUGINS}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module. `module` is imported at `line`; `inside`: in a function; `typing`: for
    type checkers only.
    """

    module: str
    line: int
    inside: bool
    typing: bool
    relative: bool


@dataclass(frozen=True)
class Module:
    """Read when asked for: every worker imports the tests that name modules, few run them."""

    name: str
    path: Path

    @cached_property
    def _text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self._text)

    @property
    def lines(self) -> int:
        return len(self._text.splitlines())

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports(self.tree))

    @property
    def room(self) -> str:
        """`reconciler.plan.text` is in `plan`, and a plugin's modules in a room of its name; the
        conformance kit has a room above the engine.
        """
        return _room(self.name)

    @property
    def place(self) -> str:
        return str(self.path.relative_to(ROOT))


@lru_cache(maxsize=1)
def modules() -> tuple[Module, ...]:
    """Every module of the core and of the plugins in the tree, by name."""
    found = []
    for package, folder in PACKAGES.items():
        for path in (folder / package).rglob("*.py"):
            name = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(
                ".__init__"
            )
            found.append(Module(name, path))
    return tuple(sorted(found, key=lambda module: module.name))


def room_of(imported: str) -> str | None:
    """The room that an imported module belongs to; None for what is not ours, or in no room
    (`reconciler.__version__`).
    """
    name = resolved(imported)
    return None if name is None else _room(name) or None


def resolved(imported: str) -> str | None:
    """The module of ours that an import executes: `reconciler.plan.Plan` is a name of
    `reconciler.plan`.
    """
    while imported and imported not in _names():
        imported = imported.rpartition(".")[0]
    return imported or None


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(module.name for module in modules())


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _room(name: str) -> str:
    first, _, rest = name.partition(".")
    if rest.startswith("plugin.testing"):
        return "plugin.testing"
    return rest.partition(".")[0] if first == "reconciler" else first


def _imports(tree: ast.AST, *, inside: bool = False, typing: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.expr):
            continue  # most of a tree; no import stands in one
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, inside, typing, relative=False)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(
                    f"{node.module or ''}.{alias.name}",
                    node.lineno,
                    inside,
                    typing,
                    relative=node.level > 0,
                )
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            checked = (
                isinstance(node, ast.If)
                and isinstance(node.test, ast.Name)
                and node.test.id == "TYPE_CHECKING"
            )
            yield from _imports(node, inside=inside or function, typing=typing or checked)


def code_lines(text: str) -> int:
    """Lines of code: no docstring, no comment, no blank."""
    documented = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    nothing = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    written = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in (*nothing, tokenize.ENDMARKER)
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(written - documented)
