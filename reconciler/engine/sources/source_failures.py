"""Failures while sources are asked, and what they are reported as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message
from reconciler.errors import PluginFault, ReconcilerError
from reconciler.model import Unit, check_unit
from reconciler.plan import Failure
from reconciler.plugin.validation import Plugin
from reconciler.redaction import exception_message


class SourceFailure(Exception):
    """A source could not be asked what it holds, because of `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(exception_message(cause))
        self.cause = cause


@contextmanager
def unit_faults(call: str) -> Iterator[None]:
    """Name `call` in what a content type raises by accident.

    Errors of the core about its answers name the unit already and pass.
    """
    try:
        yield
    except ReconcilerError:
        raise
    except Exception as error:
        message = f"{call} failed: {error_message(error)}"
        raise PluginFault(message, hint=error_hint(error)) from error


def failure_of(source: str, group: str | None, error: Exception, *, plugin: Plugin) -> Failure:
    """Return an error as a failure for the plan, without secrets.

    Errors of the core and of upstream keep their message; others name the plugin.
    """
    message = error_message(error)
    if not isinstance(error, ReconcilerError):
        message = f"importer `{plugin.id}` failed: {message}"
    elif isinstance(error, PluginFault) and f"`{plugin.id}`" not in message:
        message = f"importer `{plugin.id}`: {message}"
    return Failure(source, group, message, error_hint(error))


def invalid_unit(units: Iterable[Unit]) -> PluginFault | None:
    """Return what is wrong with the first invalid unit, or None.

    Called once something failed, because each unit is checked where it enters the core.
    """
    try:
        for unit in units:
            check_unit(unit)
    except PluginFault as fault:
        return fault
    return None
