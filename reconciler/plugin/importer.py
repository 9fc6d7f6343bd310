"""What brings content in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import ClassVar

from reconciler.errors import Refused
from reconciler.model import Group, StoredUnit, Unit
from reconciler.plugin.calls import ImporterCall, RepositoryInfo, Unchanged
from reconciler.plugin.conduits import (
    CopyConduit,
    Placed,
    SyncConduit,
    UploadConduit,
    UploadedFile,
    ValidateConduit,
)
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.metadata import Metadata
from reconciler.plugin.options import Options


class Importer:
    """Brings content in. A new instance for every call: attributes set in one call are gone in the
    next.

    Override `declare` and `read` (the core decides what to ask for, and compares), or `sync` (the
    author does). Everything else has a default that serves most plugins.
    """

    options: ClassVar[type[Options]] = Options
    filter_options: ClassVar[type[Options]] = Options
    well_known_names: ClassVar[Sequence[str]] = ()
    revision: ClassVar[int] = (
        # raise it when `read` or `sync` makes other units of the same upstream: everything is read
        # again
        1
    )
    folder_urls: ClassVar[bool] = (
        True  # a remote's URL names a folder: the core ends it with a slash
    )
    shared_groups: ClassVar[bool] = (
        # groups are no names that one source owns: several sources may fill one (buckets, folders)
        False
    )

    @classmethod
    def metadata(cls) -> Metadata:
        """Who this plugin is. Pure; called once for each start."""
        raise NotImplementedError

    @classmethod
    def well_known(cls, index: str) -> str | None:
        """The URL behind a well-known name (`index: pypi`), or None. `well_known_names` lists them
        for hints and schema.
        """
        return None

    def validate_config(
        self, repository: RepositoryInfo, config: PluginCallConfiguration, conduit: ValidateConduit
    ) -> None:
        """What a schema cannot express: raise OptionFault(message, hint=...), and nothing of the
        change is stored.

        Called while planning, for each source, when a repository uses this importer first and
        whenever the configuration changed. May be called any number of times.
        """

    def importer_added(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        """A repository begins to use this importer; nothing of it is recorded yet. Raising leaves
        the repository exactly as it was.

        `config`: of the first source. Runs in a worker thread. May be called again for the same
        repository: after a crash, or when a run that called it could not record the repository.
        """

    def importer_removed(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        """A repository no longer uses this importer, or goes. Raising is reported and stops
        nothing; the working directory and the scratchpad go afterwards. `config`: as it was
        recorded last. Runs in a worker thread; may be called again after a crash.
        """

    def declare(self, call: ImporterCall) -> AsyncIterator[Group | Unchanged]:
        """Which groups does the source hold? An async generator, cheap, in any order; names are
        unique.

        Ending normally says "this is all": committed groups that were not declared are removed in
        mirror mode. Raising says "the listing failed": nothing of this source is removed.
        UNCHANGED, after `call.unchanged` said so, says that the whole source is as it is committed.
        A group holds some 20,000 units at the most: split larger ones by hash.
        """
        raise NotImplementedError

    async def read(self, call: ImporterCall, group: Group) -> Iterable[Unit] | Unchanged:
        """The units of one group, or UNCHANGED. Several at once; may be called twice. Raising is
        this group's failure only.

        Raise `Gone` when upstream says that the group does not exist: that is an answer, its units
        are removed, and its name is free for the sources that follow. Raise `Withdrawn` when it
        exists, and nothing of it is offered: the name stays this source's.
        """
        raise NotImplementedError

    async def sync(self, conduit: SyncConduit, config: PluginCallConfiguration) -> None:
        """The low-level way, instead of `declare` and `read`: record on the conduit what should
        change.

        Runs once for each plan, and may run for plans that nobody applies. Raising is the failure
        of this source: nothing recorded happens.
        """
        raise NotImplementedError

    def upload(
        self,
        conduit: UploadConduit,
        file: UploadedFile,
        fields: Mapping[str, str],
        config: PluginCallConfiguration,
    ) -> Iterable[Placed]:
        """What a file that somebody sent is: groups and units whose artifacts are the file's own
        bytes (by `file.sha256`).

        Runs in a worker thread. Raise Refused for what cannot be taken, with the reason for whoever
        sent it. Default: takes no uploads.
        """
        raise Refused(f"importer `{self.metadata().id}` takes no uploads")

    async def copy(
        self, conduit: CopyConduit, group: str, units: Sequence[StoredUnit]
    ) -> Iterable[StoredUnit]:
        """Which of the units of a group come along into a repository that copies from another;
        `select` has the last word. Default: all.
        """
        return units

    def remove(self, conduit: UploadConduit, units: Sequence[StoredUnit]) -> Iterable[StoredUnit]:
        """What leaves when somebody removes these uploaded units: they, and what cannot stay
        without them.

        Raise Refused to keep them. Default: they.
        """
        return units

    @classmethod
    def explain(cls, subject: str) -> Iterable[str]:
        """Names of the groups in which `reconciler explain` looks for `subject` (a file, a
        project). Default: the subject's own name. Pure.
        """
        return [subject]


def low_level(importer: type[Importer]) -> bool:
    """Does it override `sync`? Then `declare` and `read` are never called."""
    return importer.sync is not Importer.sync
