"""Resolve: what should a repository hold, and by which lines does it get there?

For each source, in order: declare its groups, read those that may have changed, let the selection decide, and compare
with what the latest version holds. Nothing is written but the page cache. A failure is an error of what failed and
never an absence: a group that cannot be read keeps its content, a listing that fails removes nothing and keeps the
names that its source owned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.database import CommittedGroup, Reader
from reconciler.engine.calls import SourceCall, configuration
from reconciler.engine.progress import Progress, Task
from reconciler.engine.remotes import Remotes
from reconciler.engine.selection import Selected, Selection
from reconciler.engine.spool import SpoolWriter
from reconciler.engine.together import together
from reconciler.errors import Gone, NotCached, PluginFault, ReconcilerError, Temporary
from reconciler.model import ActualRepository, DesiredState, Digest, Group, Repository, Source, Unit, group_digest, stored_unit
from reconciler.plan import ChangeLine, ContentChanges, Failure, GroupChange, GroupLine, Member, contested, difference, with_download
from reconciler.plugin import Importer, Plugin, Registry, Unchanged

BATCH = 200  # groups looked up in the database at once


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading one group: units, or None where nothing changed; or why it is gone, or what failed."""

    group: Group
    call: SourceCall
    units: list[Unit] | None = None
    gone: str = ""
    failure: Exception | None = None


@dataclass(slots=True)
class Findings:
    """What a repository's sources have yielded so far. `owned`: group name -> the first source that has it.

    `unread`: groups of which some reading failed, so that nothing may leave them; `blind`: a whole listing failed, so that
    nobody knows what its source would take over.
    """

    spool: SpoolWriter = field(default_factory=SpoolWriter)
    failures: list[Failure] = field(default_factory=list)
    absent: list[Failure] = field(default_factory=list)  # asked for by name, and never known there
    unknown: list[str] = field(default_factory=list)
    sources: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    owned: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    blind: bool = False
    touched: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """What every resolution of one plan shares."""

    reader: Reader
    registry: Registry
    remotes: Remotes
    progress: Progress
    now: datetime


async def resolve(context: Context, repository: Repository, desired: DesiredState, actual: ActualRepository | None) -> ContentChanges:
    """The content changes of one repository."""
    findings = Findings()
    plugin = context.registry.importer(repository.type)
    task = context.progress.task(f"reading {repository.meta.name}", "groups")
    try:
        for source in repository.sources:
            await SourceResolver(context, plugin, repository, source, desired, actual, findings, task).run()
        await _drop_undeclared_sources(context, plugin, repository, desired, actual, findings)
    finally:
        task.done()
    failures = findings.failures + [one for one in findings.absent if one.group not in findings.owned]
    spool, counts = findings.spool.close()
    return ContentChanges(
        spool=spool,
        counts=counts,
        units=actual.units if actual else 0,
        touched=findings.touched,
        failures=tuple(sorted(failures, key=lambda failure: (failure.source, failure.group or ""))),
        unknown=tuple(sorted(findings.unknown)),
        sources=findings.sources,
        plural=context.registry.content_type(_metadata_types(plugin)[0]).plural,
    )


class SourceResolver:
    """Resolves one source of one repository into `findings`."""

    def __init__(
        self,
        context: Context,
        plugin: Plugin,
        repository: Repository,
        source: Source,
        desired: DesiredState,
        actual: ActualRepository | None,
        findings: Findings,
        task: Task,
    ) -> None:
        self._context = context
        self._plugin = plugin
        self._repository = repository
        self._source = source
        self._actual = actual
        self._findings = findings
        self._task = task
        self._remote = desired.remotes[source.remote]
        self._selection = selection_of(context, plugin, repository, source.options, desired)
        self._basis = Digest.of_value([context.remotes.url(self._remote), self._selection.digest.hex])  # validators are one index's own
        self._committed: dict[str, CommittedGroup] = {}

    async def run(self) -> None:
        if self._actual is not None:
            self._committed = await asyncio.to_thread(self._context.reader.committed_groups, self._actual.id, self._source.id)
        try:
            declared = await self._declare()
        except NotCached:
            self._findings.unknown.append(self._source.id)
            self._keep_names()
            return
        except Exception as error:  # a plugin may raise anything; whatever it is, nothing of this source is removed
            self._fail(None, error)
            self._keep_names()
            return
        mine = {name: group for name, group in declared.items() if name not in self._findings.owned}
        self._own(mine)
        changed = [mine[name] for name in sorted(mine) if not self._settled(mine[name])]
        self._task.expect(len(changed), 0)
        await self._read_and_compare(changed)
        if self._repository.mode == "mirror":
            await self._drop([name for name in sorted(self._committed) if name not in mine])
        self._findings.sources[self._source.id] = (None, self._basis.hex)

    def _own(self, names: Iterable[str]) -> None:
        for name in names:
            self._findings.owned.setdefault(name, self._source.id)

    def _keep_names(self) -> None:
        """The listing failed: what this source owned stays owned, and what it would own now nobody knows."""
        self._own(self._committed)
        self._findings.blind = True

    async def _declare(self) -> dict[str, Group]:
        call = self._call(None)
        declared: dict[str, Group] = {}
        try:
            async for group in self._importer().declare(call):
                if group.name in declared:
                    raise PluginFault(f"importer `{self._plugin.id}` declares the group `{group.name}` twice")
                declared[group.name] = group
        finally:
            call.close()
        return declared

    def _settled(self, group: Group) -> bool:
        """Is the group committed under what its source declares now, with today's selection, and not due again?"""
        known = self._known(group.name)
        return known is not None and group.validator == known

    def _known(self, name: str) -> str | None:
        committed = self._committed.get(name)
        if committed is None or committed.selection != self._basis:
            return None
        due = committed.reconsider_at is not None and committed.reconsider_at <= self._context.now
        return None if due else committed.validator

    async def _read_and_compare(self, groups: Sequence[Group]) -> None:
        """Read groups, several at once; compare whatever has come in meanwhile, at most BATCH at a time."""
        results: asyncio.Queue[Reading] = asyncio.Queue(maxsize=BATCH)
        remaining = iter(groups)

        async def work() -> None:
            for group in remaining:
                await results.put(await self._read(group))

        async with together() as workers:
            for _ in range(min(len(groups), self._remote.concurrency)):
                workers.create_task(work())
            missing = len(groups)
            while missing:
                batch = [await results.get()]
                while not results.empty() and len(batch) < BATCH:
                    batch.append(results.get_nowait())
                missing -= len(batch)
                self._task.advance(len(batch))
                await self._compare(batch)

    async def _read(self, group: Group) -> Reading:
        call = self._call(self._known(group.name))
        try:
            answer = await self._importer().read(call, group)
            return Reading(group, call, None if isinstance(answer, Unchanged) else list(answer))
        except Gone as gone:
            return Reading(group, call, [], gone=gone.message)
        except Exception as error:  # a plugin may raise anything; it is this group's failure and nobody else's
            if not isinstance(error, Temporary | NotCached):
                call.forget_pages()
            return Reading(group, call, failure=error)
        finally:
            call.close()

    async def _compare(self, readings: list[Reading]) -> None:
        members = await self._members([one.group.name for one in readings if one.failure is None and one.units is not None])
        changes = []
        for reading in readings:
            name = reading.group.name
            if isinstance(reading.failure, NotCached):
                self._findings.unknown.append(f"{self._source.id}: {name}")
                self._findings.unread.add(name)
            elif reading.failure is not None:
                self._fail(name, reading.failure)
            elif reading.units is not None:
                changes.extend(self._changed(reading, members.get(name, [])))
        await self._add(changes)

    def _changed(self, reading: Reading, members: list[Member]) -> list[GroupChange]:
        name = reading.group.name
        if reading.gone:
            self._findings.owned.pop(name, None)  # it does not answer for the name: the next source may
            if name not in self._committed and not reading.group.listed:
                hint = "is the name right? the source does not know it"
                self._findings.absent.append(Failure(self._source.id, name, reading.gone, hint))
                return []
        removes = self._repository.mode == "mirror"
        try:
            selected = self._selection.decide(name, reading.units or [], reading.call.kept_out)
            lines = difference(self._source.id, members, selected.wanted, selected.refusals, self._selection, removes=removes, gone=reading.gone)
        except Exception as error:  # what decides and what finds the words is plugin code as well
            self._fail(name, error)
            return []
        head = self._head(name, members, reading, selected, lines)
        if reading.gone and not lines and self._remembers(head):
            return []
        return [GroupChange(head, lines)]

    def _remembers(self, head: GroupLine) -> bool:
        """Of a group that upstream has no more: is it known that it was here, so that its absence is no news?"""
        return self._committed.get(head.name) == CommittedGroup(head.name, head.validator, self._basis)

    def _head(self, name: str, members: list[Member], reading: Reading, selected: Selected, lines: list[ChangeLine]) -> GroupLine:
        due = selected.reconsider_at
        return GroupLine(
            name=name,
            source=self._source.id,
            was=_digest_of(members),
            validator=None if any(map(contested, lines)) else reading.group.validator or (None if reading.gone else reading.call.validator),
            selection=self._basis.hex,
            reconsider_at=due.isoformat() if due else None,
        )

    async def _drop(self, names: list[str]) -> None:
        """Groups that this source holds no longer, by its own list or because another owns them; that one must have been read."""
        names = [name for name in names if name not in self._findings.unread]
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            members = await self._members(batch)
            await self._add([self._departed(name, members.get(name, [])) for name in batch])

    def _departed(self, name: str, members: list[Member]) -> GroupChange:
        owner = self._findings.owned.get(name)
        return departed(self._source.id, name, members, self._selection, f"{owner} has the name now" if owner else "")

    async def _members(self, names: Sequence[str]) -> dict[str, list[Member]]:
        return await members_of(self._context.reader, self._actual, names)

    async def _add(self, changes: list[GroupChange]) -> None:
        if changes:
            self._findings.spool.add(await _with_downloads(self._context.reader, changes))
            self._findings.touched = True

    def _fail(self, group: str | None, error: Exception) -> None:
        if group is not None:
            self._findings.unread.add(group)
        self._findings.failures.append(failure_of(self._source.id, group, error, self._plugin))

    def _importer(self) -> Importer:
        assert self._plugin.cls is not None
        importer: Importer = self._plugin.cls()
        return importer

    def _call(self, known: str | None) -> SourceCall:
        remotes = self._context.remotes
        config = configuration(self._source.options, self._plugin.config)
        return SourceCall(remotes.url(self._remote), self._source.options, config, remotes.pages(self._remote), known)


def selection_of(context: Context, plugin: Plugin, repository: Repository, options: Any, desired: DesiredState) -> Selection:
    """What governs one source of a repository."""
    types = {name: context.registry.content_type(name) for name in _metadata_types(plugin)}
    return Selection(types, options, desired.filters_of(repository), context.now)


def departed(source: str, name: str, members: list[Member], words: Selection, reason: str) -> GroupChange:
    """Everything that `source` brought to a group leaves, and the source holds the group no longer. `reason`: empty for upstream's own."""
    head = GroupLine(name, source, _digest_of(members), selection=words.digest.hex, held=False)
    return GroupChange(head, difference(source, members, [], [], words, gone=reason))


def failure_of(source: str, group: str | None, error: Exception, plugin: Plugin) -> Failure:
    """An error for the plan: ours as it is, a plugin's own with the plugin named."""
    if isinstance(error, ReconcilerError):
        return Failure(source, group, error.message, error.hint)
    return Failure(source, group, f"importer `{plugin.id}` failed: {type(error).__name__}: {error}")


async def members_of(reader: Reader, actual: ActualRepository | None, names: Sequence[str]) -> dict[str, list[Member]]:
    """What the latest version holds in these groups; an empty version is not asked."""
    if actual is None or actual.units == 0 or not names:
        return {}
    current = await asyncio.to_thread(reader.current_units, actual.id, names)
    return {name: [Member(unit.digest.hex, stored_unit(unit.body), unit.source) for unit in units] for name, units in current.items()}


async def _drop_undeclared_sources(
    context: Context, plugin: Plugin, repository: Repository, desired: DesiredState, actual: ActualRepository | None, findings: Findings
) -> None:
    """A source that the manifest no longer names loses what it brought, except in additive mode.

    It may have been renamed: what its successor could not read stays, and all of it where a successor could not even be listed.
    """
    if actual is None or repository.mode != "mirror" or findings.blind:
        return
    declared = {source.id for source in repository.sources}
    words = selection_of(context, plugin, repository, None, desired)
    for source in sorted(await asyncio.to_thread(context.reader.committed_sources, actual.id)):
        if source in declared:
            continue
        committed = await asyncio.to_thread(context.reader.committed_groups, actual.id, source)
        names = sorted(name for name in committed if name not in findings.unread)
        reason = f"the manifest no longer names {source}"
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            members = await members_of(context.reader, actual, batch)
            findings.spool.add(departed(source, name, members.get(name, []), words, reason) for name in batch)
            findings.touched = True


async def _with_downloads(reader: Reader, changes: list[GroupChange]) -> list[GroupChange]:
    """The same changes, knowing how many bytes are still to be downloaded."""
    digests = {Digest.parse(artifact.sha256) for change in changes for line in change.lines for artifact in line.artifacts}
    if not digests:
        return changes
    found = await asyncio.to_thread(reader.stored, digests)
    stored = {digest.hex: True for digest in found}
    return [GroupChange(change.head, [with_download(line, stored) for line in change.lines]) for change in changes]


def _digest_of(members: Iterable[Member]) -> str | None:
    digests = [Digest.parse(member.digest) for member in members]
    return group_digest(digests).hex if digests else None


def _metadata_types(plugin: Plugin) -> Sequence[str]:
    assert plugin.metadata is not None
    return plugin.metadata.types
