"""Resolve: what should a repository hold, and by which lines does it get there?

Its sources are asked one after the other, each in the way of its kind: `listing` (high-level
importers), `recording` (low-level ones), `copying` (other repositories). Nothing is written but
caches. What failed is an error, never an absence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from reconciler.engine.plugin_calls.scratchpads import ScratchpadSession, no_scratchpads
from reconciler.engine.session.session import Session
from reconciler.engine.sources.batches import BatchSizer
from reconciler.engine.sources.declared_source import DeclaredSource
from reconciler.engine.sources.members import members_of
from reconciler.engine.sources.recorded_source import RecordedSource
from reconciler.engine.sources.repository_source import RepositorySource
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_resolver import (
    Findings,
    RepositoryResolution,
    SourceResolver,
    departed,
)
from reconciler.model import (
    ActualRepository,
    ActualState,
    DesiredState,
    Repository,
    Source,
    SourceKind,
)
from reconciler.plan import ContentChanges
from reconciler.plugin.importer import low_level
from reconciler.plugin.validation import Plugin

UPLOAD = SourceKind.UPLOAD.value


@dataclass(frozen=True, slots=True)
class Others:
    """The other repositories, for those that copy from them: as they are recorded, and what this
    plan does to those that were resolved before.
    """

    actual: ActualState
    planned: Mapping[str, ContentChanges]


async def resolve(
    session: Session, repository: Repository, desired: DesiredState, others: Others
) -> ContentChanges:
    """The content changes of one repository."""
    resolution = asking(session, repository, others.actual)
    try:
        await _keep_uploads(resolution)
        for source in repository.sources:
            if source.kind is not SourceKind.UPLOAD:
                await resolver(resolution, source, desired, others).run()
        await _drop_undeclared_sources(resolution, desired)
    finally:
        resolution.task.done()
    return _changes(resolution)


def asking(session: Session, repository: Repository, actual: ActualState) -> RepositoryResolution:
    """Nothing is found out yet."""
    plugin = session.registry.importer(repository.type)
    state = actual.repositories.get(repository.meta.name)
    scratchpads = ScratchpadSession(
        partial(session.reader.scratchpad, state.id) if state else no_scratchpads
    )
    return RepositoryResolution(
        session,
        plugin,
        repository,
        state,
        Findings(scratchpads),
        session.progress.task(f"reading {repository.meta.name}", "groups"),
    )


def resolver(
    resolution: RepositoryResolution, source: Source, desired: DesiredState, others: Others
) -> SourceResolver:
    """Of one remote or one other repository."""
    selection = _selection(resolution, source, desired)
    if source.kind is SourceKind.REPOSITORY:
        return RepositorySource(
            resolution,
            source,
            selection,
            others.actual.repositories.get(source.name),
            others.planned.get(source.name),
        )
    way = RecordedSource if low_level(resolution.importer_class) else DeclaredSource
    return way(resolution, source, selection, desired.remotes[source.name])


def _changes(resolution: RepositoryResolution) -> ContentChanges:
    findings = resolution.findings
    failures = findings.failures + [
        one for one in findings.absent if one.group not in findings.owned
    ]
    spool, counts = findings.spool.close()
    noted = {} if failures or findings.unknown else findings.scratchpads.written
    return ContentChanges(
        spool=spool,
        counts=counts,
        units=resolution.actual.units if resolution.actual else 0,
        touched=findings.touched or bool(noted),
        failures=tuple(sorted(failures, key=lambda failure: (failure.source, failure.group or ""))),
        unknown=tuple(sorted(findings.unknown)),
        sources=findings.sources,
        plural=resolution.session.registry.content_type(_types(resolution.plugin)[0]).plural,
        buckets=resolution.importer_class.shared_groups,
        scratchpads=noted,
        seen=findings.scratchpads.seen if noted else {},
    )


def _selection(
    resolution: RepositoryResolution, source: Source | None, desired: DesiredState
) -> Selection:
    """Return what governs a source; without one, the filters of the repository alone."""
    return Selection.of(
        resolution.session.registry,
        resolution.plugin,
        options=source.options if source else None,
        filters=desired.filters_of(resolution.repository),
        now=resolution.session.now,
    )


async def _keep_uploads(resolution: RepositoryResolution) -> None:
    """Nobody has to be asked: what was uploaded stays, and has its names. A remote that begins to
    list one of them gets nothing in under it.
    """
    if resolution.actual is not None and not resolution.importer_class.shared_groups:
        for name in await asyncio.to_thread(
            resolution.reader.committed_groups, resolution.actual.id, UPLOAD
        ):
            resolution.findings.owned.setdefault(name, UPLOAD)


async def _drop_undeclared_sources(resolution: RepositoryResolution, desired: DesiredState) -> None:
    """A source that the manifest no longer names loses what it brought, except in additive mode,
    and except uploads: nobody could bring them again.

    It may have been renamed: what its successor could not read stays, and all of it where a
    successor could not even be listed.
    """
    actual, findings = resolution.actual, resolution.findings
    if actual is None or resolution.repository.mode != "mirror" or findings.blind:
        return
    declared = {source.id for source in resolution.repository.sources} | {UPLOAD}
    words = _selection(resolution, None, desired)
    for source in sorted(await asyncio.to_thread(resolution.reader.committed_sources, actual.id)):
        if source not in declared:
            await _drop_source(resolution, actual, source, words)


async def _drop_source(
    resolution: RepositoryResolution, actual: ActualRepository, source: str, words: Selection
) -> None:
    committed = await asyncio.to_thread(resolution.reader.committed_groups, actual.id, source)
    pace = BatchSizer(sorted(name for name in committed if name not in resolution.findings.unread))
    reason = f"the manifest no longer names {source}"
    while batch := pace.batch():
        members = await members_of(resolution.reader, actual, batch)
        pace.took(sum(map(len, members.values())))
        resolution.findings.spool.add(
            departed(resolution, source, name, members.get(name, []), words, reason)
            for name in batch
        )
        resolution.findings.touched = True


def _types(plugin: Plugin) -> Sequence[str]:
    assert plugin.metadata is not None
    return plugin.metadata.types
