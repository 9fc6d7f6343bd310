"""A publisher with whole-repository indexes: packages in two suites, and a summary of each suite.

The key of a unit is `suite/name`, or `name` alone: it is then in both suites.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import delete, select, update

from reconciler.database import Entry, Writer
from reconciler.database.schema import chunk, publication_entry, publication_index
from reconciler.engine.publishing.release import release_publication
from reconciler.engine.publishing.release_target import ReleasePolicy
from reconciler.model import Digest, IdentifiedUnit, read_body
from reconciler.plugin import (
    IndexEntry,
    IndexFile,
    Options,
    Output,
    PluginCallConfiguration,
    PublishConduit,
    Publisher,
    RenderedFile,
    StoredUnit,
)
from tests.support.databases import NOW, a_unit, change
from tests.support.engine_states import (
    FakeRegistry,
    a_publication,
    a_repository,
    a_source,
    desired,
    writing_session,
)

SUITES = ("stable", "testing")


@dataclass
class Calls:
    """Calls of the publisher: keys of units, names of indexes, names of summaries."""

    entries: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)

    def since_last_look(self) -> tuple[list[str], list[str], list[str]]:
        """Return the calls since the last look."""
        calls = sorted(self.entries), list(self.indexes), list(self.summaries)
        self.entries.clear()
        self.indexes.clear()
        self.summaries.clear()
        return calls


@dataclass
class Declared:
    """Declarations of the indexes; `entry` makes the body of an entry."""

    compressions: tuple[Any, ...] = ("gz",)
    plain: bool = True
    names: tuple[str, ...] = ()
    revision: int = 1
    address: bool = False
    entry: Callable[[StoredUnit], bytes] = lambda unit: (
        f"Package: {unit.key}\nNote: {unit.metadata['note']}\n".encode() * 20
    )


def index_publisher(calls: Calls, declared: Declared) -> type[Publisher]:
    class Packages(Publisher):
        revision = declared.revision

        def publish(self, conduit: PublishConduit, config: PluginCallConfiguration) -> None:
            for name in conduit.changed_groups():
                with conduit.group(name):
                    pass

        @classmethod
        def indexes_of(cls, unit: StoredUnit, options: Options) -> Iterable[str]:
            suite, slash, _ = unit.key.partition("/")
            return [suite] if slash else SUITES

        @classmethod
        def index_names(cls, options: Options) -> Iterable[str]:
            return declared.names

        @classmethod
        def entry_of(cls, unit: StoredUnit, index: str, options: Options) -> bytes:
            calls.entries.append(unit.key)
            return declared.entry(unit)

        @classmethod
        def index_file(cls, name: str, options: Options) -> IndexFile:
            return IndexFile(
                f"dists/{name}/Packages",
                compressions=declared.compressions,
                plain=declared.plain,
                checksums=("md5", "sha256"),
                by_digest=(f"dists/{name}/by-hash/SHA256/{{sha256}}",),
                summary=name,
            )

        def render_index(
            self, conduit: PublishConduit, name: str, entries: Iterator[IndexEntry]
        ) -> Iterable[bytes]:
            calls.indexes.append(name)
            yield f"# {name}\n{conduit.base_url if declared.address else ''}".encode()
            for entry in entries:
                yield entry.body

        def render_summary(
            self,
            conduit: PublishConduit,
            name: str,
            files: Sequence[RenderedFile],
            *,
            output: Output,
        ) -> None:
            calls.summaries.append(name)
            lines = [
                f"{file.checksums['md5']} {file.checksums['sha256']} {file.size} {file.path}"
                for file in files
            ]
            output.page(f"dists/{name}/Release", "\n".join(lines).encode(), "text/plain")

    return Packages


class IndexedSite:
    """A repository `team` in a database, published with indexes.

    `units`: note by key. `publisher`: another one than that of this module.
    """

    def __init__(self, folder: Path, writer: Writer) -> None:
        self.folder = folder
        self.writer = writer
        self.calls = Calls()
        self.declared = Declared()
        self.units: dict[str, str] = {}
        self.how: dict[str, Any] = {}
        self.publisher: type[Publisher] | None = None
        writer.record_resources([a_repository("team"), a_publication("team")], now=NOW)

    def publish(self, units: Mapping[str, str]) -> None:
        """Commit the difference to these units, each in the group of its name, and release it."""
        now, before = units.items(), self.units.items()
        joins = [_unit(key, note) for key, note in now - before]
        leaves = [_unit(key, note) for key, note in before - now]
        id_ = self.writer.actual_state().repositories["team"].id
        if joins or leaves:
            change(self.writer, id_, joins=joins, leaves=leaves)
        self.units = dict(units)
        self.release()

    def release(self) -> str:
        registry = FakeRegistry()
        publisher = self.publisher or index_publisher(self.calls, self.declared)
        registry.publisher = lambda id: SimpleNamespace(  # type: ignore[method-assign]
            cls=publisher, id=id, kind="publisher", config={}
        )
        session = writing_session(self.folder, self.writer, registry=registry)
        publication = a_publication("team", **self.how)
        repository = a_repository("team", a_source("up"))
        policy = ReleasePolicy(desired(repository, publication))
        actual = self.writer.actual_state()
        return asyncio.run(release_publication(session, publication, actual, policy=policy))

    def entries(self) -> list[Entry]:
        current = self.writer.actual_state().publications["team"]
        return list(self.writer.all_entries(current.id, current.number))

    def files(self) -> dict[str, bytes]:
        """Return the bodies of all paths that are served, compared with their digests."""
        return {entry.path: self._body(entry) for entry in self.entries()}

    def index_names(self) -> list[str]:
        """Return the names of the indexes that are recorded."""
        with self.writer._reading.connect() as connection:
            return sorted(connection.execute(select(publication_index.c.name)).scalars())

    def chunks(self) -> set[bytes]:
        """Return the digests of all chunks, whether a publication shows them or not."""
        with self.writer._reading.connect() as connection:
            return set(connection.execute(select(chunk.c.digest)).scalars())

    def replace_chunk(self, digest: bytes, deflated: bytes) -> None:
        """Damage a chunk."""
        with self.writer._writing.begin() as connection:
            hurt = update(chunk).where(chunk.c.digest == digest)
            connection.execute(hurt.values(deflated=deflated))

    def forget_entries(self, paths: Iterable[str]) -> None:
        """Remove entries of publications, as a retention of versions would."""
        with self.writer._writing.begin() as connection:
            path = publication_entry.c.path
            connection.execute(delete(publication_entry).where(path.in_(list(paths))))

    def _body(self, entry: Entry) -> bytes:
        kept = self.writer.pages([entry.digest]).get(entry.digest)
        if kept is not None:
            body = gzip.decompress(kept)
        else:
            chunked = self.writer.chunked_bodies([entry.digest])[entry.digest]
            body = b"".join(read_body(chunked, self.writer.chunks))
        assert Digest.of(body) == entry.digest
        assert len(body) == entry.size
        return body


def _unit(key: str, note: str) -> IdentifiedUnit:
    return a_unit(key.rpartition("/")[2], key, note)
