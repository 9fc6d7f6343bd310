"""Conduit of a publisher: the version to render, and one output for each group."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from reconciler.database import Entry, GzipPage, PublicationStage, Signature
from reconciler.engine.plugin_calls.conduits import CallScope, ScratchpadConduit
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.publishing.signatures import Signatures
from reconciler.engine.publishing.version_view import VersionView
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.errors import PluginFault
from reconciler.model import Digest, Publication, StoredUnit, safe_path
from reconciler.plugin import Output, PluginCallConfiguration, RepositoryInfo, Signer

GZIP_LEVEL = 6  # beyond it pages grow slower to make than smaller to send
MAX_MEDIA_TYPE_LENGTH = 255

_OPEN_HINT = (
    "open each group of `changed_groups()` once, and emit nothing for one that has nothing to show"
)


class PublishConduit(ScratchpadConduit):
    """Implements `reconciler.plugin.PublishConduit` for one publication."""

    conduit = "PublishConduit"

    def __init__(
        self,
        stage: PublicationStage,
        view: VersionView,
        publication: Publication,
        *,
        config: PluginCallConfiguration,
        repository: RepositoryInfo,
        scratchpads: ScratchpadSession,
        alive: Callable[[], None],
        signatures: Signatures,
    ) -> None:
        super().__init__(scratchpads, f"publisher:{publication.publisher}", alive)
        self._signatures = signatures
        self._stage = stage
        self._view = view
        self._options = publication.options
        self._config = config
        self._repository = repository
        self._opened: set[str | None] = set()
        self._finished: set[str | None] = set()

    @property
    def repository(self) -> RepositoryInfo:
        self._check_open()
        return self._repository

    @property
    def options(self) -> Any:
        self._check_open()
        return self._options

    @property
    def config(self) -> PluginCallConfiguration:
        self._check_open()
        return self._config

    def changed_groups(self) -> Iterator[str]:
        self._check_open()
        return self._while_open(self._view.read_changed())

    def groups(self) -> Iterator[str]:
        self._check_open()
        return self._while_open(self._view.groups())

    def units(self, group: str) -> list[StoredUnit]:
        self._check_open()
        return list(self._view.units(group))

    def group(self, name: str) -> AbstractContextManager[Output]:
        self._check_open()
        if not isinstance(name, str):
            raise PluginFault(f"the name of a group must be a string, not {_type_of(name)}")
        return self._output(name)

    def whole_repository(self) -> AbstractContextManager[Output]:
        self._check_open()
        return self._output(None)

    def finish(self) -> None:
        """Check that every changed group was rendered, once the publisher has returned.

        Without a call of `whole` no file belongs to the publication as a whole.

        Raises:
            PluginFault: A changed group was not opened, or not finished: its old files would stay.
        """
        for name in sorted(self._opened - self._finished, key=str):
            raise PluginFault(
                f"{_label(name)} was opened and not finished: its old files would stay",
                hint="let what fails inside of it fail the call",
            )
        missed = next(
            (name for name in self._view.changed_groups() if name not in self._finished), None
        )
        if missed is not None:
            raise PluginFault(
                f"the group `{missed}` differs and was not opened: its old files would stay",
                hint=_OPEN_HINT,
            )
        if None not in self._finished:
            self._stage.replace_group(None, [], {})

    @contextmanager
    def _output(self, name: str | None) -> Iterator[Output]:
        self._check_open()
        if name in self._opened:
            raise PluginFault(
                f"{_label(name)} is opened twice: its first files would be lost", hint=_OPEN_HINT
            )
        units = [] if name is None else self._view.units(name)
        if name is not None and not units and name not in self._view.changed_groups():
            raise PluginFault(
                f"the group `{name}` is opened, and version {self._view.number} holds no such"
                " group",
                hint=_OPEN_HINT,
            )
        self._opened.add(name)
        output = PageOutput(
            name,
            {artifact.sha256: artifact.size for unit in units for artifact in unit.artifacts},
            signed=self._signatures,
            alive=self._alive,
        )
        try:
            yield output
        finally:
            output.close()
        self._check_open()
        self._stage.replace_group(name, output.entries, output.pages, signatures=output.signatures)
        self._finished.add(name)
        reached(Checkpoint.PAGE_RENDERED)


class PageOutput(CallScope):
    """Collects the files of one group; implements `reconciler.plugin.Output`.

    Args:
        name: The group; None: files of the publication as a whole.
        sizes: Sizes of the artifacts that the group may link to, by sha256.
        signed: Makes signatures, or finds those that were made before.
    """

    conduit = "Output"

    def __init__(
        self,
        name: str | None,
        sizes: dict[str, int | None],
        *,
        signed: Signatures,
        alive: Callable[[], None],
    ) -> None:
        super().__init__(alive)
        self._signed = signed
        self._label = _label(name)
        self._name = name
        self._sizes = sizes
        self._types: dict[str, list[str]] = {}
        self.entries: list[Entry] = []
        self.pages: dict[Digest, GzipPage] = {}
        self.signatures: list[Signature] = []

    def page(
        self, path: str, body: bytes, media_type: str, *, aliases: tuple[str, ...] = ()
    ) -> None:
        self._check(path, (media_type, *aliases))
        if not isinstance(body, bytes):
            raise PluginFault(
                f"`{path}` for {self._label}: the body is {_type_of(body)}, not bytes",
                hint="encode a text: `.encode()`",
            )
        digest = Digest.of(body)
        if digest not in self.pages:
            self.pages[digest] = GzipPage(gzip.compress(body, GZIP_LEVEL, mtime=0), len(body))
        self._emit(path, media_type, digest, size=len(body), page=True, aliases=tuple(aliases))

    def signed_page(
        self,
        path: str,
        text: bytes,
        media_type: str,
        *,
        signer: Signer,
        aliases: tuple[str, ...] = (),
    ) -> None:
        self._check(path, (media_type, *aliases))
        body, signature = self._signed.of(path, text, signer)
        self.page(path, body, media_type, aliases=aliases)
        self.signatures.append(signature)

    def file(self, path: str, sha256: str, media_type: str = "application/octet-stream") -> None:
        self._check(path, (media_type,))
        if not isinstance(sha256, str) or sha256 not in self._sizes:
            raise PluginFault(
                f"`{path}` for {self._label} links to {sha256!r:.80}, which is not an"
                " artifact of its units"
            )
        self._emit(
            path, media_type, Digest.parse(sha256), size=self._sizes[sha256], page=False, aliases=()
        )

    def _check(self, path: object, media_types: tuple[object, ...]) -> None:
        self._check_open()
        if not isinstance(path, str):
            raise PluginFault(f"a path for {self._label} is {_type_of(path)}, not a string")
        if not safe_path(path.removesuffix("/")):
            raise PluginFault(
                f"the unsafe path {path[:80]!r} for {self._label}",
                hint=(
                    "relative, without empty, `.` or `..` segments, backslashes, control characters"
                ),
            )
        for type_ in media_types:
            if not _is_media_type(type_):
                raise PluginFault(
                    f"`{path}` for {self._label}: {type_!r:.80} is not a media type",
                    hint="for example `text/html`",
                )

    def _emit(
        self,
        path: str,
        media_type: str,
        digest: Digest,
        *,
        size: int | None,
        page: bool,
        aliases: tuple[str, ...],
    ) -> None:
        types = self._types.setdefault(path, [])
        if media_type in types:
            raise PluginFault(
                f"`{path}` is emitted twice as `{media_type}` for {self._label}",
                hint="one body for each path and media type",
            )
        self.entries.append(
            Entry(path, media_type, self._name, page, digest, size, aliases, len(types))
        )
        types.append(media_type)


def _is_media_type(text: object) -> bool:
    """Return True if `text` can be sent as a Content-Type header, parameters included."""
    return (
        isinstance(text, str)
        and text.isascii()
        and text.isprintable()
        and "/" in text.strip("/")
        and len(text) <= MAX_MEDIA_TYPE_LENGTH
    )


def _label(name: str | None) -> str:
    return "what belongs to no group" if name is None else f"the group `{name}`"


def _type_of(value: object) -> str:
    return f"of the type `{type(value).__name__}`"
