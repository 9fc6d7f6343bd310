"""Marks by hand: yanked content and the status of names, each a version with its principal.

What is marked may come from any source: the record of the mark makes later syncs say the same. A
group of which something changes is read again by the next apply, since rules may decide otherwise
about what is marked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from reconciler.database import (
    WITHDRAWN,
    WITHDRAWN_GONE,
    CommittedGroup,
    ManualChanges,
    StagedGroup,
    StagedMember,
)
from reconciler.engine.plugin_calls.conduits import plugin_faults
from reconciler.engine.session.disabled_plugins import Faults, unusable_error
from reconciler.engine.session.session import WritingSession
from reconciler.engine.sources.marked_groups import UPLOADS_BASIS, marked_difference
from reconciler.engine.sources.marks import Marks, marks_of
from reconciler.engine.sources.members import digest_of, members_in
from reconciler.engine.sources.selection import Selection
from reconciler.engine.sources.source_responses import BY_SOURCE, GONE, REFUSED
from reconciler.engine.uploads.decided_changes import COMMITTING, UploadResult
from reconciler.engine.uploads.grants import check_grant
from reconciler.engine.uploads.releasing import release_publications
from reconciler.errors import Conflict, Gone, Refused, UsageFault
from reconciler.model import (
    ACTIVE,
    STATUS,
    UPLOAD,
    YANK,
    ActualRepository,
    DesiredState,
    Grant,
    Kind,
    Mark,
    MarkRecord,
    Ref,
    Repository,
    SourceKind,
    pluralize,
)
from reconciler.plan import REMOVE, ChangeLine, GroupMember
from reconciler.plugin import Importer, OptionFault
from reconciler.plugin.validation import Plugin

logger = logging.getLogger(__name__)

_STANDING = frozenset({WITHDRAWN, WITHDRAWN_GONE, GONE, REFUSED})  # say more than "read again"
_COPIED = f"{SourceKind.REPOSITORY.value}:"
_DONE = {YANK: "yanked", STATUS: "marked"}


@dataclass(frozen=True, slots=True)
class MarkRequest:
    """Content to mark, or, with `undo`, whose marks to drop.

    `kind`, `value` and `reason` are as of a Mark; `whats`: the content, as the plugin reads it.
    """

    kind: str
    whats: Sequence[str]
    value: str = ""
    reason: str = ""
    undo: bool = False

    @property
    def action(self) -> str:
        """The command, for records."""
        verb = ("un" if self.undo else "") + ("yank" if self.kind == YANK else "mark")
        return " ".join([verb, *self.whats, *([self.value] if self.value else [])])


@dataclass(frozen=True, slots=True)
class _Target:
    """The repository whose content is marked, as it is now."""

    repository: Repository
    plugin: Plugin
    actual: ActualRepository
    selection: Selection

    @property
    def importer(self) -> type[Importer]:
        cls: Any = self.plugin.cls
        return cls  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class _MarkedGroup:
    """Changes in one group, for one source."""

    name: str
    source: str
    members: Sequence[GroupMember]
    lines: Sequence[ChangeLine]


class Marking:
    """Marks content of repositories by hand, and drops such marks.

    Args:
        desired: As the last apply recorded it.
        faults: What of it cannot be used today, and why.
    """

    def __init__(self, session: WritingSession, desired: DesiredState, faults: Faults) -> None:
        self._session = session
        self._desired = desired
        self._faults = faults

    async def mark(self, repository: str, request: MarkRequest, grant: Grant) -> UploadResult:
        """Mark content, or drop marks, as one version; publications show it at once.

        Raises:
            Gone: The repository holds nothing of it, or nothing of it was marked by hand.
            Refused: The type has no such marks, or the plugin cannot read what is meant.
            Conflict: The manifest says it already, so that only the manifest can undo it.
            Denied: The grant is not for the name.
        """

        async def attempt() -> UploadResult:
            result: UploadResult = await self._session.in_thread(
                self._commit, repository, request, grant
            )
            return result

        result = await COMMITTING.run(attempt)
        logger.info("%s: %s by %s", repository, request.action, grant.principal)
        shown, delayed = await release_publications(self._session, self._desired, repository)
        return replace(result, shown=tuple(shown), delayed=tuple(delayed))

    def _commit(self, name: str, request: MarkRequest, grant: Grant) -> UploadResult:
        """Determine the change, and commit it. Runs in a worker thread."""
        target = self._target(name)
        before = marks_of(
            self._session.writer, target.importer, target.repository, actual=target.actual
        )
        call = f"`read_mark` of importer `{target.plugin.id}`"
        with self._session.watch(call):
            marks = [self._read(target, request, what) for what in request.whats]
        check_grant(grant, [group for mark in marks for group in mark.groups])
        _check_declared(before, marks, name)
        manual = self._changes(before, marks, request, grant=grant, repository=name)
        after = Marks(target.importer, before.declared, _recorded(before, manual))
        changed = list(self._changed_groups(target, before, after, marks=marks))
        if not request.undo:
            self._check_held(target, marks)
        number = self._record(target, changed, manual, action=request.action, grant=grant)
        keys = [(group.name, line.key) for group in changed for line in group.lines]
        return UploadResult(
            number,
            tuple(key for _, key in keys),
            tuple(dict.fromkeys(f"{group}/{key}" for group, key in keys)),
        )

    def _target(self, name: str) -> _Target:
        session = self._session
        repository = self._desired.repositories.get(name)
        state = session.writer.actual_state().repositories.get(name)
        if repository is None or state is None:
            fault = unusable_error(self._faults, Ref(Kind.REPOSITORY, name))
            raise fault or UsageFault(
                f"there is no repository `{name}`",
                hint="`reconciler get repository` lists what there is",
            )
        plugin = session.registry.importer(repository.type)
        selection = Selection.of(session, plugin, options=None, filters=(), now=session.clock())
        return _Target(repository, plugin, state, selection)

    @staticmethod
    def _read(target: _Target, request: MarkRequest, what: str) -> Mark:
        value = ACTIVE if request.undo and request.kind == STATUS else request.value
        mark = Mark(request.kind, what, value=value, reason=request.reason)
        with plugin_faults(f"`read_mark` of importer `{target.plugin.id}`"):
            try:
                return target.importer.read_mark(mark)
            except OptionFault as error:
                refusal = Refused(str(error), hint=error.hint)
        raise refusal

    def _changes(
        self,
        before: Marks,
        marks: Sequence[Mark],
        request: MarkRequest,
        *,
        grant: Grant,
        repository: str,
    ) -> ManualChanges:
        """Return the marks to record, or to drop. Raises Gone where nothing was marked."""
        known = {(each.mark.kind, each.mark.what): each for each in before.recorded}
        if not request.undo:
            now = self._session.clock()
            return ManualChanges(
                marks=[
                    MarkRecord(mark, grant.principal, now)
                    for mark in marks
                    if (mark.kind, mark.what) not in known
                    or known[mark.kind, mark.what].mark != mark
                ]
            )
        for mark in marks:
            if (mark.kind, mark.what) not in known:
                others = [
                    each.mark.what
                    for each in known.values()
                    if each.mark.kind == mark.kind and all(map(grant.covers, each.mark.groups))
                ]
                raise Gone(
                    f"`{mark.what}` was not {_DONE[mark.kind]} by hand in repository"
                    f" `{repository}`",
                    hint=f"by hand are: {', '.join(f'`{what}`' for what in others)}"
                    if others
                    else "what upstream says stays upstream's",
                )
        return ManualChanges(unmarked=[(mark.kind, mark.what) for mark in marks])

    def _check_held(self, target: _Target, marks: Sequence[Mark]) -> None:
        """Raise Gone for a mark on nothing: a misspelt one would stay unnoticed."""
        registry = self._session.registry
        for mark in marks:
            members = members_in(self._session.writer, target.actual, mark.groups)
            with plugin_faults("`matches` of a content type"):
                is_held = any(
                    registry.content_type(member.unit.type).matches(group, member.unit, mark.what)
                    for group, units in members.items()
                    for member in units
                )
            if not is_held:
                raise Gone(
                    f"repository `{target.repository.meta.name}` holds nothing that"
                    f" `{mark.what}` means",
                    hint=f"`reconciler explain repository/{target.repository.meta.name}"
                    f" {mark.what}` says why",
                )

    def _changed_groups(
        self, target: _Target, before: Marks, after: Marks, *, marks: Sequence[Mark]
    ) -> Iterator[_MarkedGroup]:
        names = sorted({group for mark in marks for group in mark.groups})
        call = f"`with_marks` of importer `{target.plugin.id}`"
        held = members_in(self._session.writer, target.actual, names)
        with self._session.watch(call), plugin_faults(call):
            for name, members in held.items():
                for source in sorted({member.source for member in members}):
                    copied = source.startswith(_COPIED)
                    lines = marked_difference(
                        after,
                        name,
                        members,
                        source=source,
                        describer=target.selection,
                        before=before if copied else None,
                    )
                    if lines:
                        yield _MarkedGroup(name, source, members, lines)

    def _record(
        self,
        target: _Target,
        groups: Sequence[_MarkedGroup],
        manual: ManualChanges,
        *,
        action: str,
        grant: Grant,
    ) -> int:
        if not (groups or manual.marks or manual.unmarked):
            return target.actual.number
        writer, now = self._session.writer, self._session.clock()
        plugin = {"id": target.plugin.id, "version": target.plugin.distribution_version}
        provenance = {"principal": grant.principal, "plugin": plugin, "action": action}
        _record_units(writer, groups)
        with writer.stage(target.actual.id, now) as stage:
            stage.add(
                [self._staged(target, group) for group in groups],
                [member for group in groups for member in _staged_members(group)],
            )
            try:
                return stage.commit(provenance, {}, now, manual=manual).number
            except Conflict as error:
                raise Conflict(error.message, hint=error.hint, retry_after=1) from None

    def _staged(self, target: _Target, group: _MarkedGroup) -> StagedGroup:
        """Return the group's state: the next apply reads it again, and its name stays owned."""
        was = digest_of(group.members)
        if group.source == UPLOAD:
            uploaded = CommittedGroup(group.name, BY_SOURCE, UPLOADS_BASIS)
            return StagedGroup(group.name, UPLOAD, was, uploaded)
        committed = self._session.writer.committed_group(target.actual.id, group.source, group.name)
        if committed is not None:
            validator = committed.validator if committed.validator in _STANDING else None
            committed = msgspec.structs.replace(committed, validator=validator, offered=None)
        return StagedGroup(group.name, group.source, was, committed)


def _check_declared(marks: Marks, asked: Sequence[Mark], repository: str) -> None:
    """Raise Conflict for a mark that the manifest makes: only a commit can change it."""
    declared = {(mark.kind, mark.what) for mark in marks.declared}
    for mark in asked:
        if (mark.kind, mark.what) in declared:
            raise Conflict(
                f"the manifest of repository `{repository}` says that `{mark.what}` is"
                f" {_DONE[mark.kind]}",
                hint="change its `yank` and apply, or revert the commit",
            )


def _recorded(before: Marks, manual: ManualChanges) -> list[MarkRecord]:
    """Return the marks by hand as they are after a change."""
    replaced = {(each.mark.kind, each.mark.what) for each in manual.marks}
    gone = replaced.union(manual.unmarked)
    kept = [each for each in before.recorded if (each.mark.kind, each.mark.what) not in gone]
    return sorted([*kept, *manual.marks], key=lambda each: (each.mark.kind, each.mark.what))


def _record_units(writer: Any, groups: Sequence[_MarkedGroup]) -> None:
    """Write rows of the units that come: their bytes are those of the units that they replace."""
    by_group: dict[str, list[ChangeLine]] = {}
    for group in groups:
        by_group.setdefault(group.name, []).extend(
            line for line in group.lines if line.op != REMOVE
        )
    if by_group:
        writer.record_units(by_group, {})


def _staged_members(group: _MarkedGroup) -> Iterator[StagedMember]:
    for line in group.lines:
        leaving = line.digest if line.op == REMOVE else line.before
        if leaving:
            yield StagedMember(group.name, leaving, group.source, joins=False)
        if line.op != REMOVE and line.digest:
            yield StagedMember(group.name, line.digest, group.source, joins=True)


def marked_message(result: UploadResult, request: MarkRequest) -> list[str]:
    """Return what to tell people of a mark."""
    changed = pluralize(len(result.names), "unit")
    first = (
        f"version {result.version}: {request.action}, {changed} changed"
        if result.names
        else f"nothing changes: version {result.version} says so already"
    )
    return [first, *result.delayed]
