"""What a plugin's classes and modules hold that a call could have left there, and what is still
alive of a call.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from enum import Enum
from logging import Logger
from types import CellType, FunctionType, ModuleType
from typing import Any

from reconciler.engine.plugin_calls.conduits import CallScope

Snapshot = Mapping[str, Mapping[str, str]]
"""By module: what is held there, by name, in a form that can be compared."""

_PLAIN = (str, bytes, int, float, bool, type(None))
_SHOWN_WHOLE = (
    "collections",
    "itertools",
    "random",
)  # C types that tell all in their text, or in what they are reduced to
_DEEP = 4


def remembered(modules: Iterable[ModuleType]) -> Snapshot:
    """Data in modules, on the classes that they define, and with their functions.

    Caches of pure functions (`functools.cache` on a module's function) may fill: they hold nothing
    that a call could have left, unless it was an argument, which `alive` finds.
    """
    return {module.__name__: dict(_in_module(module)) for module in modules}


def differing(before: Snapshot, after: Snapshot) -> list[str]:
    """Names whose value changed, in modules that were loaded both times."""
    found = set()
    for module in before.keys() & after.keys():
        names = {*before[module], *after[module]}
        found |= {
            f"`{name}`" for name in names if before[module].get(name) != after[module].get(name)
        }
    return sorted(found)


def alive(classes: Iterable[type]) -> list[object]:
    """Instances of the plugin's classes, and all that was handed to a call of any plugin, as far as
    somebody still holds it.
    """
    gc.collect()
    kinds = set(_with_subclasses((CallScope, *classes)))
    return [object_ for object_ in gc.get_objects() if type(object_) in kinds]


def _with_subclasses(classes: Iterable[type]) -> Iterable[type]:
    for cls in classes:
        yield cls
        yield from _with_subclasses(type.__subclasses__(cls))


def _in_module(module: ModuleType) -> Iterable[tuple[str, str]]:
    for name, value in list(vars(module).items()):
        if not _counts(name, value) or (
            isinstance(value, FunctionType) and value.__module__ != module.__name__
        ):
            continue
        if isinstance(value, type):
            if value.__module__ == module.__name__ and not issubclass(value, Enum):
                yield from (
                    (f"{value.__qualname__}.{inner}", _shown(one, _DEEP))
                    for inner, one in list(vars(value).items())
                    if _counts(inner, one)
                )
        else:
            yield f"{module.__name__}.{name}", _shown(value, _DEEP)


def _counts(name: str, value: Any) -> bool:
    """Not what Python and its libraries keep there themselves."""
    return not (
        name.startswith(("__", "_abc_"))
        or "pydantic" in name
        or isinstance(value, (ModuleType, Logger, property))
    )


def _shown(value: Any, depth: int) -> str:
    """Plain data by what it holds, functions by what hangs on them, anything else by its own
    attributes.

    Where the depth ends an object is shown by its address, so nothing that is made up here on the
    way may be passed on.
    """
    if isinstance(value, _PLAIN):
        return repr(value)
    if depth == 0:
        return f"{type(value).__qualname__} {id(value):x}"
    if isinstance(value, (classmethod, staticmethod)):
        return _shown(value.__func__, depth)
    if isinstance(value, FunctionType):
        hanging = (value.__defaults__, value.__kwdefaults__, value.__closure__, vars(value))
        return "[" + ", ".join(_shown(one, depth - 1) for one in hanging) + "]"
    if isinstance(value, CellType):
        return _of_cell(value, depth)
    if isinstance(value, Mapping):
        return (
            "{"
            + ", ".join(
                f"{_shown(key, depth - 1)}: {_shown(item, depth - 1)}"
                for key, item in list(value.items())
            )
            + "}"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_shown(item, depth - 1) for item in value) + "]"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(_shown(item, depth - 1) for item in value)) + "}"
    return _of_object(value, depth)


def _of_cell(cell: CellType, depth: int) -> str:
    try:
        return _shown(cell.cell_contents, depth - 1)
    except ValueError:  # not filled yet
        return "empty"


def _of_object(value: Any, depth: int) -> str:
    if isinstance(value, type):
        return f"class {value.__qualname__}"
    if type(value).__module__ in _SHOWN_WHOLE:
        return repr(value.__reduce__()) if type(value).__module__ != "collections" else repr(value)
    inner = getattr(value, "__dict__", None)
    inner = inner if isinstance(inner, dict) else {}
    names = [name for name in inner if name != "__wrapped__"]
    held = ", ".join(f"{name}: {_shown(inner[name], depth - 1)}" for name in names)
    return f"{type(value).__qualname__} {id(value):x} {held}"
