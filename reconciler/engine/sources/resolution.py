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
from reconciler.engine.sources.batches import BatchSizer
from reconciler.engine.sources.declared_source import DeclaredSource
from reconciler.engine.sources.members import members_of
from reconciler.engine.sources.recorded_source import RecordedSource
from reconciler.engine.sources.repository_source import RepositorySource
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_resolver import (
    Context,
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
    context: Context, repository: Repository, desired: DesiredState, others: Others
) -> ContentChanges:
    """The content changes of one repository."""
    asked = asking(context, repository, others.actual)
    try:
        await _keep_uploads(asked)
        for source in repository.sources:
            if source.kind is not SourceKind.UPLOAD:
                await resolver(asked, source, desired, others).run()
        await _drop_undeclared_sources(asked, desired)
    finally:
        asked.task.done()
    return _changes(asked)


def asking(context: Context, repository: Repository, actual: ActualState) -> RepositoryResolution:
    """Nothing is found out yet."""
    plugin = context.registry.importer(repository.type)
    state = actual.repositories.get(repository.meta.name)
    pads = ScratchpadSession(
        partial(context.reader.scratchpad, state.id) if state else no_scratchpads
    )
    return RepositoryResolution(
        context,
        plugin,
        repository,
        state,
        Findings(pads),
        context.progress.task(f"reading {repository.meta.name}", "groups"),
    )


def resolver(
    asked: RepositoryResolution, source: Source, desired: DesiredState, others: Others
) -> SourceResolver:
    """Of one remote or one other repository."""
    selection = _selection(asked, source, desired)
    if source.kind is SourceKind.REPOSITORY:
        return RepositorySource(
            asked,
            source,
            selection,
            others.actual.repositories.get(source.name),
            others.planned.get(source.name),
        )
    way = RecordedSource if low_level(asked.importer_class) else DeclaredSource
    return way(asked, source, selection, desired.remotes[source.name])


def _changes(asked: RepositoryResolution) -> ContentChanges:
    findings = asked.findings
    failures = findings.failures + [
        one for one in findings.absent if one.group not in findings.owned
    ]
    spool, counts = findings.spool.close()
    noted = {} if failures or findings.unknown else findings.pads.written
    return ContentChanges(
        spool=spool,
        counts=counts,
        units=asked.actual.units if asked.actual else 0,
        touched=findings.touched or bool(noted),
        failures=tuple(sorted(failures, key=lambda failure: (failure.source, failure.group or ""))),
        unknown=tuple(sorted(findings.unknown)),
        sources=findings.sources,
        plural=asked.context.registry.content_type(_types(asked.plugin)[0]).plural,
        buckets=asked.importer_class.shared_groups,
        scratchpads=noted,
        seen=findings.pads.seen if noted else {},
    )


def _selection(
    asked: RepositoryResolution, source: Source | None, desired: DesiredState
) -> Selection:
    """What governs one source of a repository; for no source in particular, the repository's
    filters alone.
    """
    types = {name: asked.context.registry.content_type(name) for name in _types(asked.plugin)}
    return Selection(
        types,
        source.options if source else None,
        desired.filters_of(asked.repository),
        asked.context.now,
    )


async def _keep_uploads(asked: RepositoryResolution) -> None:
    """Nobody has to be asked: what was uploaded stays, and has its names. A remote that begins to
    list one of them gets nothing in under it.
    """
    if asked.actual is not None and not asked.importer_class.shared_groups:
        for name in await asyncio.to_thread(asked.reader.committed_groups, asked.actual.id, UPLOAD):
            asked.findings.owned.setdefault(name, UPLOAD)


async def _drop_undeclared_sources(asked: RepositoryResolution, desired: DesiredState) -> None:
    """A source that the manifest no longer names loses what it brought, except in additive mode,
    and except uploads: nobody could bring them again.

    It may have been renamed: what its successor could not read stays, and all of it where a
    successor could not even be listed.
    """
    actual, findings = asked.actual, asked.findings
    if actual is None or asked.repository.mode != "mirror" or findings.blind:
        return
    declared = {source.id for source in asked.repository.sources} | {UPLOAD}
    words = _selection(asked, None, desired)
    for source in sorted(await asyncio.to_thread(asked.reader.committed_sources, actual.id)):
        if source not in declared:
            await _drop_source(asked, actual, source, words)


async def _drop_source(
    asked: RepositoryResolution, actual: ActualRepository, source: str, words: Selection
) -> None:
    committed = await asyncio.to_thread(asked.reader.committed_groups, actual.id, source)
    pace = BatchSizer(sorted(name for name in committed if name not in asked.findings.unread))
    reason = f"the manifest no longer names {source}"
    while batch := pace.batch():
        members = await members_of(asked.reader, actual, batch)
        pace.took(sum(map(len, members.values())))
        asked.findings.spool.add(
            departed(asked, source, name, members.get(name, []), words, reason) for name in batch
        )
        asked.findings.touched = True


def _types(plugin: Plugin) -> Sequence[str]:
    assert plugin.metadata is not None
    return plugin.metadata.types
