"""Code of others, run so that whatever it does is its own failure and nobody else's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from threading import current_thread, main_thread
from typing import TypeVar

from reconciler.redaction import exception_summary

Answer = TypeVar("Answer")


class Unsound(Exception):
    """Why a plugin cannot be used, in words for people; they go behind `disabled:`."""


def run(call: Callable[[], Answer], failing: str) -> Answer:
    """What `call` returns; whatever it raises becomes Unsound, as `failing` and the cause.

    Even SystemExit: a module that ends the process when it is imported must not end ours. Only an
    interrupt is the user's own. What it prints goes to stderr: stdout may be carrying a document.
    (In the main thread, which is where plugins are judged: elsewhere two calls at once would
    restore each other's stream.)
    """
    try:
        with redirect_stdout(sys.stderr) if current_thread() is main_thread() else nullcontext():
            return call()
    except (Unsound, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise Unsound(f"{failing}: {exception_summary(error)}") from error
