"""What the core hands to a plugin for one call. Plugins see these protocols; the engine implements them.

A call or conduit belongs to one repository and one call, and is closed when the call returns: using it
afterwards raises PluginFault.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from reconciler.model import Page, StoredUnit
from reconciler.plugin.config import PluginCallConfiguration


class ImporterCall(Protocol):
    """Handed to `Importer.declare` and `Importer.read`."""

    @property
    def url(self) -> str:
        """The remote's URL with a trailing slash: the base of relative URLs given to `get`."""
        ...

    @property
    def options(self) -> Any:
        """The source's validated option model."""
        ...

    @property
    def config(self) -> PluginCallConfiguration: ...

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
        """In `read`: is the group committed under this validator already, with the same selection? Then return UNCHANGED.

        Either way the validator is remembered as the group's, to be committed with what `read` returns.
        """
        ...

    def refuse(self, key: str, reason: str) -> None:
        """In `read`: upstream lists `key`, and it cannot become a unit because `reason` (an unsafe name, no digest).

        It is shown as refused and is no failure. May be called any number of times; keys must be printable.
        """
        ...


class GroupOutput(Protocol):
    """Files that belong to one group of a publication: together they replace what the group had before."""

    def page(self, path: str, body: bytes, media_type: str, *, aliases: tuple[str, ...] = ()) -> None:
        """A rendered representation of `path`. A path that ends in `/` is a folder's index.

        Several media types per path are negotiated; the first emitted is the default. `aliases`: further types that
        may be asked for and are answered with this one. Rendering must depend on nothing but the version and the options.
        """
        ...

    def file(self, path: str, sha256: str, media_type: str = "application/octet-stream") -> None:
        """The bytes of a stored artifact under `path`."""
        ...


class PublishConduit(Protocol):
    """Handed to `Publisher.publish`: one version, and the difference to the version that was published last."""

    def changed(self) -> Iterator[str]:
        """Names of the groups to render, in name order: every one on the first publication or when the configuration changed,
        else those that differ. Emptied groups are among them: open them and emit nothing."""
        ...

    def groups(self) -> Iterator[str]:
        """Names of all groups of the version, in name order."""
        ...

    def units(self, group: str) -> list[StoredUnit]:
        """The units of a group in this version, by (type, key); artifact sizes are filled in once the bytes are known."""
        ...

    def group(self, name: str) -> AbstractContextManager[GroupOutput]:
        """Open a group for output."""
        ...

    def whole(self) -> AbstractContextManager[GroupOutput]:
        """Open what belongs to no group (the list of all projects)."""
        ...

    @property
    def options(self) -> Any:
        """The publication's validated option model."""
        ...
