"""The log of one command: `-v`, `-vv` and `RECONCILER_LOG`, and lines for its start and end.

`reconciler.logs` is imported only if logging is on, so that `--help` starts quickly.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from functools import wraps
from types import TracebackType
from typing import Annotated, Any

import typer

from reconciler.cli.invocation import with_options
from reconciler.errors import UsageFault

VARIABLE = "RECONCILER_LOG"
OPTION = "log_verbosity"
LEVELS = ("WARNING", "INFO", "DEBUG")  # by the number of `-v`
WORDS = {"debug": 2, "info": 1, "json": 1}

VerbosityOption = Annotated[
    int,
    typer.Option(
        "-v",
        count=True,
        show_default=False,
        help="Log to stderr what is done; `-vv` logs each request, decision and write.",
    ),
]


class CommandLog:
    """Logging for one command; costs nothing if no log is asked for."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._command = ""

    def __enter__(self) -> CommandLog:
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _current.reset(self._token)
        self._open.close()

    def start(self, command: str, verbosity: int) -> None:
        """Configure logging as the options and the environment ask for.

        Raises UsageFault for an unknown word in the variable.
        """
        words = environment_words(os.environ.get(VARIABLE, ""))
        chosen = max([verbosity, *(WORDS[word] for word in words)])
        if not chosen:
            return
        import logging

        from reconciler import logs

        level = logging.getLevelNamesMapping()[LEVELS[min(chosen, 2)]]
        logs.configure(level, json="json" in words)
        if not self._command:  # a group and its command start the same log
            self._open.callback(logs.disable)
            self._open.enter_context(logs.log_context(run=os.urandom(4).hex()))
        self._command = command
        logging.getLogger(__name__).info("`%s` started", command)

    def end(self, code: int) -> None:
        """Log the exit code, if there is a log."""
        if self._command:
            import logging

            logging.getLogger(__name__).info("`%s` ended with exit code %d", self._command, code)


_current: ContextVar[CommandLog] = ContextVar("command log")


def with_log(name: str, command: Callable[..., int]) -> Callable[..., int]:
    """Return `command` with the options of all, which starts the current log as `name`."""
    command = with_options(command)
    signature = inspect.signature(command, eval_str=True)
    verbosity = inspect.Parameter(
        OPTION, inspect.Parameter.KEYWORD_ONLY, default=0, annotation=VerbosityOption
    )

    @wraps(command)
    def logged(*args: Any, **kwargs: Any) -> int:
        _current.get().start(name, kwargs.pop(OPTION))
        return command(*args, **kwargs)

    # typer reads the signature and the annotations to find the options
    logged.__dict__["__signature__"] = signature.replace(
        parameters=[*signature.parameters.values(), verbosity]
    )
    logged.__annotations__ = {**command.__annotations__, OPTION: VerbosityOption}
    return logged


def environment_words(text: str | None = None) -> list[str]:
    """Return the words of `RECONCILER_LOG`, which are separated by commas or spaces.

    Raises UsageFault for an unknown one.
    """
    text = os.environ.get(VARIABLE, "") if text is None else text
    words = text.lower().replace(",", " ").split()
    for word in words:
        if word not in WORDS:
            raise UsageFault(
                f"unknown word `{word}` in `{VARIABLE}`",
                hint="expected `debug`, `info` or `json`; `debug,json` combines them",
            )
    return words
