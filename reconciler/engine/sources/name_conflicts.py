"""Names that exclude each other in a repository whose groups together are one tree of files.

What the tree holds stays; of new files that exclude each other the first source's stays, and
within a source the first by path. A refused file's group is read again in the next run, since what
is in its way may be gone by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Mapping

import msgspec

from reconciler.database import Reader
from reconciler.engine.sources.repository_resolution import RepositoryResolution
from reconciler.engine.sources.spool import FileSpool, SpoolWriter
from reconciler.model import (
    ActualRepository,
    CheckedTree,
    DesiredState,
    Digest,
    FileTree,
    NameFault,
)
from reconciler.plan import ADD, REFUSE, REMOVE, ChangeLine, Counts, GroupChange
from reconciler.plan.changes import NO_BODY
from reconciler.plugin import Importer

Faults = Mapping[str, NameFault]


def checked_tree(
    desired: DesiredState,
    repository: str,
    *,
    importer_class: type[Importer],
    actual: ActualRepository | None,
) -> CheckedTree | None:
    """Return what a commit has to compare names with, after they were checked against `actual`.

    None where the groups of a repository are no tree of files.
    """
    if not importer_class.shared_groups:
        return None
    version = actual.number if actual else 0
    return CheckedTree(version, folded=needs_distinct_names(desired, repository))


def needs_distinct_names(desired: DesiredState, repository: str) -> bool:
    """Return True if an export holds the files of a repository under their own names."""
    return any(
        publication.repository == repository and publication.exports
        for publication in desired.publications.values()
    )


async def without_conflicts(
    resolution: RepositoryResolution, spool: FileSpool, counts: Counts, *, folded: bool
) -> tuple[FileSpool, Counts]:
    """Return the changes with every file refused that no tree could hold beside the others.

    `folded`: names that differ only by case or Unicode form exclude each other as well.
    """
    if not resolution.importer_class.shared_groups or not counts.added:
        return spool, counts
    faults = await asyncio.to_thread(_faults, resolution, spool, folded)
    return await asyncio.to_thread(_refused, spool, faults) if faults else (spool, counts)


def tree_faults(
    reader: Reader,
    repository_id: int,
    paths: Iterable[str],
    *,
    leaving: Container[Digest] = (),
    folded: bool,
) -> Faults:
    """Return which of the new `paths` cannot lie in the tree of a repository's latest version.

    Args:
        paths: The most important first.
        leaving: Units that are no longer held then.
    """
    tree = FileTree(paths, folded=folded)
    for digest, path in reader.held_paths(repository_id):
        if digest not in leaving:
            tree.meet(path)
    return tree.faults()


def _faults(resolution: RepositoryResolution, spool: FileSpool, folded: bool) -> Faults:
    order = {source.id: number for number, source in enumerate(resolution.repository.sources)}
    paths: list[tuple[int, str]] = []
    leaving: set[Digest] = set()
    for change in spool:
        rank = order.get(change.head.source, len(order))
        for line in change.lines:
            if line.op == ADD:
                paths.extend((rank, artifact.path) for artifact in line.artifacts)
            elif line.op == REMOVE and line.digest:
                leaving.add(line.digest)
    new = [path for _, path in sorted(paths)]
    if resolution.actual is None:
        return FileTree(new, folded=folded).faults()
    return tree_faults(resolution.reader, resolution.actual.id, new, leaving=leaving, folded=folded)


def _refused(spool: FileSpool, faults: Faults) -> tuple[FileSpool, Counts]:
    writer = SpoolWriter()
    writer.add(_without(change, faults) for change in spool)
    return writer.close()


def _without(change: GroupChange, faults: Faults) -> GroupChange:
    lines = [_refused_line(line, faults) for line in change.lines]
    if lines == change.lines:
        return change
    return GroupChange(msgspec.structs.replace(change.head, validator=None), lines)


def _refused_line(line: ChangeLine, faults: Faults) -> ChangeLine:
    fault = next(
        (faults[artifact.path] for artifact in line.artifacts if artifact.path in faults), None
    )
    if line.op != ADD or fault is None:
        return line
    return msgspec.structs.replace(
        line.without_bytes(),
        op=REFUSE,
        reason=fault.reason,
        rule=fault.rule,
        body=NO_BODY,
        artifacts=[],
    )
