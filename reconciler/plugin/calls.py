"""What the core hands to a plugin for reading. Plugins see these protocols; the engine implements them.

Everything here belongs to one repository and one call, and is closed when the call returns: using it afterwards
raises PluginFault. What reads cannot write: that is all that planning hands out, so that a dry run changes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol

from reconciler.model import Page
from reconciler.plugin.config import PluginCallConfiguration


class Unchanged:
    """Nothing changed: what `read` returns, and `declare` yields, after `call.unchanged` said so."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()
"""The one `Unchanged`. Return or yield it only after `call.unchanged` has answered yes."""


class RepositoryInfo(Protocol):
    """The repository that a call is about."""

    @property
    def name(self) -> str:
        """As in the manifest: lower-case letters, digits, `-`, `_` and `.`."""
        ...

    @property
    def working_directory(self) -> Path:
        """A folder for this plugin on this repository alone: made on first use, removed with the repository.

        While planning it is a copy that is thrown away when the call returns; what must last from sync to sync belongs into the scratchpad.
        """
        ...


class Scratchpads(Protocol):
    """Notes from earlier calls, as JSON. Never a secret: they are recorded as they are."""

    def get_scratchpad(self) -> Any:
        """What this plugin noted last for this repository, or None. A copy: changing it changes nothing."""
        ...

    def get_repository_scratchpad(self) -> Any:
        """What any plugin of this repository noted last, or None. Discouraged: it ties plugins to each other."""
        ...


class WritableScratchpads(Scratchpads, Protocol):
    """Notes that this call may replace. A later `get` of the same call sees them; they are kept when the call succeeds as a whole."""

    def set_scratchpad(self, value: Any) -> None:
        """Replace the note: plain JSON of up to 1 MiB, None to forget it. Raises PluginFault naming what is not JSON."""
        ...

    def set_repository_scratchpad(self, value: Any) -> None:
        """Replace the note that all plugins of the repository share."""
        ...


class ReadingCall(Protocol):
    """Asking upstream, for `ImporterCall` and `SyncConduit` alike."""

    @property
    def repository(self) -> RepositoryInfo:
        """The repository that the source belongs to."""
        ...

    @property
    def url(self) -> str:
        """The remote's URL as the manifest has it: the base of relative URLs given to `get`. A folder's ends in a slash."""
        ...

    @property
    def options(self) -> Any:
        """The source's validated option model: overrides, the manifest's keys and the plugin level in one."""
        ...

    @property
    def config(self) -> PluginCallConfiguration:
        """The same keys as plain data, level by level, and those that no model knows."""
        ...

    async def get(self, url: str, *, accept: str = "*/*", at_least: int | None = None) -> Page:
        """Read one page: conditional request, page cache, retries, size limit. May be called several times at once.

        `at_least`: a serial that the answer must have reached (header `X-PyPI-Last-Serial`); an older answer is asked
        for again. Raises Gone (404, 410), Refused, Unreachable, Malformed; offline: NotCached.
        """
        ...

    async def get_json(self, url: str) -> Any:
        """`get`, decoded. Floats arrive as their text. Raises Malformed where the body is not JSON."""
        ...

    def unchanged(self, validator: str) -> bool:
        """Is what this call is about committed under this validator already, with the same options and filters?

        In `read` that is the group: return UNCHANGED. In `declare` and `sync` it is the whole source: yield UNCHANGED, or return, and
        declare nothing. Either way the validator is remembered, to be committed with what the call brings.
        """
        ...


class ImporterCall(ReadingCall, WritableScratchpads, Protocol):
    """Handed to `Importer.declare` and `Importer.read`. Scratchpad writes are kept when the whole source succeeded."""

    def refuse(self, key: str, reason: str) -> None:
        """In `read`: upstream lists `key`, and it cannot become a unit because `reason` (an unsafe name, no digest).

        It is shown as refused and is no failure. May be called any number of times; keys must be printable.
        """
        ...
