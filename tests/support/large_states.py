"""A database of any number of groups, written in bulk: two files a group, published once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from sqlalchemy import Connection

from reconciler.database import Database, Writer
from reconciler.database.bulk import Row, plain
from reconciler.database.schema import metadata
from reconciler.model import (
    Digest,
    bucket_digest,
    bucket_of,
    group_digest,
    version_digest,
)
from tests.support.databases import NOW, SELECTION, created_publication, created_repository

SOURCE, REMOTE, TYPE = "remote:a", "a", "test.file"
FILES = 2  # of each group
MEDIA_TYPE = "application/octet-stream"
_WITHHELD_EACH = 10  # of so many groups one has a unit that is withheld


@dataclass(frozen=True)
class LargeState:
    """Version 1 of a repository, and publication 1 of it, which is served."""

    groups: int
    writer: Writer
    repository_id: int
    publication_id: int


INDEX_ID = 1


def group_name(number: int) -> str:
    return f"group-{number:06}"


def unit_digest(number: int, file: int) -> Digest:
    return Digest.of(_body(group_name(number), file))


def artifact_of(number: int, file: int) -> Digest:
    return Digest.of(f"{group_name(number)}/{file}".encode())


def path_of(number: int, file: int) -> str:
    return f"files/{group_name(number)}/{artifact_of(number, file).hex}/{file}.bin"


def page_of(number: int) -> Digest:
    return Digest.of(group_name(number).encode())


def large_state(database: Database, groups: int) -> LargeState:
    """Fill an empty database."""
    writer = database.writer()
    repository_id, publication_id = created_repository(writer), created_publication(writer)
    state = LargeState(groups, writer, repository_id, publication_id)
    with writer._writing.begin() as connection:
        _write_content(connection, groups)
        whole = _write_version(connection, state)
        _write_publication(connection, state, whole)
    return state


@contextmanager
def discarded(state: LargeState) -> Iterator[Connection]:
    """A connection of which nothing stays."""
    with state.writer._writing.connect() as connection:
        yield connection
        connection.rollback()


@contextmanager
def opened_state(folder: Path, groups: int) -> Iterator[LargeState]:
    with Database(f"sqlite:///{folder}/state.db").open(read_only=False) as opened:
        yield large_state(opened, groups)


def _body(group: str, file: int) -> bytes:
    sha = sha256(f"{group}/{file}".encode()).hexdigest()
    artifacts = f'[{{"path":"{file}.bin","sha256":"{sha}","size":10}}]'
    named = f'"group":"{group}","key":"{file}.bin","metadata":{{}},"type":"{TYPE}"'
    return f'{{"artifacts":{artifacts},{named}}}'.encode()


def _insert(connection: Connection, table: str, names: str, rows: list[Row]) -> None:
    plain(metadata.tables[table], *names.split())(connection, rows)


def _files(groups: int) -> Iterator[tuple[int, int, int]]:
    """Yield (ID of the unit, number of the group, number of the file)."""
    for number in range(groups):
        for file in range(FILES):
            yield number * FILES + file + 1, number, file


def _write_content(connection: Connection, groups: int) -> None:
    names = [group_name(number) for number in range(groups)]
    bodies = [(id_, names[n], file, _body(names[n], file)) for id_, n, file in _files(groups)]
    _insert(
        connection,
        "unit",
        "id digest type group_name key body",
        [
            (id_, sha256(body).digest(), TYPE, name, f"{file}.bin", body)
            for id_, name, file, body in bodies
        ],
    )
    artifacts = [(id_, file, artifact_of(n, file).raw) for id_, n, file in _files(groups)]
    stored = [(raw, 10, file == 0) for _, file, raw in artifacts]
    _insert(connection, "artifact", "sha256 size stored", sorted(stored))
    parts = [(id_, "/", raw) for id_, file, raw in artifacts]
    _insert(connection, "unit_artifact", "unit_id path sha256", parts)
    origins = [(raw, REMOTE, f"http://a.example.org/{id_}", False) for id_, _, raw in artifacts]
    _insert(connection, "artifact_origin", "sha256 remote url needs_page", sorted(origins))
    seen = [(raw, NOW) for _, _, raw in artifacts]
    _insert(connection, "first_seen", "sha256 seen_at", sorted(seen))
    later = [(id_, f"{f}.metadata", None, "/", 1) for id_, f, _ in artifacts if f]
    _insert(connection, "derived_artifact", "unit_id path sha256 within seq", later)


def _write_version(connection: Connection, state: LargeState) -> Digest:
    of, groups = state.repository_id, range(state.groups)
    digests = [group_digest(unit_digest(n, file) for file in range(FILES)).raw for n in groups]
    rows = [(n + 1, of, group_name(n), bucket_of(group_name(n)), digests[n]) for n in groups]
    _insert(connection, "repository_group", "id repository_id name bucket digest", rows)
    by_bucket = groupby(sorted((row[3], row[4]) for row in rows), key=lambda row: row[0])
    buckets = [
        (of, n, bucket_digest(Digest(d) for _, d in digests).raw) for n, digests in by_bucket
    ]
    _insert(connection, "repository_bucket", "repository_id bucket digest", buckets)
    members = [(of, n + 1, id_, SOURCE, 1) for id_, n, _ in _files(state.groups)]
    _insert(connection, "membership", "repository_id group_id unit_id source added", members)
    whole = version_digest((n, Digest(raw)) for _, n, raw in buckets)
    row = (of, 1, whole.raw, NOW, "{}")
    _insert(connection, "version", "repository_id number digest created_at provenance", [row])
    units = state.groups * FILES
    counts = "repository_id number type units added removed changed"
    _insert(connection, "version_count", counts, [(of, 1, TYPE, units, units, 0, 0)])
    connection.execute(
        metadata.tables["repository"].update().values(number=1, digest=whole.raw, derived=1)
    )
    state_row = (of, SOURCE, "v1", SELECTION.raw)
    _insert(connection, "source_state", "repository_id source validator selection", [state_row])
    held = [(of, SOURCE, group_name(n), "v1", SELECTION.raw) for n in groups]
    _insert(connection, "source_group", "repository_id source name validator selection", held)
    return whole


def _write_publication(connection: Connection, state: LargeState, whole: Digest) -> None:
    of, groups = state.publication_id, range(state.groups)
    _insert(
        connection,
        "publication",
        "publication_id number version version_digest digest complete published_at withheld_units",
        [(of, 1, 1, whole.raw, whole.raw, True, NOW, len(groups[::_WITHHELD_EACH]))],
    )
    entry = "publication_id path media_type aliases group_name page digest size position added"
    files = [
        (of, path_of(n, f), MEDIA_TYPE, "[]", group_name(n), False, artifact_of(n, f).raw, 10, 0, 1)
        for _, n, f in _files(state.groups)
    ]
    pages = [
        (of, f"simple/{group_name(n)}/", "text/html", "[]", group_name(n), True, page_of(n).raw)
        for n in groups
    ]
    index = (of, "simple/", "text/html", "[]", None, True, page_of(0).raw)
    rows = [*files, *((*page, 10, 0, 1) for page in [*pages, index])]
    _insert(connection, "publication_entry", entry, sorted(rows))
    _insert(
        connection,
        "page",
        "digest gzip size",
        sorted((page_of(n).raw, b"page", 10) for n in groups),
    )
    withheld = [(of, n * FILES + 1, "denied", 1) for n in groups[::_WITHHELD_EACH]]
    _insert(connection, "publication_withheld", "publication_id unit_id reason added", withheld)
    _insert(connection, "pointer", "publication_id number", [(of, 1)])
    names = "id publication_id name pending files"
    large = (INDEX_ID, of, "large", False, "{}")
    _insert(connection, "publication_index", names, [large])
    names = "index_id sort_key unit publication_id group_name state body"
    entries = [
        (INDEX_ID, group_name(n).encode(), bytes(16), of, group_name(n), 0, b"entry")
        for n in groups
    ]
    _insert(connection, "index_entry", names, sorted(entries))
