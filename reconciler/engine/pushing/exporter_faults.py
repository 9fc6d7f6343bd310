"""Errors of an exporter: what it says on purpose passes, what else it raises is its fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.errors import ReconcilerError, UsageFault
from reconciler.plugin import OptionFault


@contextmanager
def exporter_faults(call: str) -> Iterator[None]:
    """Let errors of an index pass; turn others into a PluginFault that names `call`."""
    try:
        yield
    except ReconcilerError:
        raise
    except OptionFault as fault:
        raise UsageFault(str(fault), hint=fault.hint) from None
    except BaseException:
        with plugin_faults(call):
            raise
