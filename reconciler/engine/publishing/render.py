"""Publish: a version becomes a publication, rendered by a publisher for the groups that differ;
then the pointer moves.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from reconciler.database import Entry, GzipPage, PublicationRecord, PublicationStage, Writer
from reconciler.engine.plugin_calls.conduits import (
    CallScope,
    CallWatch,
    ScratchpadConduit,
    call_configuration,
    plugin_faults,
    unwatched,
)
from reconciler.engine.plugin_calls.plugin_errors import is_unawaited
from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession
from reconciler.engine.publishing.version_view import VersionView, WithheldUnits
from reconciler.engine.publishing.withheld import Judgement
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.errors import PluginFault
from reconciler.model import Digest, Publication, StoredUnit, safe_path
from reconciler.plugin import GroupOutput, PluginCallConfiguration, RepositoryInfo
from reconciler.plugin.validation import Plugin

LEVEL = 6  # of compression: beyond it pages grow slower to make than smaller to send
LONGEST_TYPE = 255  # characters of a media type

_OPEN_HINT = (
    "open each group of `changed()` once, and emit nothing for one that has nothing to show"
)


def publish(
    writer: Writer,
    plugin: Plugin,
    publication: Publication,
    place: RepositoryInfo,
    *,
    publication_id: int,
    repository_id: int,
    version: int,
    version_digest: Digest,
    digest: Digest,
    rendered: tuple[int, bool],
    judgement: Judgement,
    left_out: WithheldUnits,
    now: datetime,
    watch: CallWatch = unwatched,
) -> PublicationRecord:
    """Render `version` and complete the publication, with what the publisher noted; the pointer is
    not moved.

    `rendered`: the version that the last complete publication shows, and whether it was rendered
    the same way (then only what differs from it is rendered again). `judgement`: with all that is
    withheld, recorded with it; `left_out`: the same, for rendering. Runs in a worker thread. Raises
    PluginFault naming publisher and publication.
    """
    before, same = rendered
    call = f"publisher `{plugin.id}` of {publication.meta.ref}"
    scratchpads = ScratchpadSession(partial(writer.scratchpad, repository_id))
    edition = VersionView(writer, repository_id, before if same else None, version, left_out)
    stage = writer.publish(
        publication_id,
        version=version,
        version_digest=version_digest,
        digest=digest,
        now=now,
        full=not same,
    )
    try:
        with watch(call) as alive:
            _render(
                Conduit(
                    stage,
                    edition,
                    publication,
                    call_configuration(publication.config, plugin),
                    place,
                    scratchpads,
                    alive,
                ),
                plugin,
                call,
            )
        try:
            stage.withhold(
                judgement.judged,
                {digest: one.reason for digest, one in (judgement.units or {}).items()},
            )
            record = stage.complete(
                {repository_id: scratchpads.written}, {repository_id: scratchpads.seen}
            )
        except PluginFault as fault:
            raise PluginFault(f"{call}: {fault}", hint=fault.hint) from fault
    except BaseException:
        stage.discard()
        raise
    reached(Checkpoint.PUBLICATION_COMPLETE)
    return record


def _render(conduit: Conduit, plugin: Plugin, call: str) -> None:
    assert plugin.cls is not None
    with plugin_faults(call):
        try:
            if is_unawaited(plugin.cls().publish(conduit, conduit.config)):
                raise PluginFault(
                    "`publish` is `async`, or a generator, and would never run",
                    hint="write `def publish`, without `yield`",
                )
        finally:
            conduit.close()
        conduit.finish()


class Conduit(ScratchpadConduit):
    """Implements `reconciler.plugin.PublishConduit` for one publication."""

    conduit = "PublishConduit"

    def __init__(
        self,
        stage: PublicationStage,
        edition: VersionView,
        publication: Publication,
        config: PluginCallConfiguration,
        place: RepositoryInfo,
        scratchpads: ScratchpadSession,
        alive: Callable[[], None],
    ) -> None:
        super().__init__(scratchpads, f"publisher:{publication.publisher}", alive)
        self._stage = stage
        self._edition = edition
        self._options = publication.options
        self._config = config
        self._place = place
        self._opened: set[str | None] = set()
        self._done: set[str | None] = set()

    @property
    def repository(self) -> RepositoryInfo:
        self._check_open()
        return self._place

    @property
    def options(self) -> Any:
        self._check_open()
        return self._options

    @property
    def config(self) -> PluginCallConfiguration:
        self._check_open()
        return self._config

    def changed(self) -> Iterator[str]:
        self._check_open()
        return self._while_open(self._edition.reading())

    def groups(self) -> Iterator[str]:
        self._check_open()
        return self._while_open(self._edition.groups())

    def units(self, group: str) -> list[StoredUnit]:
        self._check_open()
        return list(self._edition.units(group))

    def group(self, name: str) -> AbstractContextManager[GroupOutput]:
        self._check_open()
        if not isinstance(name, str):
            raise PluginFault(f"a group's name is a text, not {_kind(name)}")
        return self._output(name)

    def whole(self) -> AbstractContextManager[GroupOutput]:
        self._check_open()
        return self._output(None)

    def finish(self) -> None:
        """The publisher has returned. Raises PluginFault where a group would go on showing what it
        showed before.

        Where `whole` was not opened nothing belongs to no group, as when all is rendered anew.
        """
        for name in sorted(self._opened - self._done, key=str):
            raise PluginFault(
                f"{_words(name)} was opened and not finished: its old files would stay",
                hint="let what fails inside of it fail the call",
            )
        missed = next((name for name in self._edition.changed() if name not in self._done), None)
        if missed is not None:
            raise PluginFault(
                f"the group `{missed}` differs and was not opened: its old files would stay",
                hint=_OPEN_HINT,
            )
        if None not in self._done:
            self._stage.replace_group(None, [], {})

    @contextmanager
    def _output(self, name: str | None) -> Iterator[GroupOutput]:
        self._check_open()
        if name in self._opened:
            raise PluginFault(
                f"{_words(name)} is opened twice: its first files would be lost", hint=_OPEN_HINT
            )
        units = [] if name is None else self._edition.units(name)
        if name is not None and not units and name not in self._edition.changed():
            raise PluginFault(
                f"the group `{name}` is opened, and version {self._edition.version} holds no such"
                " group",
                hint=_OPEN_HINT,
            )
        self._opened.add(name)
        output = Output(
            name,
            {artifact.sha256: artifact.size or 0 for unit in units for artifact in unit.artifacts},
            self._alive,
        )
        try:
            yield output
        finally:
            output.close()
        self._check_open()
        self._stage.replace_group(name, output.entries, output.pages)
        self._done.add(name)
        reached(Checkpoint.PAGE_RENDERED)


class Output(CallScope):
    """Collects the files of one group; implements `reconciler.plugin.GroupOutput`. `sizes`: of the
    artifacts that it may show, by sha256.
    """

    conduit = "GroupOutput"

    def __init__(self, name: str | None, sizes: dict[str, int], alive: Callable[[], None]) -> None:
        super().__init__(alive)
        self._words = _words(name)
        self._name = name
        self._sizes = sizes
        self._types: dict[str, list[str]] = {}
        self.entries: list[Entry] = []
        self.pages: dict[Digest, GzipPage] = {}

    def page(
        self, path: str, body: bytes, media_type: str, *, aliases: tuple[str, ...] = ()
    ) -> None:
        self._check(path, (media_type, *aliases))
        if not isinstance(body, bytes):
            raise PluginFault(
                f"`{path}` for {self._words}: the body is {_kind(body)}, not bytes",
                hint="encode a text: `.encode()`",
            )
        digest = Digest.of(body)
        if digest not in self.pages:
            self.pages[digest] = GzipPage(gzip.compress(body, LEVEL, mtime=0), len(body))
        self._emit(path, media_type, digest, len(body), page=True, aliases=tuple(aliases))

    def file(self, path: str, sha256: str, media_type: str = "application/octet-stream") -> None:
        self._check(path, (media_type,))
        if not isinstance(sha256, str) or sha256 not in self._sizes:
            raise PluginFault(
                f"`{path}` for {self._words} links to {sha256!r:.80}, which is no artifact of a"
                " unit there"
            )
        self._emit(
            path, media_type, Digest.parse(sha256), self._sizes[sha256], page=False, aliases=()
        )

    def _check(self, path: object, media_types: tuple[object, ...]) -> None:
        self._check_open()
        if not isinstance(path, str):
            raise PluginFault(f"a path for {self._words} is {_kind(path)}, not a text")
        if not safe_path(path.removesuffix("/")):
            raise PluginFault(
                f"the unsafe path {path[:80]!r} for {self._words}",
                hint=(
                    "relative, without empty, `.` or `..` segments, backslashes, control characters"
                ),
            )
        for type_ in media_types:
            if not _is_media_type(type_):
                raise PluginFault(
                    f"`{path}` for {self._words}: {type_!r:.80} is no media type",
                    hint="for example `text/html`",
                )

    def _emit(
        self,
        path: str,
        media_type: str,
        digest: Digest,
        size: int,
        *,
        page: bool,
        aliases: tuple[str, ...],
    ) -> None:
        types = self._types.setdefault(path, [])
        if media_type in types:
            raise PluginFault(
                f"`{path}` is emitted twice as `{media_type}` for {self._words}",
                hint="one body for each path and media type",
            )
        self.entries.append(
            Entry(path, media_type, self._name, page, digest, size, aliases, len(types))
        )
        types.append(media_type)


def _is_media_type(text: object) -> bool:
    """Could it stand in a header? `type/subtype`, parameters too."""
    return (
        isinstance(text, str)
        and text.isascii()
        and text.isprintable()
        and "/" in text.strip("/")
        and len(text) <= LONGEST_TYPE
    )


def _words(name: str | None) -> str:
    return "what belongs to no group" if name is None else f"the group `{name}`"


def _kind(value: object) -> str:
    return f"of the type `{type(value).__name__}`"
