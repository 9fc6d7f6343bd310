"""What a plugin's classes and modules hold that a call could have left there."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any

_PLAIN = (str, bytes, int, float, bool, type(None))


def remembered(classes: Iterable[type]) -> dict[str, str]:
    """Data on the plugin's own classes, and in their modules, in a form that can be compared: by name."""
    own = [
        base for cls in classes for base in cls.__mro__ if not base.__module__.startswith(("reconciler.", "builtins", "pydantic", "typing", "abc"))
    ]
    found = {f"`{cls.__qualname__}.{name}`": _shown(value) for cls in own for name, value in vars(cls).items() if _counts(name, value)}
    for module in {cls.__module__ for cls in own}:
        found.update({f"`{module}.{name}`": _shown(value) for name, value in vars(sys.modules[module]).items() if _counts(name, value)})
    return found


def _counts(name: str, value: Any) -> bool:
    """Data, that is: neither code nor what Python itself keeps there."""
    return not (
        name.startswith("__") or isinstance(value, (type, FunctionType, ModuleType, classmethod, staticmethod, property)) or "pydantic" in name
    )


def _shown(value: Any) -> str:
    """Plain data by what it holds, anything else by its own attributes."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_shown(key)}: {_shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(_shown, value))) + "}"
    inner = getattr(value, "__dict__", None)
    plain = {name: item for name, item in inner.items() if isinstance(item, (*_PLAIN, list, dict, set))} if isinstance(inner, dict) else {}
    return f"{type(value).__qualname__} {id(value):x} {plain!r}"
