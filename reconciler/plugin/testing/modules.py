"""Which code is the plugin's: its classes, the package that they lie in, and what its modules see
of the world.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any

from reconciler.plugin.testing.subject import Subject

_NOBODYS = ("reconciler", "builtins", "pydantic", "typing", "abc", "msgspec")
_TEST = re.compile(r"(?:^|\.)(?:test_\w*|conftest)$")


def own_modules(subject: Subject) -> list[ModuleType]:
    """The loaded modules of the plugin, by name: those in which its classes and entry points are
    written, and the rest of their packages.

    Modules of tests are none of it, unless a class of the plugin is written in one.
    """
    written = {
        base.__module__
        for cls in subject.classes
        for base in cls.__mro__
        if base.__module__.partition(".")[0] not in _NOBODYS
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


def place_in(frame: FrameType | None, modules: Mapping[str, ModuleType]) -> str | None:
    """Where code of these modules waits for what `frame` does, as `file:line, in function`; None
    where none does, or asyncio is in between.
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
def seeing(modules: list[ModuleType], instead: Mapping[int, Any]) -> Iterator[None]:
    """Within the block these modules see other things under their global names. `instead`: by the
    `id` of what they saw.
    """
    changed = [
        (vars(module), name, value)
        for module in modules
        for name, value in list(vars(module).items())
        if id(value) in instead
    ]
    for names, name, value in changed:
        names[name] = instead[id(value)]
    try:
        yield
    finally:
        for names, name, value in changed:
            names[name] = value


def _package(module: str) -> str:
    """The package that a module is, or lies in; empty for one that lies in none."""
    loaded = sys.modules.get(module)
    return module if hasattr(loaded, "__path__") else module.rpartition(".")[0]
