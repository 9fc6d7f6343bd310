"""Is what a site records, serves and exports true? Reads it all, whatever state it was left in."""

from __future__ import annotations

import gzip
import os
from itertools import pairwise
from pathlib import Path

from reconciler.database import Reader
from reconciler.engine import Home
from reconciler.model import (
    EMPTY_VERSION,
    ActualState,
    Digest,
    bucket_digest,
    bucket_of,
    group_digest,
    stored_unit,
    version_digest,
)
from tests.support.upstream import JSON


def check_sound(home: Home, *exports: Path) -> None:
    """Every version has its bytes and its digest, every pointer a whole publication, every export a
    whole tree.
    """
    with home.database() as database:
        reader = database.reader()
        check_recorded(home, reader, reader.actual_state(), *exports)


def check_recorded(home: Home, reader: Reader, actual: ActualState, *exports: Path) -> None:
    """Check the same in a database that is open."""
    stored = stored_files(home)
    for state in actual.repositories.values():
        _check_versions(reader, state.id, stored)
    known: dict[str, set[str]] = {}
    for publication in actual.publications.values():
        record = reader.publication(publication.id)
        if record is not None:
            assert record.number <= (reader.last_complete(publication.id) or record).number
            _check_entries(reader, publication.id, stored, number=record.number)
            known |= _published(reader, publication.id)
    for directory in exports:
        _check_export(directory, known)


def stored_files(home: Home) -> set[Digest]:
    """Digests of everything in the store; each must have the digest that its name says."""
    found = set()
    for path in (home.root / "store" / "sha256").rglob("*"):
        if path.is_file():
            digest = Digest.of(path.read_bytes())
            assert digest.hex == path.parent.name + path.name, (
                "bytes under a digest that is not theirs"
            )
            found.add(digest)
    return found


def _check_versions(reader: Reader, repository_id: int, stored: set[Digest]) -> None:
    for record in reader.versions(repository_id):
        held: dict[str, list[bytes]] = {}
        for change in reader.difference(repository_id, 0, record.number):
            if change.after:
                held.setdefault(change.group, []).append(change.after)
        buckets: dict[int, list[Digest]] = {}
        for name in list(reader.group_names(repository_id, record.number)):
            bodies = held.get(name, [])
            for artifact in (
                artifact for body in bodies for artifact in stored_unit(body).artifacts
            ):
                assert Digest.parse(artifact.sha256) in stored, (
                    f"version {record.number} refers to {artifact.path}, which is not stored"
                )
            buckets.setdefault(bucket_of(name), []).append(
                group_digest(Digest.of(body) for body in bodies)
            )
        assert record.digest == version_digest(
            (number, bucket_digest(groups)) for number, groups in buckets.items()
        )
    zero = reader.version(repository_id, 0)
    assert zero is not None
    assert zero.digest == EMPTY_VERSION


def _check_entries(
    reader: Reader, publication_id: int, stored: set[Digest], *, number: int
) -> None:
    entries = list(reader.all_entries(publication_id, number))
    assert entries, "an empty publication is served"
    pages = reader.pages({entry.digest for entry in entries if entry.page})
    for entry in entries:
        if entry.page:
            assert Digest.of(gzip.decompress(pages[entry.digest])) == entry.digest
        else:
            assert entry.digest in stored, f"`{entry.path}` is served and not stored"


def _published(reader: Reader, publication_id: int) -> dict[str, set[str]]:
    """Publication digest -> `path sha256` of the files that a tree of it holds, of every complete
    publication.
    """
    last = reader.last_complete(publication_id)
    found: dict[str, set[str]] = {}
    for number in range(1, (last.number if last else 0) + 1):
        entries = list(reader.all_entries(publication_id, number))
        named = [
            (_file_name(entry.path, entry.media_type), entry.digest.hex)
            for entry in entries
            if entry.page
        ]
        rendered = {f"{name} {digest}" for name, digest in named if name}
        found[f"{publication_id}/{number}"] = rendered | {
            f"{entry.path} {entry.digest.hex}" for entry in entries if not entry.page
        }
    return found


def _check_export(directory: Path, known: dict[str, set[str]]) -> None:
    """Check that the link shows one publication, beside files of the one before it."""
    if not os.path.lexists(directory):
        return
    assert directory.is_symlink()
    files = [path for path in directory.resolve().rglob("*") if path.is_file()]
    shown = {
        f"{path.relative_to(directory.resolve())} {Digest.of(path.read_bytes()).hex}"
        for path in files
        if path.suffix != ".gz"
    }
    trees = list(known.values())
    assert any(
        tree <= shown <= tree | {file for file in before if not _is_index(file)}
        for before, tree in pairwise([set(), *trees])
    ), "the export shows a tree that no publication has"
    for path in files:
        if path.suffix == ".gz" and path.with_suffix("").exists():
            assert gzip.decompress(path.read_bytes()) == path.with_suffix("").read_bytes()


def _is_index(file: str) -> bool:
    return file.partition(" ")[0].endswith(("index.html", "index.json"))


def _file_name(path: str, media_type: str) -> str | None:
    """Of the representations that a static tree has room for."""
    name = {"text/html": "index.html", JSON: "index.json"}.get(media_type)
    return path + name if name else None
