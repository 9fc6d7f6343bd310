"""Indexes whose entries differ are rendered, then the summaries of files that differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any, get_args

import msgspec

from reconciler.database import (
    INDEX,
    SUMMARY,
    Entry,
    GzipPage,
    PublicationStage,
)
from reconciler.engine.publishing.index_bodies import BodyWriter, ReadChunks, RenderedBody
from reconciler.engine.publishing.index_entries import listed_names
from reconciler.engine.run.checkpoints import Checkpoint, reached
from reconciler.errors import PluginFault
from reconciler.model import ChunkedBody, is_usable_name, safe_path
from reconciler.plugin import IndexEntry, IndexFile, Publisher, RenderedFile
from reconciler.plugin.indexes import Checksum, Compression

ENDINGS: Mapping[str, str] = {"": "", "gz": ".gz", "xz": ".xz", "zst": ".zst"}
MEDIA_TYPES: Mapping[str, str] = {
    "gz": "application/gzip",
    "xz": "application/x-xz",
    "zst": "application/zstd",
}
CHECKSUMS = get_args(Checksum)
COMPRESSIONS = get_args(Compression)
Batch = Sequence[tuple[bytes, bytes]]  # sort keys and bodies of entries
_DIGEST = re.compile(r"\{(" + "|".join(CHECKSUMS) + r")\}")


class _RecordedFiles(msgspec.Struct, frozen=True):
    """The files of an index as they were rendered last."""

    summary: str
    files: list[RenderedFile]


_NONE = _RecordedFiles("", [])


class IndexRenderer:
    """Renders the indexes and summaries of one publication in preparation.

    Args:
        conduit: What the plugin is handed.
        open_summary: Opens the output of a summary, whose pages replace the earlier ones.
        full: Everything is rendered anew.
    """

    def __init__(
        self,
        publisher: type[Publisher],
        conduit: Any,
        stage: PublicationStage,
        *,
        open_summary: Callable[[str], Any],
        read_chunks: ReadChunks,
        full: bool,
        alive: Callable[[], None],
    ) -> None:
        self._publisher = publisher
        self._conduit = conduit
        self._options = conduit.options
        self._stage = stage
        self._open_summary = open_summary
        self._read_chunks = read_chunks
        self._full = full
        self._alive = alive
        self._owners: dict[str, str] = {}  # names of indexes by what they show below digests

    def render(self, changed: Iterable[str]) -> None:
        """Render the indexes of which an entry changed, and the summaries that list them."""
        always = set(listed_names(self._publisher.index_names(self._options), "index_names"))
        before = {
            name: msgspec.json.decode(text, type=_RecordedFiles)
            for name, text in self._stage.indexes.files().items()
        }
        now, differing = dict(before), set()
        for name in sorted({*changed, *(always if self._full else ())}):
            files = self._render_index(name, always=name in always)
            if files != before.get(name, _NONE):
                differing |= {files.summary, before.get(name, _NONE).summary}
            now[name] = files
        for summary in sorted(differing - {""}):
            self._render_summary(summary, now)

    def _render_index(self, name: str, *, always: bool) -> _RecordedFiles:
        batches = self._stage.indexes.entries(name)
        first = next(batches, [])
        if not first and not always:
            self._stage.replace_group(f"{INDEX}{name}", [], {})
            self._stage.indexes.set_files(name, "")
            return _NONE
        file = _checked(name, self._publisher.index_file(name, self._options))
        self._check_folders(name, file)
        algorithms = _algorithms(file)
        writer = BodyWriter(
            self._stage, self._read_chunks, file, algorithms=algorithms, alive=self._alive
        )
        with self._conduit.without_address(f"the index `{name}`"):
            bodies = writer.write(self._pieces(name, chain([first], batches)))
        self._emit(name, file, bodies)
        recorded = _RecordedFiles(file.summary, _rendered_files(name, file, bodies))
        self._stage.indexes.set_files(name, msgspec.json.encode(recorded).decode())
        reached(Checkpoint.PAGE_RENDERED)
        return recorded

    def _check_folders(self, name: str, file: IndexFile) -> None:
        """Refuse paths that another index has, too.

        Of paths with digests it would be seen only once two of their files are equal, as empty ones
        are.
        """
        for path in (file.path, *file.by_digest):
            owner = self._owners.setdefault(path, name)
            if owner != name:
                raise PluginFault(
                    f"the indexes `{owner}` and `{name}` both have the path `{path}`",
                    hint="give each a folder of its own: equal files of both would be one path",
                )

    def _pieces(self, name: str, batches: Iterable[Batch]) -> Iterable[bytes]:
        """Return the body of an index in pieces; of most, they are its entries."""
        if self._publisher.render_index is Publisher.render_index:
            return self._bodies(batches)
        return self._publisher().render_index(self._conduit, name, self._entries(batches))

    def _bodies(self, batches: Iterable[Batch]) -> Iterator[bytes]:
        for batch in batches:
            self._alive()
            yield from [body for _, body in batch]

    def _entries(self, batches: Iterable[Batch]) -> Iterator[IndexEntry]:
        for batch in batches:
            self._alive()
            for sort_key, body in batch:
                yield IndexEntry(body, sort_key)

    def _emit(self, name: str, file: IndexFile, bodies: Mapping[str, RenderedBody]) -> None:
        group = f"{INDEX}{name}"
        shown = {
            compression: body
            for compression, body in bodies.items()
            if _is_published(file, compression)
        }
        entries = [
            Entry(
                _with_digests(template, body),
                _media_type(file, compression),
                group,
                True,
                body.digest,
                body.size,
                immutable=bool(_DIGEST.search(template)),
                linger=_seconds(file) if _DIGEST.search(template) else 0,
            )
            for compression, body in shown.items()
            for template in (f"{file.path}{ENDINGS[compression]}", *file.by_digest)
        ]
        self._stage.replace_group(
            group,
            entries,
            {body.digest: body.kept for body in shown.values() if isinstance(body.kept, GzipPage)},
            chunked=[body.kept for body in shown.values() if isinstance(body.kept, ChunkedBody)],
        )

    def _render_summary(self, name: str, now: Mapping[str, _RecordedFiles]) -> None:
        files = [
            file for index in sorted(now) if now[index].summary == name for file in now[index].files
        ]
        with self._open_summary(f"{SUMMARY}{name}") as output:
            if files:
                self._publisher().render_summary(self._conduit, name, files, output=output)


def _rendered_files(
    name: str, file: IndexFile, bodies: Mapping[str, RenderedBody]
) -> list[RenderedFile]:
    return [
        RenderedFile(
            name,
            _with_digests(f"{file.path}{ENDINGS[compression]}", body),
            compression,
            body.size,
            body.checksums,
            published=_is_published(file, compression),
        )
        for compression, body in bodies.items()
    ]


def _is_published(file: IndexFile, compression: str) -> bool:
    return bool(compression) or file.plain


def _seconds(file: IndexFile) -> int:
    return int(file.linger.total_seconds())


def _with_digests(path: str, body: RenderedBody) -> str:
    return _DIGEST.sub(lambda match: body.checksums[match[1]], path)


def _media_type(file: IndexFile, compression: str) -> str:
    return MEDIA_TYPES[compression] if compression else file.media_type


def _algorithms(file: IndexFile) -> set[str]:
    paths = (file.path, *file.by_digest)
    named = {name for path in paths for name in _DIGEST.findall(path)}
    return {*file.checksums, *named}


def _checked(name: str, file: object) -> IndexFile:
    """Return what `index_file` returned, once it is what the contract asks for."""
    if not isinstance(file, IndexFile):
        raise PluginFault(
            f"`index_file` returns {type(file).__name__} for `{name}`, not IndexFile",
            hint="return IndexFile(path, media_type)",
        )
    for path in (file.path, *file.by_digest):
        if not isinstance(path, str) or not safe_path(path):
            raise PluginFault(
                f"the index `{name}` has the unsafe path {path!r:.80}",
                hint="relative, without empty, `.` or `..` segments, backslashes",
            )
    for path in file.by_digest:
        if not _DIGEST.search(path):
            raise PluginFault(
                f"the path `{path}` of the index `{name}` holds no digest",
                hint="for example `by-hash/SHA256/{sha256}`",
            )
    if not isinstance(file.linger, timedelta) or file.linger < timedelta(0):
        raise PluginFault(
            f"the index `{name}` lingers for {file.linger!r:.40}", hint="timedelta(days=1)"
        )
    unknown = {*file.compressions, *file.checksums} - {*COMPRESSIONS, *CHECKSUMS}
    if unknown or not (file.plain or file.compressions):
        what = f"the unknown {min(map(str, unknown))!r}" if unknown else "no file to publish"
        raise PluginFault(
            f"the index `{name}` has {what}",
            hint=f"compressions: {', '.join(COMPRESSIONS)}; checksums: {', '.join(CHECKSUMS)}",
        )
    if file.summary and not is_usable_name(file.summary):
        raise PluginFault(
            f"the index `{name}` has an unusable summary {file.summary!r:.80}",
            hint="1 to 1,024 printable characters",
        )
    return file
