"""Verification: everything that rows promise is read and compared with its digest."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import chain, islice
from typing import NamedTuple

from reconciler.database import ArtifactUse, Entry, Reader
from reconciler.engine.run.progress import ProgressTask
from reconciler.engine.transfer.stored_bytes import CHANGED, MISSING, problem_of
from reconciler.errors import StateFault, UsageFault
from reconciler.model import (
    UPLOAD,
    ActualState,
    ChunkedBody,
    Digest,
    Kind,
    Ref,
    SourceKind,
    read_body,
)
from reconciler.plan import natural_sort_key
from reconciler.store import Store

AT_ONCE = 64  # files that wait to be hashed
BLOCK = 1024 * 1024
PAGES_AT_ONCE = 200

Sizes = Iterator[tuple[Digest, int]]


class DamagedFile(NamedTuple):
    """A file that is not in the store as recorded.

    `uses`: the units that have it; `uploaded`: only uploads have brought it, to any repository.
    """

    digest: Digest
    problem: str
    uses: tuple[ArtifactUse, ...] = ()
    uploaded: bool = False


class DamagedPage(NamedTuple):
    """A rendered page that is not in the database as recorded."""

    publication: str
    path: str
    digest: Digest
    problem: str


class Verification(NamedTuple):
    """Outcome of a verification. `files`, `pages`: how many were read; `size`: bytes of files."""

    files: int
    size: int
    pages: int
    damaged_files: tuple[DamagedFile, ...]
    damaged_pages: tuple[DamagedPage, ...]

    @property
    def sound(self) -> bool:
        return not self.damaged_files and not self.damaged_pages


def verify(
    reader: Reader, store: Store, scope: Ref | None, *, now: datetime, task: ProgressTask
) -> Verification:
    """Read everything, or what a repository or publication needs; blocks for as long as it takes.

    Pages that still linger at the moment `now` are read too.

    What was recorded as damaged before is part of the outcome. Raises UsageFault for a scope that
    holds no files, or does not exist.
    """
    actual = reader.actual_state()
    known = {record.digest: record.problem for record in reader.damage()}
    files = size = 0
    problems: dict[Digest, str] = {}
    for digest, length, problem in _verified(store, _sizes(reader, actual, scope)):
        files, size = files + 1, size + length
        task.advance(1, length)
        if problem:
            problems[digest] = problem
    all_uses = reader.artifact_uses({**known, **problems})
    uses = _by_digest(use for use in all_uses if _is_within(use, scope))
    uploaded = uploaded_alone(all_uses)
    damaged = {**known, **problems} if scope is None else {**problems, **_used(known, uses)}
    pages, damaged_pages = _verify_pages(reader, actual, scope, now=now)
    return Verification(
        files,
        size,
        pages,
        tuple(
            DamagedFile(digest, damaged[digest], tuple(uses.get(digest, ())), digest in uploaded)
            for digest in sorted(damaged, key=lambda digest: _place(digest, uses))
        ),
        tuple(damaged_pages),
    )


def _sizes(reader: Reader, actual: ActualState, scope: Ref | None) -> Sizes:
    if scope is None:
        return reader.stored_artifacts()
    if scope.kind is Kind.REPOSITORY and scope.name in actual.repositories:
        return reader.artifacts_of_repository(actual.repositories[scope.name].id)
    if scope.kind is Kind.PUBLICATION and scope.name in actual.publications:
        id_ = actual.publications[scope.name].id
        record = reader.publication(id_)
        return iter(()) if record is None else reader.artifacts_of_publication(id_, record.number)
    if scope.kind in (Kind.REPOSITORY, Kind.PUBLICATION):
        raise UsageFault(
            f"there is no {scope.kind.lower()} `{scope.name}`",
            hint=f"`reconciler get {scope.kind.lower()}` lists what there is",
        )
    raise UsageFault(
        f"{scope} holds no files", hint="verify a repository, a publication, or everything"
    )


def _verified(store: Store, sizes: Sizes) -> Iterator[tuple[Digest, int, str]]:
    """Yield digest, size and problem of each file; several are hashed at once."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        while batch := list(islice(sizes, AT_ONCE)):
            problems = threads.map(lambda file: _problem(store, *file), batch)
            for (digest, size), problem in zip(batch, problems, strict=True):
                yield digest, size, problem


def _problem(store: Store, digest: Digest, size: int) -> str:
    if problem := problem_of(store, digest, size):
        return problem
    actual = hashlib.sha256()
    try:
        with store.open(digest) as file:
            while data := file.read(BLOCK):
                actual.update(data)
    except StateFault:
        return MISSING
    except OSError as error:  # a disk that cannot be read
        return f"unreadable: {error.strerror}"
    return "" if actual.digest() == digest.raw else CHANGED


def uploaded_alone(uses: Iterable[ArtifactUse]) -> set[Digest]:
    """Return what uploads alone have brought: no source has it. Copies have it from them."""
    copied = f"{SourceKind.REPOSITORY.value}:"
    return {
        digest
        for digest, own in _by_digest(uses).items()
        if {use.source for use in own if not use.source.startswith(copied)} == {UPLOAD}
    }


def _by_digest(uses: Iterable[ArtifactUse]) -> Mapping[Digest, list[ArtifactUse]]:
    grouped: dict[Digest, list[ArtifactUse]] = {}
    for use in uses:
        grouped.setdefault(use.digest, []).append(use)
    return grouped


def _is_within(use: ArtifactUse, scope: Ref | None) -> bool:
    """Return True for a unit of the repository in question, if one is."""
    return scope is None or scope.kind is not Kind.REPOSITORY or use.repository == scope.name


def _place(digest: Digest, uses: Mapping[Digest, Sequence[ArtifactUse]]) -> tuple[object, ...]:
    """Return a sort key: files of units by repository, group and path, then all others."""
    if not uses.get(digest):
        return 1, digest
    first = uses[digest][0]
    return 0, first.repository, first.group, natural_sort_key(first.path)


def _used(known: Mapping[Digest, str], uses: Mapping[Digest, object]) -> dict[Digest, str]:
    return {digest: problem for digest, problem in known.items() if digest in uses}


def _verify_pages(
    reader: Reader, actual: ActualState, scope: Ref | None, *, now: datetime
) -> tuple[int, list[DamagedPage]]:
    number, damaged = 0, []
    for name, publication in sorted(actual.publications.items()):
        record = reader.publication(publication.id)
        if record is None or not _covers(scope, name):
            continue
        lingering = reader.lingering_by_themselves(
            publication.id, record.number, now=now, longest=record.linger
        )
        entries = (
            entry
            for entry in chain(
                reader.all_entries(publication.id, record.number),
                (each.entry for each in lingering),
            )
            if entry.page
        )
        while batch := list(islice(entries, PAGES_AT_ONCE)):
            number += len(batch)
            damaged += _damaged_pages(reader, name, batch)
    return number, damaged


def _covers(scope: Ref | None, publication: str) -> bool:
    return scope is None or scope == Ref(Kind.PUBLICATION, publication)


def _damaged_pages(reader: Reader, publication: str, entries: list[Entry]) -> list[DamagedPage]:
    digests = {entry.digest for entry in entries}
    bodies = reader.pages(digests)
    problems = {digest: _page_problem(bodies.get(digest), digest) for digest in digests}
    for digest, body in reader.chunked_bodies(digests - bodies.keys()).items():
        problems[digest] = _body_problem(reader, body)
    return [
        DamagedPage(publication, entry.path, entry.digest, problem)
        for entry in entries
        if (problem := problems[entry.digest])
    ]


def _body_problem(reader: Reader, body: ChunkedBody) -> str:
    actual = hashlib.sha256()
    try:
        for data in read_body(body, reader.chunks):
            actual.update(data)
    except StateFault:
        return CHANGED
    return "" if actual.digest() == body.digest.raw else CHANGED


def _page_problem(body: bytes | None, digest: Digest) -> str:
    if body is None:
        return MISSING
    try:
        return "" if Digest.of(gzip.decompress(body)) == digest else CHANGED
    except (OSError, EOFError, zlib.error):
        return CHANGED
