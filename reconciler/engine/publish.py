"""Publish: a version becomes a publication, rendered by a publisher for the groups that differ; then the pointer moves."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from reconciler.database import Entry, GzipPage, PublicationRecord, PublicationStage, Writer
from reconciler.engine.calls import configuration
from reconciler.engine.steps import Step, reached
from reconciler.errors import PluginFault
from reconciler.model import Digest, StoredUnit, safe_path
from reconciler.plugin import GroupOutput, Plugin

READ_AHEAD = 200  # groups whose units are read at once
LEVEL = 6  # of compression: beyond it pages grow slower to make than smaller to send


def publish(
    writer: Writer,
    plugin: Plugin,
    options: Any,
    *,
    publication_id: int,
    repository_id: int,
    version: int,
    version_digest: Digest,
    digest: Digest,
    rendered: tuple[int, bool],
    now: datetime,
) -> PublicationRecord:
    """Render `version` and complete the publication; the pointer is not moved.

    `rendered`: the version that the last complete publication shows, and whether it was rendered the same way (then
    only what differs from it is rendered again). Runs in a worker thread.
    """
    before, same = rendered
    stage = writer.publish(publication_id, version=version, version_digest=version_digest, digest=digest, now=now, full=not same)
    try:
        conduit = Conduit(writer, stage, options, repository_id, before if same else None, version)
        assert plugin.cls is not None
        plugin.cls().publish(conduit, configuration(options, plugin.config))
        conduit.close()
        record = stage.complete()
    except BaseException:
        stage.discard()
        raise
    reached(Step.PUBLICATION_COMPLETE)
    return record


class Conduit:
    """Implements `reconciler.plugin.PublishConduit` for one publication. `before`: the version rendered last, None for all anew."""

    def __init__(self, writer: Writer, stage: PublicationStage, options: Any, repository_id: int, before: int | None, version: int) -> None:
        self._writer = writer
        self._stage = stage
        self._options = options
        self._repository_id = repository_id
        self._before = before
        self._version = version
        self._ahead: dict[str, list[StoredUnit]] = {}
        self._open: str | None = None
        self._closed = False

    @property
    def options(self) -> Any:
        return self._options

    def changed(self) -> Iterator[str]:
        self._check()
        if self._before is None:
            names = self._writer.group_names(self._repository_id, self._version)
        else:
            names = self._writer.changed_groups(self._repository_id, self._before, self._version)
        waiting = list(names)
        for start in range(0, len(waiting), READ_AHEAD):
            batch = waiting[start : start + READ_AHEAD]
            self._ahead = self._writer.units(self._repository_id, self._version, batch)
            yield from batch

    def groups(self) -> Iterator[str]:
        self._check()
        return iter(self._writer.group_names(self._repository_id, self._version))

    def units(self, group: str) -> list[StoredUnit]:
        self._check()
        if group in self._ahead:
            return self._ahead[group]
        return self._writer.units(self._repository_id, self._version, [group]).get(group, [])

    @contextmanager
    def group(self, name: str) -> Iterator[GroupOutput]:
        with self._output(name) as output:
            yield output

    @contextmanager
    def whole(self) -> Iterator[GroupOutput]:
        with self._output(None) as output:
            yield output

    def close(self) -> None:
        """The call has returned: whoever kept the conduit can do nothing with it."""
        self._closed = True

    @contextmanager
    def _output(self, name: str | None) -> Iterator[GroupOutput]:
        self._check()
        output = Output(name, self._sizes(name))
        yield output
        self._stage.replace_group(name, output.entries, output.pages)
        reached(Step.PAGE_RENDERED)

    def _sizes(self, name: str | None) -> dict[str, int]:
        """Sizes of the artifacts that a group may link to, by sha256."""
        units = self.units(name) if name is not None else []
        return {artifact.sha256: artifact.size or 0 for unit in units for artifact in unit.artifacts}

    def _check(self) -> None:
        if self._closed:
            raise PluginFault("a publisher used its conduit after its call had returned", hint="keep nothing between calls")


class Output:
    """Collects the files of one group; implements `reconciler.plugin.GroupOutput`."""

    def __init__(self, name: str | None, sizes: dict[str, int]) -> None:
        self._name = name
        self._sizes = sizes
        self._positions: dict[str, int] = {}
        self.entries: list[Entry] = []
        self.pages: dict[Digest, GzipPage] = {}

    def page(self, path: str, body: bytes, media_type: str, *, aliases: tuple[str, ...] = ()) -> None:
        digest = Digest.of(body)
        if digest not in self.pages:
            self.pages[digest] = GzipPage(gzip.compress(body, LEVEL, mtime=0), len(body))
        self._emit(path, media_type, digest, len(body), page=True, aliases=aliases)

    def file(self, path: str, sha256: str, media_type: str = "application/octet-stream") -> None:
        if sha256 not in self._sizes:
            raise PluginFault(f"a publisher links `{path}` to {sha256}, which is no artifact of the group `{self._name}`")
        self._emit(path, media_type, Digest.parse(sha256), self._sizes[sha256], page=False, aliases=())

    def _emit(self, path: str, media_type: str, digest: Digest, size: int, *, page: bool, aliases: tuple[str, ...]) -> None:
        if not safe_path(path.removesuffix("/")):
            raise PluginFault(f"a publisher emits the unsafe path {path[:80]!r} for the group `{self._name}`")
        position = self._positions.get(path, 0)
        self._positions[path] = position + 1
        self.entries.append(Entry(path, media_type, self._name, page, digest, size, aliases, position))
