"""Detection of state that a plugin keeps between calls: values in modules, and live objects."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from enum import Enum
from logging import Logger
from types import CellType, FunctionType, ModuleType
from typing import Any

from reconciler.engine.plugin_calls.conduits import CallScope

Snapshot = Mapping[str, Mapping[str, str]]
"""By module, its values by name, as text that can be compared."""

_PLAIN = (str, bytes, int, float, bool, type(None))
# modules of C types whose `repr`, or whose `__reduce__`, shows the whole value
_SHOWN_WHOLE = ("collections", "itertools", "random")
_DEPTH = 4


def snapshot(modules: Iterable[ModuleType]) -> Snapshot:
    """Return the values in modules, in the classes that they define, and of their functions.

    Caches of pure functions (`functools.cache` on a module's function) are left out: they hold
    nothing of a call but its arguments, which `live_objects` finds.
    """
    return {module.__name__: dict(_in_module(module)) for module in modules}


def changed_names(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the names whose value changed, in modules that were loaded both times."""
    changed = set()
    for module in before.keys() & after.keys():
        names = {*before[module], *after[module]}
        changed |= {
            f"`{name}`" for name in names if before[module].get(name) != after[module].get(name)
        }
    return sorted(changed)


def live_objects(classes: Iterable[type]) -> list[object]:
    """Return the live instances of the plugin's classes, call objects and conduits.

    Objects that `gc.freeze` has set aside are left out.
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
        if not _is_relevant(name, value) or (
            isinstance(value, FunctionType) and value.__module__ != module.__name__
        ):
            continue
        if isinstance(value, type):
            if value.__module__ == module.__name__ and not issubclass(value, Enum):
                yield from (
                    (f"{value.__qualname__}.{inner}", _shown(attribute, _DEPTH))
                    for inner, attribute in list(vars(value).items())
                    if _is_relevant(inner, attribute)
                )
        else:
            yield f"{module.__name__}.{name}", _shown(value, _DEPTH)


def _is_relevant(name: str, value: Any) -> bool:
    """Return False for names that Python and its libraries set."""
    return not (
        name.startswith(("__", "_abc_"))
        or "pydantic" in name
        or isinstance(value, (ModuleType, Logger, property))
    )


def _shown(value: Any, depth: int) -> str:
    """Return a text for a value.

    Plain data is shown by its contents, functions by their defaults and closures, other objects by
    their attributes, up to a depth. Below the depth an object is shown by its address: values that
    are created here, on the way, must not be passed on.
    """
    if isinstance(value, _PLAIN):
        return repr(value)
    if depth == 0:
        return f"{type(value).__qualname__} {id(value):x}"
    if isinstance(value, (classmethod, staticmethod)):
        return _shown(value.__func__, depth)
    if isinstance(value, FunctionType):
        parts = (value.__defaults__, value.__kwdefaults__, value.__closure__, vars(value))
        return "[" + ", ".join(_shown(part, depth - 1) for part in parts) + "]"
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
