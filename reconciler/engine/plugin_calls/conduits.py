"""What the engine hands to plugins, closed once the call returns, and the border at which a
plugin's failures get a name.
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
    """Nobody looks how long it takes."""
    yield _nothing


def _nothing() -> None:
    """No sign of life is needed."""


class CallScope:
    """Handed out for one call. `conduit`: its name in `reconciler.plugin`. `alive` is called
    whenever the plugin asks for something.
    """

    conduit: ClassVar[str] = "conduit"

    def __init__(self, alive: Callable[[], None] = _nothing) -> None:
        self._alive = alive
        self._closed = False

    def close(self) -> None:
        """The call has returned: whoever kept this object can do nothing with it. May be called any
        number of times.
        """
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise PluginFault(
                f"a plugin used its `{self.conduit}` after its call had returned",
                hint="keep nothing between calls",
            )
        self._alive()

    def _while_open(self, items: Iterable[Item]) -> Iterator[Item]:
        """`items`, for as long as the call lasts: an iterator that was kept gives out nothing more."""
        self._check_open()
        for item in items:
            yield item
            self._check_open()


class ScratchpadReader(CallScope):
    """Scratchpads, for reading; implements `reconciler.plugin.Scratchpads`. `owner`: whose own pad
    it is.
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
    """Scratchpads that may be written; implements `reconciler.plugin.WritableScratchpads`."""

    def set_scratchpad(self, value: Any) -> None:
        self._check_open()
        self._scratchpads.set(self._owner, value)

    def set_repository_scratchpad(self, value: Any) -> None:
        self._check_open()
        self._scratchpads.set(REPOSITORY, value)


class ValidationConduit(ScratchpadReader):
    """Implements `reconciler.plugin.ValidateConduit`. `counts`: asked for only when the plugin
    asks.
    """

    conduit = "ValidateConduit"

    def __init__(
        self,
        scratchpads: ScratchpadSession,
        owner: str,
        options: Any,
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
    """Foreign code runs within: whatever it raises, SystemExit too, becomes a PluginFault that
    names `call`, with its hint.

    What our own rooms say below a conduit - somebody else was faster, the state cannot be used - is
    not the plugin's fault and passes.
    """
    try:
        yield
    except (KeyboardInterrupt, Conflict, LeaseHeld, StateFault):
        raise
    except (ReconcilerError, OptionFault) as error:
        raise PluginFault(f"{call}: {error_message(error)}", hint=error_hint(error)) from error
    except BaseException as error:
        raise PluginFault(f"{call} failed: {error_message(error)}") from error


def call_configuration(config: Any, plugin: Plugin) -> PluginCallConfiguration:
    """A source's or publication's configuration; nothing but the plugin's own level where there is
    none.
    """
    return (
        config
        if isinstance(config, PluginCallConfiguration)
        else PluginCallConfiguration({}, {}, plugin.config)
    )
