"""Conduits handed to plugins, closed once their call has returned.

Errors of plugins get the name of the call here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, TypeVar

from reconciler.engine.plugin_calls.plugin_errors import error_hint, error_message
from reconciler.engine.plugin_calls.scratchpads import REPOSITORY, ScratchpadSession
from reconciler.errors import Conflict, LeaseHeld, PluginFault, ReconcilerError, StateFault
from reconciler.plugin import OptionFault, PluginCallConfiguration
from reconciler.plugin.validation import Plugin

Item = TypeVar("Item")

CallWatch = Callable[[str], AbstractContextManager[Callable[[], None]]]
"""Around foreign code in a worker thread, with its name for messages; what it yields is called as a
sign of life.
"""


@contextmanager
def unwatched(what: str) -> Iterator[Callable[[], None]]:
    """Run plugin code without a time limit."""
    yield _nothing


def _nothing() -> None:
    """Ignore a restart of the time limit."""


class CallScope:
    """Base of everything that is handed to a plugin for one call.

    `conduit` is its name in `reconciler.plugin`. `alive` is called with every use by the plugin.
    """

    conduit: ClassVar[str] = "conduit"
    after_close: ClassVar[str] = "keep nothing between calls"

    def __init__(self, alive: Callable[[], None] = _nothing) -> None:
        self._alive = alive
        self._closed = False

    def close(self) -> None:
        """End the call: every later use raises PluginFault. May be called any number of times."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise PluginFault(
                f"a plugin used its `{self.conduit}` after its call had returned",
                hint=self.after_close,
            )
        self._alive()

    def _while_open(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield `items` for as long as the call lasts."""
        self._check_open()
        for item in items:
            yield item
            self._check_open()


class ScratchpadReader(CallScope):
    """Read access to scratchpads; implements `reconciler.plugin.Scratchpads`.

    `owner` is the plugin whose own scratchpad it is.
    """

    def __init__(
        self, scratchpads: ScratchpadSession, owner: str, alive: Callable[[], None] = _nothing
    ) -> None:
        super().__init__(alive)
        self._scratchpads = scratchpads
        self._owner = owner

    def get_scratchpad(self) -> Any:
        self._check_open()
        return self._scratchpads.get(self._owner)

    def get_repository_scratchpad(self) -> Any:
        self._check_open()
        return self._scratchpads.get(REPOSITORY)


class ScratchpadConduit(ScratchpadReader):
    """Write access to scratchpads; implements `reconciler.plugin.WritableScratchpads`."""

    def set_scratchpad(self, value: Any) -> None:
        self._check_open()
        self._scratchpads.set(self._owner, value)

    def set_repository_scratchpad(self, value: Any) -> None:
        self._check_open()
        self._scratchpads.set(REPOSITORY, value)


class ValidationConduit(ScratchpadReader):
    """Implements `reconciler.plugin.ValidateConduit`. `counts` is computed on demand."""

    conduit = "ValidateConduit"

    def __init__(
        self,
        scratchpads: ScratchpadSession,
        owner: str,
        options: Any,
        *,
        counts: Callable[[], Mapping[str, int]],
        alive: Callable[[], None] = _nothing,
    ) -> None:
        super().__init__(scratchpads, owner, alive)
        self._options = options
        self._counts = counts

    @property
    def options(self) -> Any:
        self._check_open()
        return self._options

    def counts(self) -> Mapping[str, int]:
        self._check_open()
        return dict(self._counts())


@contextmanager
def plugin_faults(call: str) -> Iterator[None]:
    """Turn what plugin code raises in the block into a PluginFault that names `call`.

    That includes SystemExit. Conflict, LeaseHeld and StateFault pass: the core raises them below a
    conduit, so they are no fault of the plugin.
    """
    try:
        yield
    except (KeyboardInterrupt, Conflict, LeaseHeld, StateFault):
        raise
    except (ReconcilerError, OptionFault) as error:
        raise PluginFault(f"{call}: {error_message(error)}", hint=error_hint(error)) from error
    except BaseException as error:
        message = f"{call} failed: {error_message(error)}"
        raise PluginFault(message, hint=error_hint(error)) from error


def call_configuration(config: Any, plugin: Plugin) -> PluginCallConfiguration:
    """Return the configuration of a source or publication; the plugin's own without one."""
    return (
        config
        if isinstance(config, PluginCallConfiguration)
        else PluginCallConfiguration({}, {}, plugin.config)
    )
