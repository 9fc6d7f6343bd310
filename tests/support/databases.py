"""A real SQLite database in a folder of the test's own, and content to put into it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from reconciler.database import (
    CommitResult,
    CommittedGroup,
    Database,
    Reader,
    StagedGroup,
    StagedMember,
    Writer,
)
from reconciler.errors import Origin
from reconciler.model import (
    Artifact,
    Digest,
    IdentifiedUnit,
    Kind,
    Meta,
    Publication,
    Repository,
    Unit,
    group_digest,
    identify,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SELECTION = Digest.of(b"selection")


@contextmanager
def database(folder: Path) -> Iterator[Database]:
    """Open for writing, closed at the end."""
    with Database(f"sqlite:///{folder}/state.db").open(read_only=False) as opened:
        yield opened


def repository(name: str = "team") -> Repository:
    return Repository(Meta(Kind.REPOSITORY, name, Origin("a.yaml", 1)), {"type": "test"}, "test")


def publication(name: str = "team", path: str = "team") -> Publication:
    meta = Meta(Kind.PUBLICATION, name, Origin("a.yaml", 9), {"team": "data"}, {"note": "x"})
    return Publication(meta, {"repository": "team", "path": path}, "team", path, "test")


def created_repository(writer: Writer, name: str = "team") -> int:
    """Record a Repository; gives its ID."""
    writer.record_resources([repository(name)], now=NOW)
    return writer.actual_state().repositories[name].id


def created_publication(writer: Writer, name: str = "team", path: str = "team") -> int:
    writer.record_resources([publication(name, path)], now=NOW)
    return writer.actual_state().publications[name].id


def a_unit(
    group: str, key: str, note: str = "", *, artifact: bool = False, size: int | None = None
) -> IdentifiedUnit:
    """Content of its own for every combination of arguments."""
    sha256 = hashlib.sha256(f"{group}/{key}".encode()).hexdigest()
    artifacts = [Artifact(key, sha256, size)] if artifact else []
    return identify(Unit("test.file", key, {"note": note}, artifacts), group)


def by_group(*units: IdentifiedUnit) -> dict[str, list[IdentifiedUnit]]:
    """Return units as `record_units` takes them."""
    groups: dict[str, list[IdentifiedUnit]] = {}
    for unit in units:
        groups.setdefault(unit.group, []).append(unit)
    return groups


def committed(name: str, validator: str | None = "v1") -> CommittedGroup:
    return CommittedGroup(name, validator, SELECTION)


def group_digests(reader: Reader, repository_id: int, names: Iterable[str]) -> dict[str, Digest]:
    """Of those groups that hold units now, from these units."""
    return {
        name: group_digest(one.digest for one in found)
        for name, found in reader.current_units(repository_id, names).items()
    }


def change(
    writer: Writer,
    repository_id: int,
    *,
    joins: Iterable[IdentifiedUnit] = (),
    leaves: Iterable[IdentifiedUnit] = (),
    source: str = "remote:a",
    was: Mapping[str, Digest] | None = None,
) -> CommitResult:
    """One commit of these changes, based on what is there now unless `was` says otherwise."""
    joins, leaves = list(joins), list(leaves)
    names = sorted({one.group for one in (*joins, *leaves)})
    seen = group_digests(writer, repository_id, names) if was is None else was
    writer.record_units(by_group(*joins), {})
    with writer.stage(repository_id) as stage:
        stage.add(
            [StagedGroup(name, source, seen.get(name), committed(name)) for name in names],
            [StagedMember(join.group, join.digest, source, True) for join in joins]
            + [StagedMember(leave.group, leave.digest, source, False) for leave in leaves],
        )
        return stage.commit({}, {}, NOW)
