"""Errors of plugins and upstream as messages on one line, sanitized.

Errors that a plugin did not raise on purpose name the place in its code.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime
from inspect import iscoroutine
from itertools import islice
from traceback import clear_frames, walk_tb
from typing import Any

from reconciler.errors import PluginFault, ReconcilerError
from reconciler.plugin import OptionFault, Options
from reconciler.plugin.missing_packages import missing_package_hint
from reconciler.redaction import exception_message, exception_summary, sanitize

_CORE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PYTHON = os.path.dirname(os.path.dirname(asyncio.__file__))
MOST_CAUSES = 20  # of an error
MOST_WARNINGS = 20  # of one set of options
_INSTALLED = ("site-packages", "dist-packages")  # which may lie among Python's own modules


def error_message(error: BaseException) -> str:
    """Return the message of an error, sanitized, on one line.

    Errors of the core, and those that plugins raise on purpose, keep their text; others get their
    type and the place where they were raised.
    """
    if isinstance(error, ReconcilerError | OptionFault):
        return exception_message(error)
    return " ".join(part for part in (exception_summary(error), _raised_at(error)) if part)


def release_frames(error: BaseException | None) -> None:
    """Let go of what the functions that raised an error held, such as pages of many megabytes.

    An error is kept until the plan is printed; where it was raised stays known.
    """
    for _ in range(MOST_CAUSES):
        if error is None:
            return
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def option_warnings(options: Options, now: datetime) -> list[str]:
    """Return what a plugin's options want to be looked at; what they raise instead is that, too."""
    try:
        return [sanitize(text) for text in islice(options.warnings(now), MOST_WARNINGS)]
    except Exception as error:  # a plugin may raise anything
        return [f"its warnings cannot be had: {error_message(error)}"]


def _raised_at(error: BaseException) -> str:
    """Return the deepest line of plugin code in the traceback.

    For example `(importer.py:48 in read)`.
    """
    foreign = [
        (frame.f_code, line)
        for frame, line in walk_tb(error.__traceback__)
        if _foreign(frame.f_code.co_filename)
    ]
    if not foreign:
        return ""
    folder = os.path.dirname(foreign[0][0].co_filename)
    code, line = [frame for frame in foreign if frame[0].co_filename.startswith(folder)][-1]
    return sanitize(f"({os.path.basename(code.co_filename)}:{line} in {code.co_name})", 200)


def _foreign(file: str) -> bool:
    if file.startswith((f"{_CORE}{os.sep}", "<")):
        return False
    return not file.startswith(f"{_PYTHON}{os.sep}") or any(name in file for name in _INSTALLED)


def error_hint(error: BaseException) -> str | None:
    """Return the error's hint, sanitized, or what to install for a failed import; else None."""
    hint: Any = getattr(error, "hint", None)
    return sanitize(hint) if isinstance(hint, str) and hint else _hint_of(error)


def _hint_of(error: BaseException) -> str | None:
    if isinstance(error, (TypeError, AttributeError)) and "'coroutine' object" in str(error):
        return "write `await` before what is asked of the conduit"
    if isinstance(error, NotImplementedError) and not str(error):
        return "override what the guide names for it: `declare` and `read`, or `sync`; `publish`"
    return missing_package_hint(error)


def error_text(error: Exception) -> str:
    """Return the message, and the hint on a line of its own."""
    hint = error_hint(error)
    return f"{error_message(error)}\nhint: {hint}" if hint else error_message(error)


async def awaited(answer: Any, method: str) -> Any:
    """Return what a coroutine function of a plugin gives; PluginFault where it is none."""
    if not isinstance(answer, Awaitable):
        raise PluginFault(
            f"`{method}` is no coroutine function: it gives {type(answer).__name__}",
            hint=f"write `async def {method}`",
        )
    return await answer


def is_unawaited(answer: Any) -> bool:
    """Return True if `answer` is a coroutine or asynchronous iterator that nothing will run.

    A coroutine is closed, so that Python does not warn of it as well.
    """
    if iscoroutine(answer):
        answer.close()
    return isinstance(answer, Awaitable | AsyncIterator)
