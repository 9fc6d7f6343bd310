"""Logging of one process: destinations, formats, context and redaction.

Every module logs through `logging.getLogger(__name__)`. Nothing is shown until `configure` runs;
records then go to stderr, as text or as JSON lines. Secrets that this process has read are replaced
by `***` in each record. `log_context` adds the run and the repository to every record of a block;
asyncio tasks and `asyncio.to_thread` inherit them, `in_context` carries them into other threads.
"""

from __future__ import annotations

import json as json_format
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from typing import NamedTuple, ParamSpec, TypeVar

from reconciler.redaction import redact, sanitize

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 8_000  # characters of a message that are shown

_RUN: ContextVar[str | None] = ContextVar("run", default=None)
_REPOSITORY: ContextVar[str | None] = ContextVar("repository", default=None)


class LogSettings(NamedTuple):
    """Lowest level that is shown, and the format of the lines."""

    level: int
    json: bool = False


def configure(level: int, *, json: bool = False) -> None:
    """Show records from `level` on, on stderr; replaces an earlier configuration.

    Other libraries are shown from WARNING on: below that their records are about their own affairs.
    """
    disable()
    root = logging.getLogger()
    root.addHandler(StderrHandler(LogSettings(level, json)))
    for package in _packages:
        logging.getLogger(package).setLevel(level)


def disable() -> None:
    """Show nothing again."""
    root = logging.getLogger()
    for handler in _handlers():
        root.removeHandler(handler)
    for package in _packages:
        logging.getLogger(package).setLevel(logging.NOTSET)


def current() -> LogSettings | None:
    """Return the settings of `configure`, for a worker process; None where silent."""
    return next((handler.settings for handler in _handlers()), None)


def include_package(name: str) -> None:
    """Treat the loggers of this top-level package, a plugin's, like our own."""
    if name in _packages:
        return
    _packages.add(name)
    logger = logging.getLogger(name)
    logger.addHandler(logging.NullHandler())  # else Python prints its warnings while we are silent
    if (settings := current()) is not None:
        logger.setLevel(settings.level)


@contextmanager
def log_context(*, run: str | None = None, repository: str | None = None) -> Iterator[None]:
    """Name the run, the repository or both in every record of this block."""
    before = _RUN.get(), _REPOSITORY.get()
    _RUN.set(run if run is not None else before[0])
    _REPOSITORY.set(repository if repository is not None else before[1])
    try:
        yield
    finally:  # not by token: a generator may end in another context than the one it began in
        _RUN.set(before[0])
        _REPOSITORY.set(before[1])


def in_context(function: Callable[P, T]) -> Callable[P, T]:
    """Return `function` bound to the present context, for a thread that inherits none."""
    context = copy_context()

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        # a copy for each call: one context cannot be entered twice at the same time
        return context.copy().run(function, *args, **kwargs)

    return call


class StderrHandler(logging.Handler):
    """Write records to the present `sys.stderr`: progress bars replace it."""

    def __init__(self, settings: LogSettings) -> None:
        super().__init__(settings.level)
        self.settings = settings
        self.addFilter(RedactionFilter())
        self.addFilter(add_context)
        self.setFormatter(JsonFormatter() if settings.json else TextFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. A broken stderr loses it, and nothing else."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass


class RedactionFilter(logging.Filter):
    """Replace secrets in the message, its arguments, the exception and the stack of each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; always returns True."""
        record.msg, record.args = redact(_message(record)), None
        if record.exc_info and not record.exc_text:
            record.exc_text = _EXCEPTIONS.formatException(record.exc_info)
        record.exc_info = None
        record.exc_text = redact(record.exc_text) if record.exc_text else None
        record.stack_info = redact(record.stack_info) if record.stack_info else None
        return True


def add_context(record: logging.LogRecord) -> bool:
    """Store run and repository of the present context in the record; always returns True."""
    record.run, record.repository = _RUN.get(), _REPOSITORY.get()
    return True


class TextFormatter(logging.Formatter):
    """`TIME LEVEL LOGGER [run=R repository=NAME] MESSAGE`, a traceback indented below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text; line breaks in the message are escaped."""
        context = " ".join(f"{key}={value}" for key, value in _context(record).items() if value)
        place = f"{record.name} [{context}]" if context else record.name
        message = sanitize(record.getMessage(), LONGEST)
        head = f"{_time(record)} {record.levelname} {place} {message}"
        return "\n    ".join((head, *_traceback(record).splitlines()))


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one JSON object.

        Keys: `time`, `level`, `logger`, `message`, `run`, `repository`; `exception` where there is
        one.
        """
        fields = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()[:LONGEST],
            **_context(record),
        }
        if traceback := _traceback(record):
            fields["exception"] = traceback
        return json_format.dumps(fields, ensure_ascii=False)


def _handlers() -> list[StderrHandler]:
    return [
        handler for handler in logging.getLogger().handlers if isinstance(handler, StderrHandler)
    ]


def _message(record: logging.LogRecord) -> str:
    """Return the formatted message; arguments that do not fit are left out."""
    try:
        return record.getMessage()
    except Exception:  # an argument's `__str__` may be foreign code
        return f"{record.msg!s} (its arguments cannot be formatted)"


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _context(record: logging.LogRecord) -> dict[str, str | None]:
    return {name: getattr(record, name, None) for name in ("run", "repository")}


def _traceback(record: logging.LogRecord) -> str:
    return "\n".join(text for text in (record.exc_text, record.stack_info) if text)


_EXCEPTIONS = logging.Formatter()
_packages: set[str] = set()
include_package("reconciler")
