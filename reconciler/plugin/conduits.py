"""Conduits: access to one repository for one call, one class per operation.

A closed conduit raises PluginFault whatever is asked of it. `SyncConduit` records and
`ValidateConduit` reads: neither can write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from reconciler.model import Artifact, StoredArtifact, StoredUnit, Unit
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.endpoints import GroupedUnit, UploadedFile
from reconciler.plugin.type_arguments import Filter_co, Options_co, Pages_co, Source_co
from reconciler.plugin.upstream_conduits import (
    RepositoryInfo,
    Scratchpads,
    UpstreamConduit,
    WritableScratchpads,
)


class RepositoryContent(Protocol):
    """Content of a repository."""

    def groups(self) -> Iterator[str]:
        """Yield the names of groups that are not empty, in name order."""
        ...

    def units(self, group: str) -> list[StoredUnit]:
        """Return the units of a group by (type, key), or an empty list for an unknown group."""
        ...


class SyncConduit(
    UpstreamConduit[Source_co, Filter_co],
    RepositoryContent,
    WritableScratchpads,
    Protocol[Source_co, Filter_co],
):
    """Argument of `Importer.sync`: asks upstream, shows what the source holds, records changes.

    The record is the plan: nothing is changed while `sync` runs, and a dry run throws the record
    away. Units that are not mentioned stay.
    """

    def init_unit(  # noqa: PLR0917  # plugin API 1.x
        self, type: str, key: str, metadata: Mapping[str, Any], artifacts: Sequence[Artifact] = ()
    ) -> Unit:
        """Return a validated unit. Raises PluginFault naming what the core does not accept.

        An artifact may lack a digest: the core then downloads it while planning.
        """
        ...

    def save_unit(self, group: str, unit: Unit) -> None:
        """Add the unit to `group`, or replace the one of the same type and key.

        `select` decides whether it is accepted.
        """
        ...

    def associate_unit(self, unit: StoredUnit) -> None:
        """Add a stored unit as it is. Its bytes must be in the store."""
        ...

    def remove_unit(self, unit: StoredUnit) -> None:
        """Remove a unit of this source. In additive mode it stays, which is not an error."""
        ...

    def refuse(self, group: str, key: str, reason: str) -> None:
        """Record that upstream lists `key`, which cannot become a unit because of `reason`.

        It is shown as refused, which is not a failure.
        """
        ...


class ChangeConduit(RepositoryContent, WritableScratchpads, Protocol[Options_co]):
    """Common part of `UploadConduit` and `ReceiveConduit`: a user changes a repository."""

    @property
    def repository(self) -> RepositoryInfo: ...

    @property
    def options(self) -> Options_co:
        """Validated option model.

        For an importer: of the repository's `upload` source. For a publisher: of the publication.
        """
        ...

    @property
    def config(self) -> PluginCallConfiguration: ...

    @property
    def received_at(self) -> datetime:
        """Start of the call in UTC: the time of the upload."""
        ...


class UploadConduit(ChangeConduit[Source_co], Protocol[Source_co]):
    """Argument of `Importer.upload` and `Importer.remove`: content of the repository, notes."""


class ReceiveConduit(ChangeConduit[Pages_co], Protocol[Pages_co]):
    """Argument of `Publisher.receive`.

    Shows the content of the repository that is published, and the publisher's own notes.
    """

    @property
    def publication(self) -> str:
        """Name of the publication that the request was sent to."""
        ...

    def add_file(self, name: str, body: bytes) -> UploadedFile:
        """Return a file that the request held in another form, such as Base64 within JSON.

        Units may have it as an artifact, as if it had been sent.
        """
        ...

    def to_importer(self, file: UploadedFile, fields: Mapping[str, str]) -> Iterable[GroupedUnit]:
        """Return the units that the repository's importer makes of a file.

        Raises what its `upload` raises.
        """
        ...


class CopyConduit(RepositoryContent, WritableScratchpads, Protocol[Source_co]):
    """Argument of `Importer.copy`: content of the target (`groups`, `units`) and `source`."""

    @property
    def repository(self) -> RepositoryInfo:
        """Repository that units are copied into."""
        ...

    @property
    def source(self) -> RepositoryContent:
        """Content of the version that units are copied from."""
        ...

    @property
    def options(self) -> Source_co:
        """Validated option model of the source."""
        ...

    @property
    def config(self) -> PluginCallConfiguration:
        """Configuration of the source for this call."""
        ...


class ValidateConduit(Scratchpads, Protocol[Options_co]):
    """Argument of `validate_config`. It reads and cannot write."""

    @property
    def options(self) -> Options_co:
        """Validated option model of the configuration."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Return how many units of each content type the repository holds; empty if new."""
        ...


class Signer(Protocol):
    """Signs texts with one key, in one form."""

    @property
    def identity(self) -> str:
        """Fingerprint of the key, and the form of the signature: `<fingerprint> clearsigned`.

        With the text it tells whether a signature exists already. Up to 255 printable characters,
        and no part of the key that is secret.
        """
        ...

    def sign(self, text: bytes, moment: datetime) -> bytes:
        """Return what is served: the signed text, or a signature apart from it.

        `moment`: when the signature is made, in UTC: the moment of the version.
        """
        ...


class Output(Protocol):
    """Files of one group of a publication; they replace the group's earlier files."""

    def page(
        self,
        path: str,
        body: bytes,
        media_type: str,
        *,
        aliases: tuple[str, ...] = (),
        immutable: bool = False,
        linger: str | timedelta | None = None,
    ) -> None:
        """Emit a rendered representation of `path`; a path that ends in `/` is a folder's index.

        The empty path is the page of the publication itself. Several media types per path are
        negotiated; the first emitted is the default. Rendering must depend on nothing but the
        version and the options.

        Args:
            path: Relative to the publication.
            body: What is shown.
            media_type: Its type.
            aliases: Further types that may be asked for and get this one.
            immutable: Promise that no other body ever comes under this path: clients and caches
                keep it for a year without asking again. Emitting another one later fails the
                publication, however long the path was gone.
            linger: How long (`1d`) the path stays served once a version dropped it, for clients
                that have read an older page. It is gone at once when a rule withholds any of what
                the page shows.
        """
        ...

    def signed_page(
        self,
        path: str,
        text: bytes,
        media_type: str,
        *,
        signer: Signer,
        aliases: tuple[str, ...] = (),
    ) -> None:
        """Emit what `signer` makes of `text`, as a page.

        A text is signed once with a key, and the signature is kept for as long as a publication
        shows it: `signer.sign` is not called again for what was signed before.
        """
        ...

    def file(
        self,
        path: str,
        artifact: StoredArtifact,
        media_type: str = "application/octet-stream",
        *,
        immutable: bool = False,
        linger: str | timedelta | None = None,
    ) -> None:
        """Emit the bytes of an artifact of the group under `path`.

        `immutable` and `linger` are as for a page. A path that holds the sha256 of the bytes needs
        no promise; and any file stays for the `grace` of its publication.
        """
        ...


class PublishedVersion(msgspec.Struct, frozen=True):
    """A version of a repository.

    `recorded_at`: when it was committed, in UTC. It is the one time of ours that a page may state:
    the version's, not that of the rendering, which would differ each time. Groups that did not
    change keep pages of earlier versions.
    """

    number: int
    recorded_at: datetime


class PublishConduit(RepositoryContent, WritableScratchpads, Protocol[Pages_co]):
    """Argument of `Publisher.publish`: one version, and what changed since the last one.

    `units`: artifact sizes are filled in once the bytes are known, and `_firstSeen` in the metadata
    of those that `Publisher.needs_first_seen` names.
    """

    @property
    def repository(self) -> RepositoryInfo:
        """Repository that is published."""
        ...

    @property
    def version(self) -> PublishedVersion:
        """Version that is published."""
        ...

    @property
    def base_url(self) -> str:
        """Address of the publication with a slash at its end, to be written into pages.

        It is a URL that stands for the address: clients read the real one in its place, which is
        put in when a page is sent. Write it as it is, or join it with relative paths. Raises
        PluginFault unless the class says `needs_base_url`, or `has_base_url` is true, and in
        `render_index`: the digests of an index are those of what is rendered.
        """
        ...

    @property
    def has_base_url(self) -> bool:
        """True if the manifest declares `baseUrl`: every page can say it, also an exported one."""
        ...

    def changed_groups(self) -> Iterator[str]:
        """Yield the names of the groups to render, in name order.

        These are all groups on the first publication or when the configuration changed, else those
        that differ. Emptied groups are among them: open them and emit nothing. Not opening one is a
        fault.
        """
        ...

    def group(self, name: str) -> AbstractContextManager[Output]:
        """Open a group for output, in a `with` block whose end replaces the files of the group.

        Once for each group. Raises PluginFault for a name that is neither in the version nor among
        `changed`.
        """
        ...

    def whole_repository(self) -> AbstractContextManager[Output]:
        """Open what belongs to no group, such as the list of all projects.

        At most once; if it is neither opened nor kept, the publication has no such files.
        """
        ...

    @property
    def groups_changed(self) -> bool:
        """True if `groups()` may name others than when the publication was rendered last.

        Also True on the first publication, and when the configuration changed.
        """
        ...

    def keep_whole_repository(self) -> None:
        """Keep what belongs to no group as it was rendered last.

        For what depends on the names of groups alone: a list of half a million is not rendered for
        one project that changed. Raises PluginFault where `groups_changed` is True.
        """
        ...

    @property
    def options(self) -> Pages_co:
        """Validated option model of the publication."""
        ...

    @property
    def config(self) -> PluginCallConfiguration:
        """The same keys as plain data, level by level, and keys that the model does not know."""
        ...


class MissingConduit(msgspec.Struct, frozen=True):
    """Argument of `Publisher.missing`. `publication`: its name."""

    publication: str


class Fetch(msgspec.Struct, frozen=True):
    """Result of `missing`. `group`: the one that the path belongs to, if there is any such path.

    Where the publication pulls through, upstream is asked for it. Nothing comes of it otherwise.
    """

    group: str


class Redirect(msgspec.Struct, frozen=True):
    """Result of `missing` and `view`. `path`: the path that was meant, in the same publication."""

    path: str
