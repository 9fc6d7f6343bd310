"""Conduit of a publisher: the version to render, and one output for each group."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from reconciler.database import Entry, GzipPage, PublicationStage, Signature, group_label
from reconciler.engine.plugin_calls.conduits import CallScope, ScratchpadConduit, call_configuration
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.publishing.index_entries import IndexEntries
from reconciler.engine.publishing.signatures import Signatures
from reconciler.engine.publishing.version_view import VersionView
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.errors import PluginFault
from reconciler.model import (
    BASE_URL_PLACEHOLDER,
    Digest,
    Publication,
    StoredArtifact,
    StoredUnit,
    holds_placeholder,
    safe_path,
)
from reconciler.plugin import (
    OptionFault,
    Output,
    PluginCallConfiguration,
    PublishedVersion,
    RepositoryInfo,
    Signer,
    parse_duration,
)
from reconciler.plugin.validation import Plugin

GZIP_LEVEL = 6  # beyond it pages grow slower to make than smaller to send
MAX_MEDIA_TYPE_LENGTH = 255
LONGEST_LINGER = timedelta(days=3650)

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
        plugin: Plugin,
        repository: RepositoryInfo,
        scratchpads: ScratchpadSession,
        alive: Callable[[], None],
        signatures: Signatures,
    ) -> None:
        super().__init__(scratchpads, f"publisher:{publication.publisher}", alive)
        self._signatures = signatures
        self._stage = stage
        self._view = view
        cls: Any = plugin.cls
        self._without_address = ""
        self._has_base_url = publication.base_url is not None
        self._may_say_address = self._has_base_url or bool(cls.needs_base_url)
        self._options = publication.options
        self._config = call_configuration(publication.config, plugin)
        self._repository = repository
        self._indexes: IndexEntries | None = None
        self._opened: set[str | None] = set()
        self._finished: set[str | None] = set()

    @property
    def repository(self) -> RepositoryInfo:
        self._check_open()
        return self._repository

    @property
    def version(self) -> PublishedVersion:
        self._check_open()
        return self._view.published()

    @property
    def base_url(self) -> str:
        self._check_open()
        if self._without_address:
            raise PluginFault(
                f"{self._without_address} cannot say where it is served",
                hint="its digests and compressed files are made before the address is known: write"
                " it into pages of `publish` or of a summary",
            )
        if not self._may_say_address:
            raise PluginFault(
                "it writes the address of the publication, which its class does not say",
                hint="declare `needs_base_url = True`, or ask `has_base_url` first",
            )
        return BASE_URL_PLACEHOLDER

    @contextmanager
    def without_address(self, label: str) -> Iterator[None]:
        """Refuse the address while something is rendered that cannot be changed any more."""
        self._without_address = label
        try:
            yield
        finally:
            self._without_address = ""

    @property
    def has_base_url(self) -> bool:
        self._check_open()
        return self._has_base_url

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
            raise PluginFault(
                f"the name of a group must be a string, not {_type_of(name)}",
                hint="one that `changed_groups()` yields",
            )
        return self._output(name)

    def whole_repository(self) -> AbstractContextManager[Output]:
        self._check_open()
        return self._output(None)

    @property
    def groups_changed(self) -> bool:
        self._check_open()
        return self._view.groups_changed

    def keep_whole_repository(self) -> None:
        self._check_open()
        if self._view.groups_changed:
            raise PluginFault(
                "what belongs to no group cannot be kept: the groups changed",
                hint="ask `groups_changed` first, and open `whole_repository()` where it is True",
            )
        if None in self._opened:
            raise PluginFault(f"{_label(None)} is both opened and kept", hint="open it, or keep it")
        self._opened.add(None)
        self._finished.add(None)

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
        if self._indexes is not None:
            self._indexes.flush()

    def list_in(self, indexes: IndexEntries) -> None:
        """Have the units of groups that are rendered listed in indexes."""
        self._indexes = indexes

    @contextmanager
    def summary(self, name: str) -> Iterator[Output]:
        """Open the output of a summary of indexes, by its name with the mark of summaries."""
        output = PageOutput(
            name,
            {},
            signed=self._signatures,
            alive=self._alive,
            may_say_address=self._may_say_address,
        )
        try:
            yield output
        finally:
            output.close()
        self._stage.replace_group(name, output.entries, output.pages, signatures=output.signatures)

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
            may_say_address=self._may_say_address,
        )
        try:
            yield output
        finally:
            output.close()
        self._check_open()
        self._stage.replace_group(name, output.entries, output.pages, signatures=output.signatures)
        self._finished.add(name)
        if self._indexes is not None and name is not None:
            self._indexes.add_group(name, units)
        reached(Checkpoint.PAGE_RENDERED)


class PageOutput(CallScope):
    """Collects the files of one group; implements `reconciler.plugin.Output`.

    Args:
        name: The group; None: files of the publication as a whole.
        sizes: Sizes of the artifacts that the group may link to, by sha256.
        signed: Makes signatures, or finds those that were made before.
        may_say_address: Pages are looked through for the placeholder of the address.
    """

    conduit = "Output"
    after_close = "emit files within the `with` block that opened it"

    def __init__(
        self,
        name: str | None,
        sizes: dict[str, int | None],
        *,
        signed: Signatures,
        alive: Callable[[], None],
        may_say_address: bool = False,
    ) -> None:
        super().__init__(alive)
        self._may_say_address = may_say_address
        self._signed = signed
        self._label = _label(name)
        self._name = name
        self._sizes = sizes
        self._types: dict[str, list[str]] = {}
        self.entries: list[Entry] = []
        self.pages: dict[Digest, GzipPage] = {}
        self.signatures: list[Signature] = []

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
        if path == "":
            self._check("index", (media_type, *aliases))  # as the page of any other folder
        else:
            self._check(path, (media_type, *aliases))
        if not isinstance(body, bytes):
            raise PluginFault(
                f"`{path}` for {self._label}: the body is {_type_of(body)}, not bytes",
                hint="encode a text: `.encode()`",
            )
        digest = Digest.of(body)
        if digest not in self.pages:
            self.pages[digest] = GzipPage(gzip.compress(body, GZIP_LEVEL, mtime=0), len(body))
        addressed = self._may_say_address and holds_placeholder(body)
        if addressed and immutable:
            raise PluginFault(
                f"`{path}` for {self._label} cannot be immutable: it says where it is served",
                hint="it has another body at each address: leave `immutable` out",
            )
        entry = Entry(path, media_type, self._name, True, digest, len(body), tuple(aliases))
        self._emit(entry, addressed=addressed, immutable=immutable, linger=linger)

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
        if self._may_say_address and holds_placeholder(body):
            raise PluginFault(
                f"`{path}` for {self._label} cannot be signed: it says where it is served",
                hint="the address is put in later, and the signature would not fit any more",
            )
        self.page(path, body, media_type, aliases=aliases)
        self.signatures.append(signature)

    def file(
        self,
        path: str,
        artifact: StoredArtifact,
        media_type: str = "application/octet-stream",
        *,
        immutable: bool = False,
        linger: str | timedelta | None = None,
    ) -> None:
        self._check(path, (media_type,))
        sha256 = getattr(artifact, "sha256", None)
        if not isinstance(sha256, str) or sha256 not in self._sizes:
            raise PluginFault(
                f"`{path}` for {self._label} links to {artifact!r:.80}, which is not an"
                " artifact of its units",
                hint="pass one of the `artifacts` of a unit that `units` returned",
            )
        size = self._sizes[sha256]
        entry = Entry(path, media_type, self._name, False, Digest.parse(sha256), size)
        self._emit(entry, immutable=immutable, linger=linger)

    def _check(self, path: object, media_types: tuple[object, ...]) -> None:
        self._check_open()
        if not isinstance(path, str):
            raise PluginFault(
                f"a path for {self._label} is {_type_of(path)}, not a string",
                hint="the text of a relative path",
            )
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
        entry: Entry,
        *,
        addressed: bool = False,
        immutable: object,
        linger: object,
    ) -> None:
        types = self._types.setdefault(entry.path, [])
        if entry.media_type in types:
            raise PluginFault(
                f"`{entry.path}` is emitted twice as `{entry.media_type}` for {self._label}",
                hint="one body for each path and media type",
            )
        if types or addressed or immutable or linger is not None:
            entry = replace(
                entry,
                position=len(types),
                addressed=addressed,
                immutable=bool(immutable),
                linger=self._seconds(entry.path, linger),
            )
        self.entries.append(entry)
        types.append(entry.media_type)

    def _seconds(self, path: str, linger: object) -> int:
        """Return how long a path lingers; 0 for None."""
        try:
            time = parse_duration(linger) if isinstance(linger, str) else linger or timedelta()
        except OptionFault as fault:
            raise PluginFault(
                f"`{path}` for {self._label}: `linger`: {fault}", hint=_LINGER_HINT
            ) from None
        if not isinstance(time, timedelta) or not timedelta() <= time <= LONGEST_LINGER:
            raise PluginFault(
                f"`{path}` for {self._label}: `linger` is {linger!r:.40}",
                hint=_LINGER_HINT,
            )
        return int(time.total_seconds())


_LINGER_HINT = "a duration such as `1d`, of at most ten years"


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
    return "what belongs to no group" if name is None else group_label(name)


def _type_of(value: object) -> str:
    return f"of the type `{type(value).__name__}`"
