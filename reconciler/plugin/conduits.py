"""Conduits: one kind per operation, each bound to one repository and one call, closed when the call
returns.

A closed conduit raises PluginFault whatever is asked of it. `SyncConduit` records and
`ValidateConduit` reads: neither can write, whoever runs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from reconciler.model import Artifact, StoredUnit, Unit
from reconciler.plugin.calls import ReadingCall, RepositoryInfo, Scratchpads, WritableScratchpads
from reconciler.plugin.config import PluginCallConfiguration

Placed = tuple[str, Unit]
"""A unit and the name of the group that it belongs to."""


class UploadedFile(msgspec.Struct, frozen=True):
    """A file that somebody sent. `name`: as they called it, without folders; hostile until parsed.

    `path`: where its bytes lie for the length of the call. `size` in bytes; `sha256`: 64 lower-case
    hex digits, computed from the bytes that arrived.
    """

    name: str
    path: Path
    size: int
    sha256: str


class UploadForm(msgspec.Struct, frozen=True):
    """What came along with a file. `path`: within the publication, as `upload/`; `fields`: texts by
    name.
    """

    path: str
    fields: Mapping[str, str]


class Members(Protocol):
    """What a repository holds."""

    def groups(self) -> Iterator[str]:
        """Names of the groups that hold something, in name order."""
        ...

    def units(self, group: str) -> list[StoredUnit]:
        """The units of a group, by (type, key); empty where there is no such group."""
        ...


class SyncConduit(ReadingCall, Members, WritableScratchpads, Protocol):
    """Handed to `Importer.sync`: asks upstream, shows what this source holds, and records what
    should change.

    The record is the plan; nothing of it happens while `sync` runs, and a dry run throws it away.
    What is not mentioned stays.
    """

    def init_unit(
        self, type: str, key: str, metadata: Mapping[str, Any], artifacts: Sequence[Artifact] = ()
    ) -> Unit:
        """A unit, checked here and now. Raises PluginFault naming what the core would not take; an
        artifact without a digest is fine: the core downloads it while planning.
        """
        ...

    def save_unit(self, group: str, unit: Unit) -> None:
        """The unit joins `group`, or takes the place of the one under its type and key. Whether it
        is let in is decided by `select`.
        """
        ...

    def associate_unit(self, unit: StoredUnit) -> None:
        """A unit that is known already joins as it is. Its bytes must be in the store."""
        ...

    def remove_unit(self, unit: StoredUnit) -> None:
        """Remove a unit of this source. In additive mode it stays, which is not an error."""
        ...

    def refuse(self, group: str, key: str, reason: str) -> None:
        """Upstream lists `key`, and it cannot become a unit because `reason`. It is shown as
        refused and is no failure.
        """
        ...


class HandConduit(Members, WritableScratchpads, Protocol):
    """What `UploadConduit` and `ReceiveConduit` have in common: somebody changes a repository by
    hand.
    """

    @property
    def repository(self) -> RepositoryInfo: ...

    @property
    def options(self) -> Any:
        """The validated option model: of the repository's `upload` source for an importer, of the
        publication for a publisher.
        """
        ...

    @property
    def config(self) -> PluginCallConfiguration: ...

    @property
    def received_at(self) -> datetime:
        """When the call began, in UTC: the time that an upload has."""
        ...


class UploadConduit(HandConduit, Protocol):
    """Handed to `Importer.upload` and `Importer.remove`: what the repository holds, and notes."""


class ReceiveConduit(HandConduit, Protocol):
    """Handed to `Publisher.receive`: what the repository behind the publication holds, and the
    publisher's own notes.
    """

    @property
    def publication(self) -> str:
        """The name of the publication that the file was sent to."""
        ...

    def to_importer(self, file: UploadedFile, fields: Mapping[str, str]) -> Iterable[Placed]:
        """What the importer of the repository makes of a file. Raises what its `upload` raises."""
        ...


class CopyConduit(Members, WritableScratchpads, Protocol):
    """Handed to `Importer.copy`: what the repository holds (`groups`, `units`), and what the one
    holds that is copied from (`source`).
    """

    @property
    def repository(self) -> RepositoryInfo:
        """The repository that is copied into."""
        ...

    @property
    def source(self) -> Members:
        """What the version holds that is copied from."""
        ...

    @property
    def options(self) -> Any:
        """The source's validated option model."""
        ...

    @property
    def config(self) -> PluginCallConfiguration:
        """The source's configuration for this call."""
        ...


class ValidateConduit(Scratchpads, Protocol):
    """Handed to `validate_config`. It reads and cannot write."""

    @property
    def options(self) -> Any:
        """The validated option model that the configuration makes."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many units of each content type the repository holds now; empty for a new one."""
        ...


class GroupOutput(Protocol):
    """Files that belong to one group of a publication: together they replace what the group had
    before.
    """

    def page(
        self, path: str, body: bytes, media_type: str, *, aliases: tuple[str, ...] = ()
    ) -> None:
        """A rendered representation of `path`. A path that ends in `/` is a folder's index.

        Several media types per path are negotiated; the first emitted is the default. `aliases`:
        further types that may be asked for and are answered with this one. Rendering must depend on
        nothing but the version and the options.
        """
        ...

    def file(self, path: str, sha256: str, media_type: str = "application/octet-stream") -> None:
        """The bytes of a stored artifact under `path`."""
        ...


class PublishConduit(Members, WritableScratchpads, Protocol):
    """Handed to `Publisher.publish`: one version, and the difference to the version that was
    published last.

    `units`: artifact sizes are filled in once the bytes are known.
    """

    @property
    def repository(self) -> RepositoryInfo:
        """The repository that is published."""
        ...

    def changed(self) -> Iterator[str]:
        """Names of the groups to render, in name order: every one on the first publication or when
        the configuration changed, else those that differ. Emptied groups are among them: open them
        and emit nothing. One that is not opened is a fault.
        """
        ...

    def group(self, name: str) -> AbstractContextManager[GroupOutput]:
        """Open a group for output, in a `with` block: at its end the group's files are replaced.
        Once for each group; raises PluginFault for one that the version does not hold and that is
        not among `changed`.
        """
        ...

    def whole(self) -> AbstractContextManager[GroupOutput]:
        """Open what belongs to no group (the list of all projects). Once; where it is not opened
        there is nothing of the kind.
        """
        ...

    @property
    def options(self) -> Any:
        """The publication's validated option model."""
        ...

    @property
    def config(self) -> PluginCallConfiguration:
        """The same keys as plain data, level by level, and those that no model knows."""
        ...


class MissingCall(msgspec.Struct, frozen=True):
    """Handed to `Publisher.missing`. `publication`: its name."""

    publication: str


class Redirect(msgspec.Struct, frozen=True):
    """What `Publisher.missing` answers: `path`, within the same publication, is what was meant."""

    path: str
