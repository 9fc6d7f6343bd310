"""Resolution: what a repository should hold, and by which changes it gets there.

Its sources are asked one after the other, each by the resolver of its kind. Nothing is written but
caches. What failed is an error, never an absence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import assert_never

from reconciler.database import WITHDRAWN, WITHDRAWN_GONE
from reconciler.engine.plugin_calls.plugin_errors import option_warnings
from reconciler.engine.session.session import Session
from reconciler.engine.sources.batches import BatchSizer
from reconciler.engine.sources.copied_rules import rules_of_source
from reconciler.engine.sources.declared_source import DeclaredSource
from reconciler.engine.sources.group_comparer import droppable
from reconciler.engine.sources.marked_groups import mark_uploads
from reconciler.engine.sources.members import members_of
from reconciler.engine.sources.name_conflicts import (
    checked_tree,
    needs_distinct_names,
    without_conflicts,
)
from reconciler.engine.sources.pulled_names import pulls_into, taken_names
from reconciler.engine.sources.recorded_source import RecordedSource
from reconciler.engine.sources.repository_resolution import OtherRepositories, RepositoryResolution
from reconciler.engine.sources.repository_source import RepositorySource
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_resolver import SourceResolver
from reconciler.engine.sources.withdrawals import Withdrawals
from reconciler.model import (
    PULL_THROUGH,
    UPLOAD,
    ActualRepository,
    DesiredState,
    Repository,
    Source,
    SourceKind,
)
from reconciler.plan import REMOVE, ContentChanges, Counts, Failure
from reconciler.plugin import Options
from reconciler.plugin.importer import low_level

logger = logging.getLogger(__name__)


async def resolve(
    session: Session,
    repository: Repository,
    desired: DesiredState,
    *,
    others: OtherRepositories,
    allow_destroy: bool = False,
    former: DesiredState | None = None,
) -> ContentChanges:
    """Return the content changes of one repository.

    Args:
        allow_destroy: As of `start`.
        former: What earlier runs recorded, where that is known.
    """
    resolution = RepositoryResolution.start(
        session, repository, others.actual, allow_destroy=allow_destroy
    )
    try:
        await reserve_uploads(resolution)
        for source in repository.sources:
            if source.kind is not SourceKind.UPLOAD:
                resolver = make_resolver(resolution, source, desired, others=others, former=former)
                await resolver.run()
        await _drop_undeclared_sources(resolution, desired)
        await _drop_pulled(resolution, desired)
        await mark_uploads(resolution, _selection(resolution, None, desired))
    finally:
        resolution.task.done()
    content = await _changes(resolution, desired)
    return await asyncio.to_thread(_with_quarantined, resolution, content, others)


def make_resolver(
    resolution: RepositoryResolution,
    source: Source,
    desired: DesiredState,
    *,
    others: OtherRepositories,
    former: DesiredState | None = None,
) -> SourceResolver:
    """Return the resolver of a remote or of another repository. `former`: as of `resolve`."""
    selection = _selection(resolution, source, desired)
    match source.kind:
        case SourceKind.REPOSITORY:
            return RepositorySource(
                resolution,
                source,
                selection,
                other=others.actual.repositories.get(source.name),
                planned=others.planned.get(source.name),
                rules=rules_of_source(
                    resolution.session,
                    desired,
                    source.id,
                    applied={filter_.name for filter_ in selection.filters},
                    now=resolution.session.now,
                    behind={resolution.repository.meta.name},
                ),
            )
        case SourceKind.REMOTE:
            remote = desired.remotes[source.name]
            if low_level(resolution.importer_class):
                return RecordedSource(resolution, source, selection, remote=remote)
            before = None if former is None else _former_selection(resolution, source, former)
            return DeclaredSource(resolution, source, selection, remote=remote, former=before)
        case SourceKind.UPLOAD:
            raise ValueError("uploads have no upstream to resolve")
        case _:
            assert_never(source.kind)


async def reserve_uploads(resolution: RepositoryResolution) -> None:
    """Give uploads their names before any source is asked: what was uploaded stays."""
    actual = resolution.actual
    if actual is not None and not resolution.importer_class.shared_groups:
        resolution.ownership.reserve_uploads(
            await asyncio.to_thread(resolution.reader.committed_groups, actual.id, UPLOAD)
        )


async def _changes(resolution: RepositoryResolution, desired: DesiredState) -> ContentChanges:
    findings, plugin = resolution.findings, resolution.plugin
    failures = findings.failures
    warnings = findings.warnings() + await _warnings_of_options(resolution, desired)
    spool, counts = findings.spool.close()
    folded = needs_distinct_names(desired, resolution.repository.meta.name)
    spool, counts = await without_conflicts(resolution, spool, counts, folded=folded)
    counts += Counts(refused_names=findings.refused_names)
    scratchpads = {} if failures or findings.unknown else findings.scratchpads.written
    assert plugin.metadata is not None
    main_type = resolution.session.registry.content_type(plugin.metadata.types[0])
    return ContentChanges(
        spool=spool,
        counts=counts,
        units=resolution.actual.units if resolution.actual else 0,
        touched=findings.touched or bool(scratchpads),
        failures=_sorted(failures),
        warnings=_sorted(warnings),
        unknown=tuple(sorted(findings.unknown)),
        sources=findings.sources,
        plural=main_type.plural,
        buckets=resolution.importer_class.shared_groups,
        rules_changed=findings.rules_changed,
        lost_upstream=findings.lost_upstream,
        scratchpads=scratchpads,
        seen=findings.scratchpads.seen if scratchpads else {},
        withdrawn=findings.withdrawn,
        tree=checked_tree(
            desired,
            resolution.repository.meta.name,
            importer_class=resolution.importer_class,
            actual=resolution.actual,
        ),
        delisted=findings.delisted,
    )


def _with_quarantined(
    resolution: RepositoryResolution, content: ContentChanges, others: OtherRepositories
) -> ContentChanges:
    """Return the content with all that upstream withdrew, and how much of it leaves for that."""
    name = resolution.repository.meta.name
    planned = {**others.planned, name: content}
    withdrawn = Withdrawals(resolution.reader, planned).of(name)
    if not withdrawn:
        return content
    touched = content.spool.names()
    leaving = sum(
        line.op == REMOVE
        for source, groups in withdrawn.items()
        for group in touched.intersection(groups)
        for change in content.spool.of(group)
        for line in change.lines
        if change.head.source == source
    )
    return replace(content, withdrawn=withdrawn, quarantined=leaving)


async def _warnings_of_options(
    resolution: RepositoryResolution, desired: DesiredState
) -> list[Failure]:
    """Return what the filters in force and the options of the sources want to be looked at."""
    owners = [
        (f"filter:{filter_.meta.name}", filter_.options)
        for filter_ in desired.filters_of(resolution.repository)
    ]
    owners += [(source.id, source.options) for source in resolution.repository.sources]
    now = resolution.session.now
    return await asyncio.to_thread(
        lambda: [
            Failure(owner, None, text)
            for owner, options in owners
            if isinstance(options, Options)
            for text in option_warnings(options, now)
        ]
    )


def _sorted(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    return tuple(sorted(failures, key=lambda failure: (failure.source, failure.group or "")))


def _selection(
    resolution: RepositoryResolution, source: Source | None, desired: DesiredState
) -> Selection:
    """Return what governs a source; without one, the filters of the repository alone."""
    return Selection.of(
        resolution.session,
        resolution.plugin,
        options=source.options if source else None,
        filters=desired.filters_of(resolution.repository),
        now=resolution.session.now,
    )


def _former_selection(
    resolution: RepositoryResolution, source: Source, former: DesiredState
) -> Selection | None:
    """Return the selection of a source as it is declared, with the filters of the run before.

    None where these are not recorded.
    """
    recorded = former.repositories.get(resolution.repository.meta.name)
    if recorded is None or not former.filters.keys() >= set(recorded.filters):
        return None
    return Selection.of(
        resolution.session,
        resolution.plugin,
        options=source.options,
        filters=former.filters_of(recorded),
        now=resolution.session.now,
    )


async def _drop_undeclared_sources(resolution: RepositoryResolution, desired: DesiredState) -> None:
    """Take out what sources brought that the manifest no longer names.

    In additive mode it stays. Uploads stay as well: no source could bring them again. A source may
    have been renamed: what its successor could not read stays, and all of it where a successor
    could not be asked completely.
    """
    actual = resolution.actual
    if actual is None or not resolution.mirrors or resolution.ownership.incomplete:
        return
    declared = {source.id for source in resolution.repository.sources} | {UPLOAD}
    if pulls_into(desired, resolution.repository.meta.name):
        declared.add(PULL_THROUGH)
    selection = _selection(resolution, None, desired)
    for source in sorted(await asyncio.to_thread(resolution.reader.committed_sources, actual.id)):
        if source not in declared:
            logger.debug("%s: the manifest no longer names it", source)
            reason = f"the manifest no longer names {source}"
            await _drop_source(resolution, actual, source, selection=selection, reason=reason)


async def _drop_pulled(resolution: RepositoryResolution, desired: DesiredState) -> None:
    """Take out what was pulled through under names that a source has by now: these always win."""
    actual = resolution.actual
    if actual is None or not pulls_into(desired, resolution.repository.meta.name):
        return
    names = await asyncio.to_thread(taken_names, resolution, actual)
    if names:
        selection = _selection(resolution, None, desired)
        reason = "a source of the repository has the name"
        await _drop_source(
            resolution, actual, PULL_THROUGH, selection=selection, reason=reason, names=names
        )


async def _drop_source(
    resolution: RepositoryResolution,
    actual: ActualRepository,
    source: str,
    *,
    selection: Selection,
    reason: str,
    names: Collection[str] | None = None,
) -> None:
    """Take out what a source brought, of `names` alone where these are given."""
    findings = resolution.findings
    committed = await asyncio.to_thread(resolution.reader.committed_groups, actual.id, source)
    if names is not None:
        committed = {name: group for name, group in committed.items() if name in names}
    batches = BatchSizer(
        sorted(droppable(committed, but=findings.unread, skipped=(WITHDRAWN, WITHDRAWN_GONE)))
    )
    while batch := batches.next():
        members = await members_of(resolution.reader, actual, batch)
        batches.record(sum(map(len, members.values())))
        findings.spool.add(
            resolution.group_removal(
                source, name, members.get(name, []), selection=selection, reason=reason
            )
            for name in batch
        )
        findings.touched = True
