"""Base class of publishers, which render versions into files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar, Generic

from reconciler.errors import Gone, Malformed, ReconcilerError
from reconciler.model import StoredUnit
from reconciler.plugin.conduits import (
    Fetch,
    MissingConduit,
    Output,
    PublishConduit,
    ReceiveConduit,
    Redirect,
    ValidateConduit,
)
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.endpoints import (
    GENERIC_UPLOAD,
    UPLOAD_PATH,
    Answer,
    Endpoint,
    GroupedUnit,
    Received,
    ReceivedRequest,
)
from reconciler.plugin.exporter import Exporter
from reconciler.plugin.indexes import IndexEntry, IndexFile, RenderedFile, SortKey
from reconciler.plugin.options import Metadata, Options
from reconciler.plugin.people import Instruction, InstructionConduit
from reconciler.plugin.type_arguments import Pages, take_models
from reconciler.plugin.upstream_conduits import RepositoryInfo
from reconciler.plugin.views import View, ViewConduit, ViewRequest


class Publisher(Generic[Pages]):
    """Renders a version into files. Each call gets a new instance. Type argument: `options`."""

    options: ClassVar[type[Options]] = Options
    # Raise it when the rendering changes: everything is rendered again.
    revision: ClassVar[int] = 1
    # Pages cannot do without `conduit.base_url`: exports then need `baseUrl` in the manifest.
    needs_base_url: ClassVar[bool] = False
    # How an index elsewhere is sent what it lacks; None where there is no such index.
    exporter: ClassVar[type[Exporter[Any]] | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        take_models(cls, Publisher, "options")

    # Requests that `receive` takes, where the manifest lets clients send some.
    endpoints: ClassVar[Sequence[Endpoint]] = (GENERIC_UPLOAD,)

    # `missing` names the groups of paths: publications may take them from a remote when asked.
    pulls_through: ClassVar[bool] = False

    # Requests that `view` answers, beside those of what is rendered.
    views: ClassVar[Sequence[View]] = ()

    @classmethod
    def metadata(cls) -> Metadata:
        """Return ID, name and content types of this plugin. Pure; called once for each start."""
        raise NotImplementedError

    def validate_config(
        self,
        repository: RepositoryInfo,
        config: PluginCallConfiguration,
        conduit: ValidateConduit[Pages],
    ) -> None:
        """Check what a schema cannot express.

        Raise OptionFault(message, hint=...) to refuse the configuration: nothing of the change is
        stored. Called while planning, when a publication first uses this publisher and whenever its
        configuration changed.
        """

    def publisher_added(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        """Handle a repository that this publisher publishes for the first time.

        Nothing of it is recorded yet; raising leaves everything exactly as it was. `config`: of the
        publication, by name the first where several begin at once: when it raises, the next one is
        asked. Runs in a worker thread. May be called again for the same repository: after a crash,
        or when a run that called it could not record it.
        """

    def publisher_removed(
        self, repository: RepositoryInfo, config: PluginCallConfiguration
    ) -> None:
        """Handle a repository of which no publication uses this publisher any more.

        Raising is reported and stops nothing; the working directory and the scratchpad are removed
        afterwards. `config`: as it was recorded last. Runs in a worker thread; may be called again
        after a crash.
        """

    def publish(self, conduit: PublishConduit[Pages], config: PluginCallConfiguration) -> None:
        """Emit the files of each of `conduit.changed_groups()`; then `conduit.whole_repository()`.

        Runs in a worker thread; may be called twice.
        """
        raise NotImplementedError

    @classmethod
    def indexes_of(cls, unit: StoredUnit, options: Pages) -> Iterable[str]:
        """Return the names of the whole-repository indexes that list a unit. Pure.

        A publisher that overrides it has such indexes: the core keeps their entries, and calls
        `render_index` for those whose entries differ, `render_summary` for the summaries of files
        that differ. `publish` emits everything else.
        """
        return ()

    @classmethod
    def entry_of(cls, unit: StoredUnit, index: str, options: Pages) -> bytes:
        """Return the entry of a unit in an index. Pure.

        Kept with the publication, it is called once for each unit and index: again only where the
        unit as it is shown, the options or `revision` differ.
        """
        raise NotImplementedError

    @classmethod
    def sort_key(cls, unit: StoredUnit, options: Pages) -> SortKey:
        """Return where the entries of a unit stand in their indexes. Pure.

        Default: by group, then by key. Of equal keys the order is arbitrary and lasting.
        """
        return unit.group, unit.key

    @classmethod
    def index_names(cls, options: Pages) -> Iterable[str]:
        """Return the names of indexes that are there also when nothing is in them. Pure.

        Any other index disappears, with its files, along with its last entry.
        """
        return ()

    @classmethod
    def index_file(cls, name: str, options: Pages) -> IndexFile:
        """Return what files an index is published as. Pure."""
        return IndexFile(name)

    def render_index(
        self, conduit: PublishConduit, name: str, entries: Iterator[IndexEntry]
    ) -> Iterable[bytes]:
        """Yield the body of an index, piece by piece; `entries` come in order.

        Neither is ever whole in memory. Yield whole entries: where a piece is what it was, so is
        the part of the body that holds it, which is then neither compressed nor stored again.
        Called after `publish`, for an index of which an entry or the configuration differs. The
        result must depend on nothing else. Default: one entry after the other.
        """
        return (entry.body for entry in entries)

    def render_summary(
        self,
        conduit: PublishConduit,
        name: str,
        files: Sequence[RenderedFile],
        *,
        output: Output,
    ) -> None:
        """Emit the pages that list the files of indexes, such as `Release` of apt.

        Called last, for a summary of which a file differs: pages of the others stay as they are,
        byte for byte. `files`: all files of its indexes, by name of the index. A summary without
        an index disappears.
        """
        raise NotImplementedError

    @classmethod
    def needs_first_seen(cls, options: Pages) -> Callable[[StoredUnit], bool] | None:
        """Return what tells which units the files date by when they were first seen. Pure.

        `units` of the conduit then has `_firstSeen` in their `metadata`, a time in ISO 8601 in UTC:
        when an apply first read of the artifact under the unit's key (else of its first), in any
        repository, else when it was first published so. These moments are part of the identity of
        the publication. Default: None, nothing is dated so.
        """
        return None

    @classmethod
    def missing(cls, conduit: MissingConduit, path: str) -> Redirect | Fetch | None:
        """Return what may be meant by a path, or None. Pure.

        A redirect, of a path that the publication does not hold, is for other spellings of a name;
        it is followed only to a path that the publication holds. With `pulls_through`, Fetch names
        the group that a path belongs to, whether the publication holds it or not.
        """
        return None

    @classmethod
    def instructions(cls, conduit: InstructionConduit) -> Iterable[Instruction]:
        """Return what people copy to set clients up. Pure. Default: nothing."""
        return ()

    @classmethod
    def view(cls, conduit: ViewConduit, request: ViewRequest) -> Answer | Redirect | None:
        """Return the answer to a request to one of the `views`; None where there is nothing.

        A Redirect leads to a path of the publication, for bytes that may not be in the store yet.

        It depends on the request and on what the conduit says, and is sent with an entity tag of
        its own. Runs in a worker thread of a server. Of a client that sees some groups only, the
        conduit shows no others.
        """
        return None

    def receive(
        self, conduit: ReceiveConduit[Pages], request: ReceivedRequest
    ) -> Received | Iterable[GroupedUnit]:
        """Return what a request to one of the `endpoints` changes.

        Units alone are as `Received(units)`. What changes is decided on and recorded before the
        client is answered. Runs in a worker thread, perhaps twice for a request. Raise Refused for
        what cannot be accepted, Gone for a path that does not exist, Malformed for a body that
        cannot be read, Conflict where something else is there. Default: the generic protocol.
        """
        if request.path != UPLOAD_PATH:
            raise Gone(f"`{request.path}` takes no uploads", hint=f"send files to `{UPLOAD_PATH}`")
        if not request.files:
            raise Malformed(
                "the form holds no file", hint="send a part with a `filename` for each file"
            )
        made = (conduit.to_importer(file, request.fields) for file in request.files)
        return next(made) if len(request.files) == 1 else chain.from_iterable(made)

    @classmethod
    def error_answer(
        cls, request: ReceivedRequest, status: int, error: ReconcilerError
    ) -> Answer | None:
        """Return how clients of a protocol are told of an error, or None for a sentence. Pure.

        `status`: as the core answers; the answer's own is used. `error`: of `receive`, or of what
        the core decided about its units, in words that clients may read. Default: None.
        """
        return None
