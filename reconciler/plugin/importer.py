"""Base class of importers, which bring content into repositories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic

from reconciler.errors import Refused
from reconciler.model import Group, Mark, StoredUnit, Unit
from reconciler.plugin.conduits import (
    CopyConduit,
    SyncConduit,
    UploadConduit,
    ValidateConduit,
)
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.content import ActiveFilter
from reconciler.plugin.drafts import Description, Draft
from reconciler.plugin.endpoints import GroupedUnit, UploadedFile
from reconciler.plugin.options import Metadata, OptionFault, Options
from reconciler.plugin.type_arguments import Filter, Source, take_models
from reconciler.plugin.upstream_conduits import ReadConduit, RepositoryInfo, Unchanged


class Importer(Generic[Source, Filter]):
    """Brings content into a repository. Type arguments: `options` and `filter_options`.

    Each call gets a new instance: attributes set in one call are gone in the next. Override
    `declare` and `read` (the core decides what to ask for, and compares), or `sync` (the plugin
    does). Everything else has a default that serves most plugins.
    """

    options: ClassVar[type[Options]] = Options
    filter_options: ClassVar[type[Options]] = Options
    # Of sources of one kind, where these have keys of their own: derived from `options`.
    remote_options: ClassVar[type[Options] | None] = None
    repository_options: ClassVar[type[Options] | None] = None
    upload_options: ClassVar[type[Options] | None] = None
    well_known_names: ClassVar[Sequence[str]] = ()
    # Raise it when `read` or `sync` makes other units of the same upstream: all is read again.
    revision: ClassVar[int] = 1
    # A remote's URL names a folder: the core ends it with a slash.
    folder_urls: ClassVar[bool] = True
    # Keys that select: a `remote` source writes one of them, or `everything: true`.
    selection_required: ClassVar[Sequence[str]] = ()
    # Keys of `remote` sources that may stand on the Remote as well, for every source that names it;
    # one that a source writes itself counts there. No secrets: credentials are the core's.
    remote_keys: ClassVar[Sequence[str]] = ()
    # Several sources may fill a group (buckets, folders): no source owns its name.
    shared_groups: ClassVar[bool] = False
    # Tools whose descriptions `translate` reads: what `reconciler init --from-kind` may name.
    translates: ClassVar[Sequence[str]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        take_models(cls, Importer, "options", "filter_options")

    @classmethod
    def metadata(cls) -> Metadata:
        """Return ID, name and content types of this plugin. Pure; called once for each start."""
        raise NotImplementedError

    @classmethod
    def well_known(cls, index: str) -> str | None:
        """Return the URL of a well-known name (`index: pypi`), or None.

        `well_known_names` lists them for hints and schema.
        """
        return None

    @classmethod
    def starter(cls) -> Draft | None:
        """Return the manifests that `reconciler init` writes for a start. Default: none."""
        return None

    @classmethod
    def translate(cls, description: Description) -> Draft | None:
        """Return manifests that select what another tool's description selects.

        None for a description of no kind in `translates`. Offline: reads nothing but files. Options
        without an equal become remarks. Raise Malformed with `description.place(...)` for one that
        cannot be read. Default: None.
        """
        return None

    def validate_config(
        self,
        repository: RepositoryInfo,
        config: PluginCallConfiguration,
        conduit: ValidateConduit[Source],
    ) -> None:
        """Check what a schema cannot express.

        Raise OptionFault(message, hint=...) to refuse the configuration: nothing of the change is
        stored. Called while planning, for each source, when a repository first uses this importer
        and whenever the configuration changed. May be called any number of times.
        """

    def importer_added(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        """Handle a repository that begins to use this importer; nothing of it is recorded yet.

        Raising leaves the repository exactly as it was. `config`: of the first source. Runs in a
        worker thread. May be called again for the same repository: after a crash, or when a run
        that called it could not record the repository.
        """

    def importer_removed(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        """Handle a repository that no longer uses this importer, or is removed.

        Raising is reported and stops nothing; the working directory and the scratchpad are removed
        afterwards. `config`: as it was recorded last. Runs in a worker thread; may be called again
        after a crash.
        """

    def declare(self, conduit: ReadConduit[Source, Filter]) -> AsyncIterator[Group | Unchanged]:
        """Yield the groups of the source, in any order. An async generator, cheap.

        Names are unique. Ending normally means that the list is complete: in mirror mode, committed
        groups that were not declared are removed. Raising means that the listing failed: nothing of
        this source is removed. Yield UNCHANGED, if `conduit.unchanged` returned True, to say that
        the whole source is as it is committed. A group should hold at most about 20,000 units:
        split larger ones by hash.
        """
        raise NotImplementedError

    async def read(
        self, conduit: ReadConduit[Source, Filter], group: Group
    ) -> Iterable[Unit] | Unchanged:
        """Return the units of one group, or UNCHANGED.

        Called for several groups at once, and perhaps twice for a group. Raising fails this group
        only. Raise `Gone` when upstream says that the group does not exist: its units are removed,
        and its name is free for the sources that follow. Raise `Withdrawn` when it exists but
        upstream offers nothing of it: the name stays with this source.
        """
        raise NotImplementedError

    async def sync(
        self, conduit: SyncConduit[Source, Filter], config: PluginCallConfiguration
    ) -> None:
        """Record on the conduit what should change: instead of `declare` and `read`.

        The low-level API. Runs once for each plan, also for plans that are never applied. Raising
        fails this source: nothing that was recorded happens.
        """
        raise NotImplementedError

    def upload(  # noqa: PLR0917  # plugin API 1.x
        self,
        conduit: UploadConduit[Source],
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[GroupedUnit]:
        """Return the units of an uploaded file, with their groups.

        Their artifacts are the file's own bytes (by `file.sha256`). Runs in a worker thread. Raise
        Refused for a file that cannot be accepted, with a reason for the uploader. Default: accepts
        no uploads.
        """
        raise Refused(f"importer `{self.metadata().id}` takes no uploads")

    async def copy(
        self, conduit: CopyConduit[Source], group: str, units: Sequence[StoredUnit]
    ) -> Iterable[StoredUnit]:
        """Return the units of a group that a repository copies from another.

        `select` has the last word. Default: all.
        """
        return units

    def remove(
        self, conduit: UploadConduit[Source], units: Sequence[StoredUnit]
    ) -> Iterable[StoredUnit]:
        """Return the units to remove: the given ones, and those that cannot stay without them.

        The given units were uploaded. Raise Refused to keep them. Default: the given units.
        """
        return units

    @classmethod
    def read_mark(cls, mark: Mark) -> Mark:
        """Return a mark with `what` in its one spelling, and the groups that it may lie in. Pure.

        Raise OptionFault for what it cannot mean, or for a status that this type does not have.
        Default: there are no marks. Override `with_marks` and `without_marks` as well; for
        importers that override `declare` and `read`.
        """
        raise OptionFault(f"content of type `{cls.metadata().id}` cannot be marked")

    @classmethod
    def with_marks(cls, group: str, units: Sequence[Unit], marks: Sequence[Mark]) -> Sequence[Unit]:
        """Return the units of a group as they are under some marks. Pure.

        Of several marks about one unit the first counts. What changes keeps in its metadata what it
        was before, so that `without_marks` finds it; units that bear these marks already stay as
        they are. Default: as they are.
        """
        return units

    @classmethod
    def without_marks(cls, group: str, units: Sequence[Unit]) -> Sequence[Unit]:
        """Return the units of a group as they were before any mark. Pure. Default: as they are."""
        return units

    @classmethod
    def filters_need_read(cls, options: Source, filters: Sequence[ActiveFilter[Filter]]) -> bool:
        """Return False if a group need not be read again for a change of filters alone.

        That is so where `read` returns the same whatever these filters are, and `select` looks at
        nothing of a unit that is not recorded: no URL, no digest but the sha256, no key of the
        metadata with a leading `_` but `_firstSeen`, nor the order of units. Groups of which
        upstream still offers what it offered, and of which all was let in, are then decided from
        what is recorded. Pure; asked for the filters before a change and for those after it.
        Default: True.
        """
        return True

    @classmethod
    def group_glob(cls, glob: str) -> str:
        """Return a glob of names in the spelling of groups: `acme_*` as `acme-*`.

        For names that manifests reserve, or limit a client to: one that matches no group because
        it is spelled otherwise would protect nothing. Pure. Default: the glob as it is.
        """
        return glob

    @classmethod
    def explain(cls, subject: str) -> Iterable[str]:
        """Return the names of groups in which `explain` looks for `subject` (a file, a project).

        Pure. Default: the subject as a name.
        """
        return [subject]


def low_level(importer: type[Importer]) -> bool:
    """Return True if the importer overrides `sync`: then `declare` and `read` are never called."""
    return importer.sync is not Importer.sync


def overrides_filters_need_read(importer: type[Importer]) -> bool:
    """Return True if recorded units of the importer may stand for what it reads."""
    default: Any = Importer.filters_need_read
    own: Any = importer.filters_need_read
    return own.__func__ is not default.__func__
