"""What the core hands to a plugin for reading. Plugins see these protocols; the engine implements
them.

Everything here belongs to one repository and one call, and is closed when the call returns: using
it afterwards raises PluginFault. What reads cannot write: that is all that planning hands out, so
that a dry run changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from reconciler.model import Page
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.content import ActiveFilter


class Unchanged:
    """Nothing changed: `read` returns it, and `declare` yields it, after `call.unchanged`."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()
"""The one `Unchanged`. Return or yield it only after `call.unchanged` has answered yes."""


class Part(msgspec.Struct, frozen=True):
    """Some bytes of a file. `start`: where they stand in it; `total`: how long the whole file is,
    in bytes.
    """

    start: int
    total: int
    body: bytes


class RepositoryInfo(Protocol):
    """The repository that a call is about."""

    @property
    def name(self) -> str:
        """As in the manifest: lower-case letters, digits, `-`, `_` and `.`."""
        ...

    @property
    def working_directory(self) -> Path:
        """A folder for this plugin on this repository alone: made on first use, removed with the
        repository.

        While planning it is a copy that is thrown away when the call returns; what must last from
        sync to sync belongs into the scratchpad.
        """
        ...


class Scratchpads(Protocol):
    """Notes from earlier calls, as JSON. Never a secret: they are recorded as they are."""

    def get_scratchpad(self) -> Any:
        """What this plugin noted last for this repository, or None. A copy: changing it changes
        nothing.
        """
        ...

    def get_repository_scratchpad(self) -> Any:
        """What any plugin of this repository noted last, or None. Discouraged: it ties plugins to
        each other.
        """
        ...


class WritableScratchpads(Scratchpads, Protocol):
    """Notes that this call may replace. A later `get` of the same call sees them; they are kept
    when the call succeeds as a whole.
    """

    def set_scratchpad(self, value: Any) -> None:
        """Replace the note: plain JSON of up to 1 MiB, None to forget it. Raises PluginFault naming
        what is not JSON.
        """
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
        """The remote's URL as the manifest has it: the base of relative URLs given to `get`. A
        folder's ends in a slash.
        """
        ...

    @property
    def options(self) -> Any:
        """The source's validated option model: overrides, the manifest's keys and the plugin level
        in one.
        """
        ...

    @property
    def config(self) -> PluginCallConfiguration:
        """The same keys as plain data, level by level, and those that no model knows."""
        ...

    @property
    def filters(self) -> Sequence[ActiveFilter]:
        """The filters that will decide on what this call brings, by name: to read only what they
        ask about. `select` has the last word.
        """
        ...

    @property
    def now(self) -> datetime:
        """The moment of the plan, with its time zone: the one that `select` is given."""
        ...

    async def get(self, url: str, *, accept: str = "*/*", at_least: int | None = None) -> Page:
        """Read one page: conditional request, page cache, retries, size limit. May be called
        several times at once.

        `at_least`: a serial that the answer must have reached (header `X-PyPI-Last-Serial`); an
        older answer is asked for again. Raises Gone (404, 410), Refused, Unreachable, Malformed;
        offline: NotCached.
        """
        ...

    async def get_json(self, url: str) -> Any:
        """Return the decoded body; floats as text. Raises Malformed where it is not JSON."""
        ...

    async def get_file(self, url: str, *, sha256: str) -> bytes:
        """A small file (up to 64 MiB) of a digest that is known. Nobody is asked when it was read
        before: bytes under a digest stay.

        Raises as `get` does, and Malformed where the bytes have another digest.
        """
        ...

    async def get_part(self, url: str, *, sha256: str, offset: int, length: int) -> Part:
        """Up to `length` bytes (64 MiB at most) of a file of a known digest, from `offset`; a
        negative one counts from the file's end.

        A part cannot be verified: decide with it what to ask for, and nothing more. Kept under the
        digest, as `get_file`. Where upstream serves no ranges, the file is read as far as it is
        needed. Raises as `get` does.
        """
        ...

    def unchanged(self, validator: str) -> bool:
        """Is what this call is about committed under this validator already, with the same options
        and filters?

        In `read` that is the group: return UNCHANGED. In `declare` and `sync` it is the whole
        source: yield UNCHANGED, or return, and declare nothing. Either way the validator is
        remembered, to be committed with what the call brings.
        """
        ...


class ImporterCall(ReadingCall, WritableScratchpads, Protocol):
    """Handed to `Importer.declare` and `Importer.read`. Scratchpad writes are kept when the whole
    source succeeded.
    """

    def refuse(self, key: str, reason: str) -> None:
        """In `read`: upstream lists `key`, and it cannot become a unit because `reason` (an unsafe
        name, no digest).

        It is shown as refused and is no failure. May be called any number of times; keys must be
        printable.
        """
        ...

    def taken(self, group: str) -> bool:
        """Does an earlier source of the repository own the group, so that this one is not asked
        about it unless it is `shared`?

        Where an earlier one could not be asked completely, it may own every name that this one is
        not committed to have.
        """
        ...

    def incomplete(self) -> None:
        """In `declare`: what is declared may lack something, since not all could be asked that has
        a say in it.

        Then nothing leaves in this run for being absent: neither groups that are not declared, nor
        units that `read` does not give. It keeps the names that it had, later sources get no new
        ones, and the run fails, with what `read` raises or with these words. What is declared needs
        validators of its own, so that the next run reads it again.
        """
        ...
