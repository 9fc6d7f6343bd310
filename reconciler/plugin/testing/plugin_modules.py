"""The modules of a plugin: finding them, finding their calls, replacing their globals."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any

from reconciler.plugin.testing.subject import Subject

_NOT_OF_PLUGINS = ("reconciler", "builtins", "pydantic", "typing", "abc", "msgspec")
_TEST = re.compile(r"(?:^|\.)(?:test_\w*|conftest)$")


def modules_of(subject: Subject) -> list[ModuleType]:
    """Return the loaded modules of the plugin, sorted by name.

    They are those that define its classes and entry points, and the rest of their packages. Test
    modules are left out, unless they define a class of the plugin.
    """
    written = {
        base.__module__
        for cls in subject.classes
        for base in cls.__mro__
        if base.__module__.partition(".")[0] not in _NOT_OF_PLUGINS
    }
    begun = written | {function.__module__ for function in subject.functions}
    packages = tuple(f"{package}." for package in map(_package, sorted(begun)) if package)
    names = [
        name
        for name in sorted(sys.modules)
        if name in written
        or ((name in begun or name.startswith(packages)) and not _TEST.search(name))
    ]
    return [module for name in names if isinstance(module := sys.modules.get(name), ModuleType)]


def calling_place(frame: FrameType | None, modules: Mapping[str, ModuleType]) -> str | None:
    """Return where code of these modules calls `frame`, as `file:line, in function`.

    Returns None where none does, or where asyncio is in between.
    """
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name in modules:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}, in `{frame.f_code.co_name}`"
        if str(name).startswith("asyncio."):
            return None
        frame = frame.f_back
    return None


@contextmanager
def replaced_globals(modules: list[ModuleType], replacements: Mapping[int, Any]) -> Iterator[None]:
    """Replace global values of these modules within the block.

    `replacements`: by the `id` of the original.
    """
    changed = [
        (vars(module), name, value)
        for module in modules
        for name, value in list(vars(module).items())
        if id(value) in replacements
    ]
    for names, name, value in changed:
        names[name] = replacements[id(value)]
    try:
        yield
    finally:
        for names, name, value in changed:
            names[name] = value


def _package(module: str) -> str:
    """Return the package that a module is or is in; an empty text for a top-level module."""
    loaded = sys.modules.get(module)
    return module if hasattr(loaded, "__path__") else module.rpartition(".")[0]
