"""Conduits with which importers ask upstream; the engine implements them.

Everything here belongs to one repository and one call, and is closed when the call returns: using
it afterwards raises PluginFault. They cannot write, and planning hands out no others, so
that a dry run changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from reconciler.model import Page, Unit
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.content import ActiveFilter
from reconciler.plugin.type_arguments import Filter_co, Source_co


class Unchanged:
    """Nothing changed: `read` returns it, and `declare` yields it, after `conduit.unchanged`."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()
"""The only `Unchanged`. Return or yield it only after `conduit.unchanged` returned True."""


class Part(msgspec.Struct, frozen=True):
    """Part of a file. `start`: its offset; `total`: size of the whole file in bytes."""

    start: int
    total: int
    body: bytes


class RepositoryInfo(Protocol):
    """Repository of a call."""

    @property
    def name(self) -> str:
        """Name as in the manifest: lower-case letters, digits, `-`, `_` and `.`."""
        ...

    @property
    def working_directory(self) -> Path:
        """Folder for this plugin and this repository alone.

        Made on first use, removed with the repository. While planning it is a copy that is thrown
        away when the call returns; what must last from sync to sync belongs into the scratchpad.
        """
        ...


class Scratchpads(Protocol):
    """Notes of earlier calls, as JSON. They are recorded as they are: never store a secret."""

    def get_scratchpad(self) -> Any:
        """Return a copy of this plugin's last note for this repository, or None."""
        ...

    def get_repository_scratchpad(self) -> Any:
        """Return the last note that any plugin of this repository made, or None.

        Discouraged: it ties plugins to each other.
        """
        ...


class WritableScratchpads(Scratchpads, Protocol):
    """Notes that this call may replace.

    A later `get` in the same call sees them; they are kept when the call succeeds as a whole.
    """

    def set_scratchpad(self, value: Any) -> None:
        """Replace the note: plain JSON of up to 1 MiB, or None to forget it.

        Raises PluginFault naming what is not JSON.
        """
        ...

    def set_repository_scratchpad(self, value: Any) -> None:
        """Replace the note that all plugins of the repository share."""
        ...


class UpstreamConduit(Protocol[Source_co, Filter_co]):
    """Access to upstream, for `ReadConduit` and `SyncConduit` alike."""

    @property
    def repository(self) -> RepositoryInfo:
        """Repository that the source belongs to."""
        ...

    @property
    def url(self) -> str:
        """URL of the remote as the manifest has it: the base of relative URLs given to `get`.

        The URL of a folder ends in a slash.
        """
        ...

    @property
    def options(self) -> Source_co:
        """Validated option model of the source: overrides, manifest and plugin level in one."""
        ...

    @property
    def config(self) -> PluginCallConfiguration:
        """The same keys as plain data, level by level, and keys that the model does not know."""
        ...

    @property
    def filters(self) -> Sequence[ActiveFilter[Filter_co]]:
        """Filters that will decide on what this call brings, by name.

        Use them to read only what they ask about; `select` has the last word.
        """
        ...

    @property
    def now(self) -> datetime:
        """Moment of the plan, with its time zone: the same one that `select` gets."""
        ...

    async def with_first_seen(self, units: Sequence[Unit]) -> Sequence[Unit]:
        """Return units of one group in their order, as `select` gets them.

        Those that the content type names in `needs_first_seen` have `_firstSeen` in their
        `metadata`. For importers that decide beforehand; `select` gets them so in any case.
        """
        ...

    async def get(self, url: str, *, accept: str = "*/*", at_least: int | None = None) -> Page:
        """Return one page: conditional request, page cache, retries, size limit.

        May be called several times at once. `at_least`: serial that the response must have reached
        (header `X-PyPI-Last-Serial`); an older response is requested again. A page comes from the
        remote's own origin, or from a host that its `redirects` names. After a 406 to several
        types `text/html` alone is asked for. Raises Gone (404, 410), Refused (also for another
        origin), Unreachable, Malformed; offline: NotCached.
        """
        ...

    async def get_json(self, url: str) -> Any:
        """Return the decoded body; floats as text. Raises Malformed where it is not JSON."""
        ...

    async def get_file(self, url: str, *, sha256: str) -> bytes:
        """Return a small file (up to 64 MiB) whose digest is known.

        A file that was read before comes from the cache, without a request. Raises as `get` does,
        and Malformed where the bytes have another digest.
        """
        ...

    async def get_part(self, url: str, *, sha256: str, offset: int, length: int) -> Part:
        """Return up to `length` bytes (at most 64 MiB) from `offset` of a file of a known digest.

        A negative offset counts from the end of the file. A part cannot be verified: use it only to
        decide what to ask for. Cached under the digest, as `get_file`. Where upstream serves no
        ranges, the file is read as far as needed. Raises as `get` does.
        """
        ...

    def unchanged(self, validator: str) -> bool:
        """Return True if this validator is committed already, with the same options and filters.

        In `read` it is about the group: return UNCHANGED. In `declare` and `sync` it is about the
        whole source: yield UNCHANGED, or return, and declare nothing. Either way the validator is
        remembered, to be committed with what the call brings.
        """
        ...


class ReadConduit(
    UpstreamConduit[Source_co, Filter_co], WritableScratchpads, Protocol[Source_co, Filter_co]
):
    """Argument of `Importer.declare` and `Importer.read`.

    Scratchpad writes are kept when the whole source succeeds.
    """

    def refuse(self, key: str, reason: str) -> None:
        """In `read`: refuse `key`, which upstream lists but which cannot become a unit.

        `reason`: such as an unsafe name, or a missing digest. The key is shown as refused, which is
        not a failure. May be called any number of times; keys must be printable.
        """
        ...

    def owned_by_earlier_source(self, group: str) -> bool:
        """Return True if an earlier source of the repository owns the group.

        This source is then not asked about it unless the group is `shared`. An earlier source that
        could not be read completely may own every name that is not committed to this one.
        """
        ...

    def incomplete(self, reason: str) -> None:
        """Report that an answer may be incomplete; in `declare`, that of the declared groups.

        For a source that could not ask all servers it depends on. Then nothing is removed for being
        absent in this run: neither groups that are not declared, nor units that `read` does not
        return. The source keeps the names that it had, later sources get no new ones, and the run
        fails, with what `read` raises or with a message of its own. Declared groups need validators
        of their own, so that the next run reads them again.

        `reason`: what could not be asked, for users; what the last page that failed said is added.

        In `read`: report the same of this group alone. What is new comes in, nothing leaves it, and
        the next run reads it again.
        """
        ...
