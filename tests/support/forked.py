"""Processes that are forked off one that has imported what they need.

Each costs no more than what it does.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from typing import Any

_PRELOADED = [
    "tests.support.driver",
    "tests.support.hostile",
    "tests.support.beside",
    "tests.support.loaded_pip",
    "reconciler.manifest",
    "reconciler.plugin.testing",
    "reconciler.remote.http_fetcher",
    "reconciler_python",
    "alembic.command",
]


def started(function: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """Start a process that calls a function of a module."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    process = context.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def write_to(log: str) -> None:
    """Have all that this process writes appended to a file."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
