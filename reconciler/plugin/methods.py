"""The methods of a plugin's class, compared with those of its base class.

What the core awaits must be a coroutine function, what it calls must not be one, and what it asks
of the class must be a class method. A missing `async`, one too many and a missing `@classmethod`
are easily overlooked, and would show in the middle of a run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import (
    getattr_static,
    isasyncgenfunction,
    iscoroutinefunction,
    isfunction,
    isgeneratorfunction,
    unwrap,
)
from typing import Any

_AWAITABLE = re.compile(r"^(typing\.)?Any$|\b(Awaitable|Coroutine|Future|Task)\b")
DECLARE = "declare"


def method_problem(cls: type, base: type) -> str:
    """Return what is wrong with the first method that differs in kind from the base's.

    With what to write instead; empty if there is none.
    """
    return next(_problems(cls, base), "")


def instance_method_problem(cls: type, name: str) -> str:
    """Return the problem of a method that is asked of the class, where it needs an instance."""
    if isfunction(getattr_static(cls, name)):
        return f"its `{name}` is no class method: write `@classmethod` above it"
    return ""


def _problems(cls: type, base: type) -> Iterator[str]:
    for name, original in vars(base).items():
        if name.startswith("_") or getattr_static(cls, name) is original:
            continue
        if isinstance(original, classmethod):
            yield from filter(None, [instance_method_problem(cls, name)])
            original = original.__func__
        if isfunction(original):
            problem = _async_problem(name, original, unwrap(getattr(cls, name)))
            yield from filter(None, [problem])


def _async_problem(name: str, original: Any, method: Any) -> str:
    if name == DECLARE:
        return _generator_problem(method)
    if iscoroutinefunction(original):
        return (
            ""
            if _can_be_awaited(method)
            else (f"its `{name}` is no coroutine function: write `async def {name}`")
        )
    if iscoroutinefunction(method) or isasyncgenfunction(method):
        return f"its `{name}` is `async`, and would never run: write `def {name}`"
    if isgeneratorfunction(method) and original.__annotations__.get("return") in ("None", None):
        return f"its `{name}` is a generator, and would never run: write it without `yield`"
    return ""


def _can_be_awaited(method: Any) -> bool:
    """Judge by the annotation; a function without one is judged by what it gives when called."""
    returns = str(getattr(method, "__annotations__", {}).get("return", "Any"))
    return bool(iscoroutinefunction(method) or _AWAITABLE.search(returns))


def _generator_problem(method: Any) -> str:
    if isgeneratorfunction(method):
        return f"its `{DECLARE}` is no async generator: write `async def {DECLARE}`"
    if iscoroutinefunction(method):
        return (
            f"its `{DECLARE}` is no async generator: `yield` each group instead of returning them"
        )
    return ""
