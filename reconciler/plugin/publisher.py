"""What shows content."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from reconciler.errors import Gone
from reconciler.plugin.calls import RepositoryInfo
from reconciler.plugin.conduits import (
    MissingCall,
    Placed,
    PublishConduit,
    ReceiveConduit,
    Redirect,
    UploadedFile,
    UploadForm,
    ValidateConduit,
)
from reconciler.plugin.config import PluginCallConfiguration
from reconciler.plugin.metadata import Metadata
from reconciler.plugin.options import Options

UPLOAD_PATH = "upload/"
"""Where a publication takes files in the generic protocol: one `file`, and whatever fields the
importer understands.
"""


class Publisher:
    """Renders a version into files. A new instance for every call."""

    options: ClassVar[type[Options]] = Options
    revision: ClassVar[int] = 1  # raise it when the rendering changes: everything is rendered again

    @classmethod
    def metadata(cls) -> Metadata:
        """Who this plugin is. Pure; called once for each start."""
        raise NotImplementedError

    def validate_config(
        self, repository: RepositoryInfo, config: PluginCallConfiguration, conduit: ValidateConduit
    ) -> None:
        """What a schema cannot express: raise OptionFault(message, hint=...), and nothing of the
        change is stored.

        Called while planning, when a publication uses this publisher first and whenever its
        configuration changed.
        """

    def publisher_added(self, repository: RepositoryInfo, config: PluginCallConfiguration) -> None:
        """A repository is published by this publisher for the first time; nothing of it is recorded
        yet. Raising leaves everything exactly as it was.

        `config`: of the publication, by name the first where several begin at once: when it raises,
        the next one is asked. Runs in a worker thread. May be called again for the same repository:
        after a crash, or when a run that called it could not record it.
        """

    def publisher_removed(
        self, repository: RepositoryInfo, config: PluginCallConfiguration
    ) -> None:
        """No publication of the repository uses this publisher any more. Raising is reported and
        stops nothing; the working directory and the scratchpad go afterwards. `config`: as it was
        recorded last. Runs in a worker thread; may be called again after a crash.
        """

    def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
        """Open each of `conduit.changed()` and emit its files; then `conduit.whole()`. Runs in a
        worker thread; may be called twice.
        """
        raise NotImplementedError

    @classmethod
    def missing(cls, call: MissingCall, path: str) -> Redirect | None:
        """What was meant by a path that the publication does not hold (another spelling of a name),
        or None. Pure.

        A redirect is followed only to a path that the publication holds.
        """
        return None

    def receive(
        self, conduit: ReceiveConduit, form: UploadForm, file: UploadedFile
    ) -> Iterable[Placed]:
        """A file that was sent to the publication, in the ecosystem's own protocol or the generic
        one (`upload/`), as units.

        Runs in a worker thread. Raise Gone for a path that takes no files, Refused for what cannot
        be taken. Default: the generic protocol.
        """
        if form.path != UPLOAD_PATH:
            raise Gone(f"`{form.path}` takes no uploads", hint=f"send files to `{UPLOAD_PATH}`")
        return conduit.to_importer(file, form.fields)
